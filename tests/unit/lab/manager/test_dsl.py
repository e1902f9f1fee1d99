"""Blueprints as the lab reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.manager import dsl
from lab.manager.exceptions import (
    DeploymentCreationError,
    InvalidBlueprintError,
    MissingRequiredInputError,
    UnknownInputError,
)
from lab.manager.stores.deployments import make_instances, resolve_inputs

HEAD = "tosca_definitions_version: cloudify_dsl_1_3\n"
NODE = "node_templates:\n  a: {type: cloudify.nodes.Root}\n"


def parse(folder: Path, content: str, **plugins: bytes) -> dsl.Plan:
    (folder / "blueprint.yaml").write_text(content)
    return dsl.parse(folder, "blueprint.yaml", lambda name, _: plugins.get(name))


def test_what_is_imported_is_merged_and_the_blueprint_wins(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one.yaml").write_text(
        "imports: [two.yaml]\ninputs: {x: {default: 1}, y: {default: 1}}"
    )
    (tmp_path / "inner" / "two.yaml").write_text("inputs: {z: {default: 3}}")
    plan = parse(tmp_path, f"{HEAD}imports: [inner/one.yaml]\ninputs: {{y: {{default: 2}}}}\n{NODE}")
    assert {name: schema["default"] for name, schema in plan.inputs.items()} == {
        "x": 1,
        "y": 2,
        "z": 3,
    }


def test_imports_that_go_in_circles_end(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("imports: [blueprint.yaml]")
    assert list(parse(tmp_path, f"{HEAD}imports: [one.yaml]\n{NODE}").nodes) == ["a"]


def test_a_plugins_yaml_is_imported(tmp_path: Path) -> None:
    plan = parse(
        tmp_path,
        f"{HEAD}imports: ['plugin:sample?version=1']\n{NODE}",
        sample=b"plugins: {p: {package_name: sample}}\nworkflows: {go: {parameters: {x: {}}}}",
    )
    assert plan.plugins["p"] == {"package_name": "sample"}
    assert plan.workflows == {"go": {"x": {}}}


@pytest.mark.parametrize(
    "imported", ["http://example.com/x.yaml", "../outside.yaml", "plugin:none", "missing.yaml"]
)
def test_an_import_that_is_not_there_is_refused(tmp_path: Path, imported: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "outside.yaml").write_text("inputs: {}")
    with pytest.raises(InvalidBlueprintError):
        parse(inner, f"{HEAD}imports: ['{imported}']\n{NODE}")


@pytest.mark.parametrize(
    "imported",
    [
        "http://www.getcloudify.org/spec/cloudify/4.6/types.yaml",
        "http://cloudify.co/spec/cloudify/6.4.0/types.yaml",
        "cloudify/types/types.yaml",
    ],
)
def test_the_platforms_own_types_are_known(tmp_path: Path, imported: str) -> None:
    parse(tmp_path, f"{HEAD}imports: ['{imported}']\n{NODE}")


def test_secrets_are_found_wherever_they_are(tmp_path: Path) -> None:
    plan = parse(
        tmp_path,
        f"{HEAD}inputs: {{i: {{default: {{get_secret: one}}}}}}\n"
        "node_templates:\n  a: {type: t, properties: {list: [{x: {get_secret: two}}]}}\n",
    )
    assert plan.secrets == ["one", "two"]


def test_types_are_followed_to_their_root() -> None:
    plan = dsl.Plan(types={"my.Host": "cloudify.nodes.Compute", "a": "b", "b": "a"})
    assert plan.type_hierarchy("my.Host") == [
        "cloudify.nodes.Root",
        "cloudify.nodes.Compute",
        "my.Host",
    ]
    assert len(plan.type_hierarchy("a")) <= 50


def test_inputs_are_completed_and_checked() -> None:
    plan = dsl.Plan(
        inputs={
            "must": {},
            "default": {"default": 5},
            "optional": {"required": False},
            "number": {"type": "integer", "default": 1},
            "flag": {"type": "boolean", "default": True},
        }
    )
    assert resolve_inputs(plan, {"must": {"get_secret": "x"}}) == {
        "must": {"get_secret": "x"},
        "default": 5,
        "number": 1,
        "flag": True,
    }
    with pytest.raises(MissingRequiredInputError):
        resolve_inputs(plan, {})
    with pytest.raises(UnknownInputError):
        resolve_inputs(plan, {"must": 1, "other": 1})
    for wrong in ({"number": "1"}, {"number": True}, {"flag": "yes"}):
        with pytest.raises(DeploymentCreationError):
            resolve_inputs(plan, {"must": 1, **wrong})


def test_there_are_as_many_instances_as_the_node_says() -> None:
    plan = dsl.Plan(
        nodes={
            "one": {"type": "t"},
            "two": {
                "type": "t",
                "capabilities": {"scalable": {"properties": {"default_instances": 2}}},
                "relationships": [{"type": "r", "target": "one"}],
            },
        }
    )
    instances = make_instances(plan, "seed")
    assert [i.node_id for i in instances] == ["one", "two", "two"]
    assert instances[1].relationships[0]["target_id"] == instances[0].id
    assert len({i.id for i in instances}) == 3
