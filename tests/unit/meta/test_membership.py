"""Which deployments belong to a fleet, by name and by label."""

from __future__ import annotations

from typing import Any

import pytest

from cmom_meta.clients.labels import parse_rule
from cmom_meta.clients.rest import in_pieces
from cmom_meta.errors import ActionRequired
from cmom_meta.services import membership
from tests.unit.meta.fleet import Fleet, Time


def test_an_unknown_deployment_is_refused() -> None:
    with pytest.raises(ActionRequired, match="no deployment 'nope'"):
        membership.check_attachable(Fleet(Time(), {"a": {}}), "nope")


def test_a_deployment_without_a_cluster_is_refused() -> None:
    with pytest.raises(ActionRequired, match="no Tier 1 cluster"):
        membership.check_attachable(Fleet(Time(), {"a": None}), "a")


def test_attaching_twice_and_detaching_twice_are_no_errors() -> None:
    properties: dict[str, Any] = {}
    assert membership.add(properties, "a")
    assert not membership.add(properties, "a")
    assert properties["deployments"] == {"a": "by name"}
    assert membership.remove(properties, "a")
    assert not membership.remove(properties, "a")
    assert properties["deployments"] == {}


def test_labels_come_and_go_and_names_stay() -> None:
    properties: dict[str, Any] = {}
    membership.add(properties, "a")
    membership.replace_labelled(properties, ["a", "b"])
    assert properties["deployments"] == {"a": "by name", "b": "by label"}
    membership.replace_labelled(properties, ["c"])
    assert properties["deployments"] == {"a": "by name", "c": "by label"}


def test_a_workflow_runs_on_all_or_on_those_that_are_named() -> None:
    properties: dict[str, Any] = {"deployments": {"b": "by name", "a": "by label"}}
    assert membership.chosen(properties, []) == ("a", "b")
    assert membership.chosen(properties, ["b", "b"]) == ("b",)
    with pytest.raises(ActionRequired, match="Not attached: c, d"):
        membership.chosen(properties, ["a", "c", "d"])
    with pytest.raises(ActionRequired, match="No deployment is attached"):
        membership.chosen({}, [])


@pytest.mark.parametrize(
    ("rule", "operator", "values"),
    [
        ("Tier=one", "any_of", ["one"]),
        ("tier = [one, two]", "any_of", ["one", "two"]),
        ("tier!=one", "not_any_of", ["one"]),
        ("tier is null", "is_null", []),
        ("tier is not null", "is_not_null", []),
    ],
)
def test_rules_on_labels_are_read(rule: str, operator: str, values: list[str]) -> None:
    assert parse_rule(rule) == {"key": "tier", "operator": operator, "values": values, "type": "label"}


@pytest.mark.parametrize("rule", ["tier", "tier=", "=one", "tier=[]", "tier is one", ""])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(ActionRequired, match="label_selector"):
        parse_rule(rule)


def test_lists_of_ids_are_cut_so_that_they_fit_into_a_url() -> None:
    names = [f"{number:04}-{'x' * 200}" for number in range(100)]
    pieces = list(in_pieces(names))
    assert sorted(name for piece in pieces for name in piece) == names
    assert all(sum(len(name) for name in piece) <= 3000 for piece in pieces)
    assert list(in_pieces([])) == []
