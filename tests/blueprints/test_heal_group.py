"""What the blueprints say about watching and healing, as the monitor reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cmom.services.healing import HEAL_WORKFLOW
from tests.blueprints.plans import nodes, parsed, planned, sample

HOSTS = ("os_", "resource_pool")


def plan_of(folder: Path, blueprint: str) -> dict[str, Any]:
    given = sample("hosts", without=HOSTS) if blueprint.startswith("hosts") else sample()
    return planned(parsed(folder, blueprint), given)


@pytest.mark.parametrize("blueprint", ["blueprint.yaml", "hosts_blueprint.yaml"])
def test_each_blueprint_declares_the_policy_that_heals_its_managers(tmp_path: Path, blueprint: str) -> None:
    plan = plan_of(tmp_path, blueprint)

    group = plan["groups"]["heal_group"]
    policy = group["policies"]["host_failure_policy"]
    (trigger,) = policy["triggers"].values()
    assert group["members"] == ["manager"]
    assert policy["type"] == "cloudify.policies.types.host_failure"
    assert policy["properties"]["interval_between_workflows"] == 600
    assert policy["properties"]["is_node_started_before_workflow"] is True
    assert trigger["type"] == "cloudify.policies.triggers.execute_workflow"
    assert trigger["parameters"]["workflow"] == HEAL_WORKFLOW
    assert trigger["parameters"]["workflow_parameters"] == {
        "node_instance_id": {"get_property": ["SELF", "node_id"]},
        "diagnose_value": {"get_property": ["SELF", "diagnose"]},
    }
    declared = plan["workflows"][HEAL_WORKFLOW]["parameters"]
    assert set(trigger["parameters"]["workflow_parameters"]) == set(declared)


@pytest.mark.parametrize("blueprint", ["blueprint.yaml", "hosts_blueprint.yaml"])
def test_the_numbers_are_those_that_people_know(tmp_path: Path, blueprint: str) -> None:
    cluster = nodes(plan_of(tmp_path, blueprint))["cloudify_cluster"]["properties"]

    assert cluster["heartbeat_interval"] == 10
    assert (cluster["heal_retries"], cluster["heal_retry_interval_seconds"]) == (60, 15)
    assert cluster["heal_steps"] == ["rebuild"]
