"""What Tier 2 knows of its deployments, asked of a manager of 7.0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cmom.clients.tier2 import RestDeployments
from cmom.errors import ActionRequired, TryAgainLater
from lab.manager import samples
from tests.lab.filled import Filled


@pytest.fixture
def tier2(tmp_path: Path) -> Iterator[Filled]:
    with Filled(tmp_path, "7.0.5") as running:
        path = str(samples.make_blueprint(tmp_path))
        deployments = [{"blueprint_id": "sample", "deployment_id": name} for name in ("old", "other")]
        report = running.fill({"blueprints": [{"path": path}], "deployments": deployments})
        assert report.good, report.table()
        yield running


def test_nodes_and_instances_of_one_deployment_are_read(tier2: Filled) -> None:
    deployments = RestDeployments(tier2.client)
    nodes = {node.id: node for node in deployments.list_nodes("old")}
    assert sorted(nodes) == ["app", "host"]
    assert "cloudify.nodes.Compute" in nodes["host"].types
    instances = deployments.list_instances("old")
    assert sorted(instance.node_id for instance in instances) == ["app", "host"]
    assert {instance.state for instance in instances} == {"uninitialized"}


def test_a_deployment_that_is_not_there_is_said(tier2: Filled) -> None:
    with pytest.raises(ActionRequired, match="Tier 2 has no deployment nobody"):
        RestDeployments(tier2.client).list_nodes("nobody")


def test_a_tier_2_that_fails_is_something_time_may_help_with(tier2: Filled) -> None:
    tier2.manager.fault("500", path="/nodes")
    with pytest.raises(TryAgainLater, match="Reading deployment old"):
        RestDeployments(tier2.client).list_nodes("old")
