"""``cfy install hosts_blueprint.yaml`` on the lab: the whole way, and what stands in it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from lab.testing import LabThread
from tests.scenarios.tier2 import Tier2

CANARY = "canary-9f2d6c41"


def test_a_cluster_is_installed_reported_and_uninstalled(machines: LabThread, tier2: Tier2) -> None:
    installed = tier2.install()
    assert installed.returncode == 0, installed.stdout
    tier2.assert_whole(3)

    outputs = tier2.profile.run("deployments", "outputs", "-b", tier2.deployment)
    assert "'Master'" in outputs.stdout or '"Master"' in outputs.stdout

    again = tier2.start("get_status")
    assert again.returncode == 0, again.stdout
    tier2.assert_whole(3)

    removed = tier2.uninstall()
    assert removed.returncode == 0, removed.stdout
    for name in ("m1", "m2", "m3"):
        machine = machines.machine(name)
        assert machine.manager is None
        assert not machine.path("/etc/cloudify/config.yaml").exists()
    assert not (tier2.profile.storage / tier2.deployment).exists()


def test_ldap_reaches_the_managers_configuration(machines: LabThread, tier2: Tier2) -> None:
    ldap = {
        "server": "ldap://192.0.2.9:389",
        "username": "reader",
        "password": CANARY,
        "domain": "example.org",
    }

    result = tier2.install(ldap_config=ldap, num_of_instances=1)

    assert result.returncode == 0, result.stdout
    (config,) = [read_config(machines, name) for name in ("m1", "m2", "m3") if has_config(machines, name)]
    assert config["restservice"]["ldap"]["server"] == ldap["server"]
    assert config["restservice"]["ldap"]["password"] == CANARY


def test_nothing_of_ldap_is_configured_without_a_server(machines: LabThread, tier2: Tier2) -> None:
    result = tier2.install(num_of_instances=1, additional_config={"sanity": {"skip_sanity": True}})

    assert result.returncode == 0, result.stdout
    config = read_config(machines, "m1")
    assert "ldap" not in config.get("restservice", {})
    assert config["sanity"]["skip_sanity"] is True


def test_files_are_copied_and_a_failing_script_is_a_warning(
    machines: LabThread, tier2: Tier2, tmp_path: Path
) -> None:
    (tmp_path / "motd").write_text("welcome\n")
    (tmp_path / "good.sh").write_text("#!/bin/sh\necho from-the-good-script\n")
    (tmp_path / "bad.sh").write_text("#!/bin/sh\necho from-the-bad-script\nfalse\n")

    result = tier2.install(
        num_of_instances=1,
        files=[{"src": str(tmp_path / "motd"), "dst": "/etc/motd"}],
        scripts=[str(tmp_path / "bad.sh"), str(tmp_path / "good.sh")],
    )

    assert result.returncode == 0, result.stdout
    assert machines.machine("m1").path("/etc/motd").read_text() == "welcome\n"
    assert "from-the-bad-script" in result.stdout
    outcomes = tier2.properties("manager")["scripts"]
    assert [outcome["exit_code"] for outcome in outcomes] == [1, 0]


def test_the_password_is_nowhere_but_where_it_has_to_be(
    machines: LabThread, tier2: Tier2, tmp_path: Path
) -> None:
    result = tier2.profile.run(
        *tier2._install_words({"manager_admin_password": CANARY}), "-vvv"
    )  # as talkative as it gets
    assert result.returncode == 0, result.stdout[-4000:]
    tier2.assert_whole(3)

    assert CANARY not in result.stdout
    for instance in tier2.profile.node_instances(tier2.deployment):
        assert CANARY not in json.dumps(instance)
    state = tier2.profile.folder / "state"
    own_store = tier2.profile.storage.parent  # the CLI's own store of inputs, mode 0700: the one exception
    assert state.stat().st_mode & 0o077 == 0
    found = [
        path
        for path in [*state.rglob("*"), *(tier2.profile.folder / "tmp").rglob("*")]
        if path.is_file() and own_store not in path.parents and CANARY.encode() in path.read_bytes()
    ]
    assert found == []
    for name in ("m1", "m2", "m3"):
        machine = machines.machine(name)
        holders = [
            path
            for path in machine.disk.rglob("*")
            if path.is_file() and not path.is_symlink() and CANARY.encode() in path.read_bytes()
        ]
        assert all(path.stat().st_mode & 0o077 == 0 for path in holders), holders
        assert machine.path("/etc/cloudify/config.yaml") in holders
        assert CANARY not in "\n".join(machine.arguments_seen)


def test_the_ca_key_stays_on_tier_2(machines: LabThread, tier2: Tier2) -> None:
    assert tier2.install().returncode == 0
    key = Path(tier2.inputs["ca_key"]).read_text().splitlines()[1].encode()

    for name in ("m1", "m2", "m3"):
        disk = machines.machine(name).disk
        assert not [
            path
            for path in disk.rglob("*")
            if path.is_file() and not path.is_symlink() and key in path.read_bytes()
        ]


def has_config(machines: LabThread, name: str) -> bool:
    return machines.machine(name).path("/etc/cloudify/config.yaml").exists()


def read_config(machines: LabThread, name: str) -> dict[str, dict[str, object]]:
    text = machines.machine(name).path("/etc/cloudify/config.yaml").read_text()
    config: dict[str, dict[str, object]] = yaml.safe_load(text)
    return config
