"""What Tier 2 knows of its deployments, read from the local profile, and the cluster that is found in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cmom.clients.tier2 import LocalDeployments, local_profile_folder
from cmom.errors import ActionRequired, TryAgainLater
from cmom.models import Host
from cmom.services.deployed import find_cluster
from tests.unit.cmom.given_tier2 import INSTANCES, NODES, GivenTier2, write_profile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_profile(tmp_path)


def test_nodes_and_instances_are_read_as_they_are(folder: Path):
    deployments = LocalDeployments(folder)
    assert deployments.list_nodes("old") == NODES
    assert sorted(deployments.list_instances("old"), key=lambda one: one.id) == sorted(
        INSTANCES, key=lambda one: one.id
    )


@pytest.mark.parametrize("name", ["none", "", ".", "..", "old/../old", "/"])
def test_a_deployment_that_is_not_there_is_said(folder: Path, name: str):
    with pytest.raises(ActionRequired, match="Tier 2 has no deployment"):
        LocalDeployments(folder).list_nodes(name)


def test_a_file_that_is_just_being_written_is_read_again(folder: Path):
    path = folder / "old" / "node-instances" / "manager_1.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    paused: list[float] = []

    def sleep(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 3:
            path.write_text(whole)

    instances = LocalDeployments(folder, sleep=sleep).list_instances("old")

    assert len(paused) == 3
    assert len(instances) == len(INSTANCES)


def test_a_file_that_stays_half_written_is_said_to_be(folder: Path):
    (folder / "old" / "deployment.json").write_text('{"nodes": {')
    with pytest.raises(TryAgainLater, match=r"deployment\.json.* is not whole"):
        LocalDeployments(folder, sleep=lambda seconds: None).list_nodes("old")


def test_the_profile_is_that_of_the_user_unless_cfy_is_told_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CFY_WORKDIR", "/w")
    assert local_profile_folder() == Path("/w/.cloudify/profiles/local/deployments")
    monkeypatch.delenv("CFY_WORKDIR")
    monkeypatch.setenv("HOME", "/h")
    assert local_profile_folder() == Path("/h/.cloudify/profiles/local/deployments")


def test_the_cluster_is_found_with_the_members_that_are_installed(folder: Path):
    cluster = find_cluster(LocalDeployments(folder), "old")
    assert cluster.hosts == (Host("10.0.0.21", "192.0.2.21", "m1"), Host("10.0.0.22", "10.0.0.22", ""))
    assert (cluster.access.port, str(cluster.version)) == (4443, "4.6.0")
    assert cluster.access.password.reveal() == "canary-old-password"
    assert "canary" not in repr(cluster)
    assert "canary" not in repr(LocalDeployments(folder).list_nodes("old"))


@pytest.mark.parametrize(
    ("tier2", "words"),
    [
        (GivenTier2(nodes=NODES[1:]), "has no cluster"),
        (GivenTier2(instances=INSTANCES[:1]), "has no managers"),
        (
            GivenTier2(
                instances=(
                    *INSTANCES,
                    replace(INSTANCES[1], runtime_properties={"ip": "10.0.0.9", "manager_version": "4.3.0"}),
                )
            ),
            "different versions: 4.3.0, 4.6.0",
        ),
        (GivenTier2(nodes=(replace(NODES[0], properties={}), *NODES[1:])), "does not tell how"),
    ],
)
def test_what_keeps_a_cluster_from_being_found_is_said(tier2: GivenTier2, words: str):
    with pytest.raises(ActionRequired, match=words):
        find_cluster(tier2, "old")
