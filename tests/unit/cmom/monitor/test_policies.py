"""What the deployments' own policies say."""

from __future__ import annotations

from typing import Any

import pytest

from cmom.monitor.policies import DIAGNOSIS, Policy, PolicyFault, parse_policies, subject_of
from tests.unit.cmom.monitor.given_fleet import STANDARD_PARAMETERS, groups

SUBJECT = subject_of("manager_a1", "manager", "one", "10.0.0.21", DIAGNOSIS)


def the_policy(declared: Any, **inputs: Any) -> Policy:
    policies, faults = parse_policies(declared, inputs)
    assert faults == ()
    (found,) = policies
    return found


def the_fault(declared: Any, **inputs: Any) -> str:
    policies, faults = parse_policies(declared, inputs)
    assert policies == ()
    (found,) = faults
    return found


def test_the_policy_of_our_blueprint_is_read_as_it_is_meant() -> None:
    policy = the_policy(groups())
    assert policy.name == "heal_group.host_failure_policy"
    assert policy.node_ids == {"manager"}
    assert (policy.interval_seconds, policy.started_only, policy.on_group) == (600.0, True, False)
    order = policy.triggers[0].order(SUBJECT)
    assert order.workflow_id == "heal_tier1_manager"
    assert order.parameters == {"node_instance_id": "manager_a1", "diagnose_value": "heart-beat-failure"}
    assert (order.force, order.allow_custom_parameters) == (False, False)


def test_what_is_left_out_has_the_values_that_riemann_gave_it() -> None:
    declared = groups()
    declared["heal_group"]["policies"]["host_failure_policy"]["properties"] = {}
    policy = the_policy(declared)
    assert (policy.interval_seconds, policy.started_only, policy.on_group) == (300.0, True, False)


def test_all_properties_are_honoured() -> None:
    policy = the_policy(
        groups(
            interval_between_workflows=-1,
            is_node_started_before_workflow=False,
            policy_operates_on_group=True,
            trigger={"force": True, "allow_custom_parameters": True},
        )
    )
    assert (policy.interval_seconds, policy.started_only, policy.on_group) == (-1.0, False, True)
    assert (policy.triggers[0].force, policy.triggers[0].allow_custom_parameters) == (True, True)


def test_inputs_are_put_in_where_tier_2_has_left_them_out() -> None:
    declared = groups(interval_between_workflows={"get_input": "heal_interval"})
    assert the_policy(declared, heal_interval=900).interval_seconds == 900.0
    assert "the input 'heal_interval' is not among the deployment's" in the_fault(declared)


def test_parameters_are_resolved_at_any_depth_and_others_are_left_alone() -> None:
    given = {
        **STANDARD_PARAMETERS,
        "more": {"list": [{"get_property": ["SELF", "host"]}, 1, None]},
        "plain": "x",
    }
    order = the_policy(groups(trigger={"workflow_parameters": given})).triggers[0].order(SUBJECT)
    assert order.parameters["more"] == {"list": ["10.0.0.21", 1, None]}
    assert order.parameters["plain"] == "x"


@pytest.mark.parametrize(
    "path", [["SELF", "colour"], ["manager", "ip"], ["SELF"], "SELF", ["SELF", "node_id", "x"]]
)
def test_a_parameter_that_nobody_knows_is_said_and_nothing_is_started(path: Any) -> None:
    trigger = {"workflow_parameters": {"a": {"get_property": path}}}
    policy = the_policy(groups(trigger=trigger))
    with pytest.raises(PolicyFault, match="there is \\[SELF, one of node_id, node_name"):
        policy.triggers[0].order(SUBJECT)


def test_a_member_of_a_group_may_be_a_group() -> None:
    declared = {**groups(members=["inner", "other"]), "inner": {"members": ["manager", "heal_group"]}}
    assert the_policy(declared).node_ids == {"manager", "other"}


def test_other_policies_and_triggers_are_not_ours() -> None:
    declared = groups()
    policies = declared["heal_group"]["policies"]
    policies["other"] = {"type": "cloudify.policies.types.threshold", "properties": {}, "triggers": {}}
    policies["host_failure_policy"]["triggers"]["mail"] = {"type": "my.triggers.mail", "parameters": {}}
    assert [trigger.name for trigger in the_policy(declared).triggers] == ["heal_trigger"]
    assert parse_policies({}, {}) == ((), ())
    assert parse_policies({"manager_group": {"members": ["host"]}}, {}) == ((), ())


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (groups(trigger={"workflow": ""}), "names no workflow"),
        (
            groups(trigger={"workflow_parameters": [1]}),
            "workflow_parameters of its trigger heal_trigger is no mapping",
        ),
        (groups(interval_between_workflows="soon"), "interval_between_workflows is no number"),
        (groups(interval_between_workflows=float("nan")), "interval_between_workflows is no number"),
        (groups(interval_between_workflows=True), "interval_between_workflows is no number"),
        (groups(is_node_started_before_workflow="perhaps"), "is_node_started_before_workflow is neither"),
        (groups(trigger={"force": 1}), "force is neither"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_evaluated_is_said(declared: Any, problem: str) -> None:
    assert problem in the_fault(declared)
    assert the_fault(declared).startswith("The policy heal_group.host_failure_policy: ")


def test_a_policy_without_a_trigger_is_said() -> None:
    declared = groups()
    declared["heal_group"]["policies"]["host_failure_policy"]["triggers"] = {}
    assert "it has no trigger" in the_fault(declared)


def test_numbers_and_flags_may_be_text_as_inputs_often_are() -> None:
    policy = the_policy(groups(interval_between_workflows="450", policy_operates_on_group="True"))
    assert (policy.interval_seconds, policy.on_group) == (450.0, True)
