"""The lists of resources: judged whole, before the first request."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmom.errors import InvalidInputs
from cmom.models import Secret
from cmom.services.inputs import parse_parameters, parse_resources
from cmom.services.validation import archives
from cmom.services.validation.resources import KINDS, default_blueprint_id
from cmom.services.wanted import BlueprintEntry, DeploymentEntry, PluginEntry, Resources, SecretEntry
from tests.unit.cmom.given_inputs import blueprint_yaml, plugin_yaml, tar_file, text_file, wagon_file

CANARY = "canary-secret-value"
URL = "https://files.example.org/archive/master.zip"
BLUEPRINT = b"tosca_definitions_version: cloudify_dsl_1_3\n"


def faults_of(**raw: Any) -> dict[str, str]:
    with pytest.raises(InvalidInputs) as error:
        parse_resources(raw)
    assert CANARY not in str(error.value)
    return {fault.place: fault.problem for fault in error.value.faults}


def test_nothing_given_is_nothing_wanted():
    assert parse_resources({}) == Resources()
    assert parse_resources(dict.fromkeys(KINDS)) == Resources()
    assert parse_resources({kind: [] for kind in KINDS}) == Resources()


def test_every_kind_is_read_with_its_defaults(tmp_path):
    wagon, yaml, blueprint = wagon_file(tmp_path), plugin_yaml(tmp_path), blueprint_yaml(tmp_path)
    found = parse_resources(
        {
            "tenants": ["one", "two"],
            "secrets": [{"key": "k", "string": CANARY}],
            "plugins": [{"wagon": wagon, "yaml": yaml}],
            "blueprints": [{"path": blueprint}],
            "deployments": [{"blueprint_id": "nodecellar"}],
        }
    )
    assert found == Resources(
        tenants=("one", "two"),
        secrets=(SecretEntry("secrets[0]", "k", Secret(CANARY), "default_tenant", "tenant"),),
        plugins=(PluginEntry("plugins[0]", wagon, yaml, "default_tenant", "tenant"),),
        blueprints=(
            BlueprintEntry("blueprints[0]", blueprint, "nodecellar", None, "default_tenant", "tenant"),
        ),
        deployments=(
            DeploymentEntry("deployments[0]", "nodecellar", "nodecellar", {}, "default_tenant", "tenant"),
        ),
    )
    assert CANARY not in repr(found)


def test_twenty_malformed_entries_in_one_list_make_one_message_with_twenty_places():
    entries: list[Any] = [{"wagon": f"/no/such/{number}.wgn", "yaml": URL} for number in range(20)]
    with pytest.raises(InvalidInputs) as error:
        parse_resources({"plugins": entries})
    lines = str(error.value).splitlines()
    assert lines[0] == "20 faults in the inputs:"
    assert [line.split(":")[0] for line in lines[1:]] == [
        f"  - plugins[{number}].wagon" for number in range(20)
    ]


def test_what_stands_twice_is_named_also_where_there_are_many():
    many = [f"t{number}" for number in range(10)]
    assert faults_of(
        tenants=[*many, "t2"], secrets=[{"key": key, "string": CANARY} for key in (*many, "t2")]
    ) == {
        "tenants[10]": "is the same as tenants[2]: 't2'",
        "secrets[10].key": "is the same as secrets[2].key: 't2' in tenant default_tenant",
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("value", "word"), [("x", "text"), ({"a": 1}, "a mapping"), (5, "a number")])
def test_what_is_no_list_is_refused(kind, value, word):
    assert faults_of(**{kind: value}) == {kind: f"must be a list, not {word}"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tenants"])
@pytest.mark.parametrize("entry", [None, CANARY, 5, [CANARY], True])
def test_an_entry_that_is_no_mapping_is_refused_and_not_shown(kind, entry):
    [(place, problem)] = faults_of(**{kind: [entry]}).items()
    assert place == f"{kind}[0]"
    assert problem.startswith("must be a mapping like {")


def test_an_unknown_list_is_named_with_the_nearest():
    assert faults_of(secret=[]) == {"secret": "unknown; did you mean 'secrets'?"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "must not be empty"),
        ("1st", "must begin with a letter"),
        ("-x", "must begin with a letter"),
        ("\u00e4", "must begin with a letter"),
        ("a b", "letters, digits, '-', '.' and '_' only"),
        ("a/b", "letters, digits, '-', '.' and '_' only"),
        ("a~b", "letters, digits, '-', '.' and '_' only"),
        ("a\n", "letters, digits, '-', '.' and '_' only"),
        ("x" * 257, "is too long: 257 characters, at most 256 are allowed"),
        (7, "must be the name of a tenant, not a number; put it in quotes"),
        ({"name": "x"}, "must be the name of a tenant, not a mapping"),
    ],
)
def test_a_tenants_name_is_an_identifier(name, said):
    assert said in faults_of(tenants=[name])["tenants[0]"]


def test_a_name_that_stands_twice_is_refused_with_both_places(tmp_path):
    blueprint = blueprint_yaml(tmp_path)
    assert faults_of(
        tenants=["a", "b", "a"],
        secrets=[{"key": "k", "string": "x"}, {"key": "k", "string": "y"}],
        blueprints=[{"path": blueprint}, {"path": URL, "id": "nodecellar"}],
        deployments=[{"blueprint_id": "b"}, {"blueprint_id": "c", "deployment_id": "b"}],
    ) == {
        "tenants[2]": "is the same as tenants[0]: 'a'",
        "secrets[1].key": "is the same as secrets[0].key: 'k' in tenant default_tenant",
        "blueprints[1].id": "is the same as blueprints[0].id: 'nodecellar' in tenant default_tenant",
        "deployments[1].deployment_id": "is the same as deployments[0].deployment_id: 'b' in tenant "
        "default_tenant",
    }


def test_the_same_name_in_two_tenants_is_two_things():
    entries = [{"key": "k", "string": "x", "tenant": "a"}, {"key": "k", "string": "x", "tenant": "b"}]
    assert len(parse_resources({"secrets": entries}).secrets) == 2


@pytest.mark.parametrize("visibility", ["private", "tenant", "global"])
def test_the_three_words_of_visibility_are_accepted(visibility):
    entry = {"key": "k", "string": "x", "visibility": visibility}
    assert parse_resources({"secrets": [entry]}).secrets[0].visibility == visibility


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tenants"])
def test_another_word_of_visibility_is_refused_everywhere(kind):
    faults = faults_of(**{kind: [{"visibility": "public"}]})
    assert faults[f"{kind}[0].visibility"] == "must be one of private, tenant, global, not 'public'"


def test_a_secret_in_a_file_has_the_files_content(tmp_path):
    path = text_file(tmp_path, "value", CANARY + "\n")
    assert (
        parse_resources({"secrets": [{"key": "k", "file": path}]}).secrets[0].value.reveal() == CANARY + "\n"
    )


def test_a_secret_has_one_value_that_is_text(tmp_path):
    path = text_file(tmp_path, "value", CANARY)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe" + CANARY.encode())
    assert faults_of(
        secrets=[
            {"key": "a", "string": CANARY, "file": path},
            {"key": "b"},
            {"key": "c", "string": 5},
            {"key": "d", "string": [CANARY]},
            {"key": "e", "file": "/no/such"},
            {"key": "f", "file": str(binary)},
            {"key": "g", "file": text_file(tmp_path, "empty", "")},
            {"key": "h", "value": CANARY},
            {"string": CANARY},
        ]
    ) == {
        "secrets[0].file": "is given beside `string`; a secret has one of them only",
        "secrets[1].string": "missing (or `file`): a secret needs a value that is not empty",
        "secrets[2].string": "must be text, not a number; put it in quotes",
        "secrets[3].string": "must be text, not a list",
        "secrets[4].file": "there is no file /no/such on Tier 2",
        "secrets[5].file": f"{binary} is not text (UTF-8); managers keep text only",
        "secrets[6].file": f"{tmp_path}/empty is empty",
        "secrets[7].value": "unknown; known are file, key, string, tenant, visibility",
        "secrets[7].string": "missing (or `file`): a secret needs a value that is not empty",
        "secrets[8].key": "missing",
    }


def test_a_value_that_stands_where_the_key_belongs_is_not_shown():
    faults = faults_of(secrets=[{"key": f"{CANARY}!", "string": "k"}, {"key": f"1{CANARY}", "string": "k"}])
    assert faults == {
        "secrets[0].key": "may have letters, digits, '-', '.' and '_' only",
        "secrets[1].key": "must begin with a letter (a-z, A-Z)",
    }


def test_a_plugin_needs_its_wagon_and_its_yaml():
    assert faults_of(plugins=[{}]) == {"plugins[0].wagon": "missing", "plugins[0].yaml": "missing"}


def test_a_plugin_may_come_from_the_web():
    url = "https://files.example.org/x.wgn"
    [plugin] = parse_resources({"plugins": [{"wagon": url, "yaml": URL, "tenant": "t"}]}).plugins
    assert (plugin.wagon, plugin.yaml, plugin.tenant) == (url, URL, "t")


@pytest.mark.parametrize("name", ["p.wgn", "p-1.0-py311-none-linux_x86_64.wgn"])
def test_a_wagon_that_is_a_zip_is_accepted(tmp_path, name):
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("x/package.json", json.dumps({"package_name": "x"}))
    entry = {"wagon": str(tmp_path / name), "yaml": plugin_yaml(tmp_path)}
    assert parse_resources({"plugins": [entry]}).plugins[0].wagon == entry["wagon"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"x/other.json": b"{}"}, "it has no package.json"),
        ({"x/package.json": b"{"}, "its package.json names no package"),
        ({"x/package.json": b"[]"}, "its package.json names no package"),
        ({"x/package.json": b"{}"}, "its package.json names no package"),
    ],
)
def test_a_wagon_without_readable_metadata_is_refused(tmp_path, members, said):
    wagon = tar_file(tmp_path, "p.wgn", members)
    assert faults_of(plugins=[{"wagon": wagon, "yaml": URL}]) == {
        "plugins[0].wagon": f"{wagon} is not a wagon: {said}"
    }


def test_a_wagon_that_was_cut_is_refused(tmp_path):
    whole = Path(wagon_file(tmp_path)).read_bytes()
    (tmp_path / "cut.wgn").write_bytes(whole[: len(whole) // 3])
    for content in (whole[: len(whole) // 3], b"", b"not an archive"):
        (tmp_path / "cut.wgn").write_bytes(content)
        faults = faults_of(plugins=[{"wagon": str(tmp_path / "cut.wgn"), "yaml": URL}])
        assert faults == {
            "plugins[0].wagon": f"{tmp_path}/cut.wgn is not a wagon: it cannot be read as an archive"
        }


def test_of_a_huge_wagon_only_the_beginning_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_SCANNED_BYTES", 100_000)
    wagon = tar_file(tmp_path, "p.wgn", {"x/wheels/big.whl": os.urandom(400_000), "x/package.json": b"{}"})
    entry = {"wagon": wagon, "yaml": plugin_yaml(tmp_path)}
    assert parse_resources({"plugins": [entry]}).plugins[0].wagon == wagon


@pytest.mark.parametrize(
    "content", ["tosca_definitions_version: x\n", "- a\n", "a: [", "a: !!python/object:x {}\n", "x"]
)
def test_a_plugins_yaml_has_plugins_in_it(tmp_path, content):
    path = text_file(tmp_path, "plugin.yaml", content)
    problem = faults_of(plugins=[{"wagon": URL, "yaml": path}])["plugins[0].yaml"]
    assert problem.startswith(path)


def test_a_blueprints_id_defaults_to_its_folder_or_archive(tmp_path):
    assert default_blueprint_id("/b/nodecellar/openstack.yaml") == "nodecellar"
    assert default_blueprint_id("/b/nodecellar-1.2.tar.gz") == "nodecellar-1.2"
    assert default_blueprint_id("/b/Nodecellar.ZIP") == "Nodecellar"
    assert default_blueprint_id("/b/no-suffix") == "no-suffix"
    assert default_blueprint_id("https://files.example.org/a/master.tar.bz2?x=1.zip") == "master"
    assert default_blueprint_id("https://files.example.org/a/my%20one.zip") == "my one"


def test_a_default_id_that_no_manager_accepts_must_be_given(tmp_path):
    path = blueprint_yaml(tmp_path, "1st-one/blueprint.yaml")
    assert faults_of(blueprints=[{"path": path}]) == {
        "blueprints[0].id": "missing, and the name taken from `path` cannot be one: "
        "it must begin with a letter (a-z, A-Z), unlike '1st-one'"
    }
    assert parse_resources({"blueprints": [{"path": path, "id": "first"}]}).blueprints[0].id == "first"


def archive(folder: Path, kind: str, members: dict[str, bytes]) -> str:
    if kind != "zip":
        return tar_file(
            folder, f"b.{kind}", members, {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2"}[kind]
        )
    with zipfile.ZipFile(folder / "b.zip", "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return str(folder / "b.zip")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2"])
class TestArchives:
    def test_one_with_a_blueprint_in_its_folder_is_accepted(self, tmp_path, kind):
        path = archive(tmp_path, kind, {"x/blueprint.yaml": BLUEPRINT, "x/scripts/a.sh": b""})
        assert parse_resources({"blueprints": [{"path": path}]}).blueprints[0].id == "b"

    def test_the_main_file_may_have_another_name(self, tmp_path, kind):
        path = archive(tmp_path, kind, {"x/sub/main.yaml": BLUEPRINT})
        [found] = parse_resources({"blueprints": [{"path": path, "filename": "sub/main.yaml"}]}).blueprints
        assert found.filename == "sub/main.yaml"

    def test_a_main_file_that_is_not_there_is_refused(self, tmp_path, kind):
        path = archive(tmp_path, kind, {"x/main.yaml": BLUEPRINT})
        assert faults_of(blueprints=[{"path": path}]) == {
            "blueprints[0].path": f"{path} has no blueprint.yaml in its folder; name the main file as "
            "`filename`"
        }
        assert faults_of(blueprints=[{"path": path, "filename": "other.yaml"}]) == {
            "blueprints[0].path": f"{path} has no other.yaml in its folder"
        }

    @pytest.mark.parametrize(
        "names", [["blueprint.yaml"], ["x/blueprint.yaml", "y/z"], ["x/blueprint.yaml", "readme"], []]
    )
    def test_exactly_one_folder_stands_at_the_root(self, tmp_path, kind, names):
        path = archive(tmp_path, kind, dict.fromkeys(names, BLUEPRINT))
        assert faults_of(blueprints=[{"path": path}]) == {
            "blueprints[0].path": f"{path} must have exactly one folder at its root, with everything in it"
        }


def test_names_with_a_dot_before_them_are_understood(tmp_path):
    path = tar_file(tmp_path, "b.tar", {"./x/blueprint.yaml": BLUEPRINT}, "w")
    assert parse_resources({"blueprints": [{"path": path}]}).blueprints[0].path == path


def test_what_is_no_archive_is_refused(tmp_path):
    path = text_file(tmp_path, "b.zip", "nothing")
    assert (
        "is neither a blueprint's .yaml file nor an archive"
        in faults_of(blueprints=[{"path": path}])["blueprints[0].path"]
    )


@pytest.mark.parametrize("filename", ["/etc/x.yaml", "../x.yaml", "a/../../x.yaml", "readme.txt", 5])
def test_a_main_file_is_a_yaml_file_within_the_archive(filename):
    assert list(faults_of(blueprints=[{"path": URL, "filename": filename}])) == ["blueprints[0].filename"]


def test_a_filename_beside_a_yaml_file_is_refused(tmp_path):
    assert faults_of(blueprints=[{"path": blueprint_yaml(tmp_path), "filename": "x.yaml"}]) == {
        "blueprints[0].filename": "is for archives only; `path` names a yaml file already"
    }


def test_a_yaml_file_that_is_no_blueprint_is_refused(tmp_path):
    path = plugin_yaml(tmp_path)
    assert faults_of(blueprints=[{"path": path}]) == {
        "blueprints[0].path": f"{path} is not a blueprint: it has no `tosca_definitions_version`"
    }


def test_a_deployments_inputs_may_stand_in_a_file(tmp_path):
    path = text_file(tmp_path, "inputs.yaml", f"a: 1\npassword: {CANARY}\n")
    [found] = parse_resources({"deployments": [{"blueprint_id": "b", "inputs": path}]}).deployments
    assert found.inputs == {"a": 1, "password": CANARY}
    assert CANARY not in repr(found)


def test_each_fault_of_a_deployment_has_its_place(tmp_path):
    listing = text_file(tmp_path, "list.yaml", f"- {CANARY}\n")
    broken = text_file(tmp_path, "broken.yaml", f"a: 1\nb: '{CANARY}\n")
    assert faults_of(
        deployments=[
            {},
            {"blueprint_id": "b", "deployment_id": "1"},
            {"blueprint_id": "b1", "inputs": [CANARY]},
            {"blueprint_id": "b2", "inputs": "/no/such.yaml"},
            {"blueprint_id": "b3", "inputs": listing},
            {"blueprint_id": "b4", "inputs": broken},
            {"blueprint_id": "b5", "inputs": {5: CANARY}},
            {"blueprint_id": "b6", "id": "x"},
        ]
    ) == {
        "deployments[0].blueprint_id": "missing",
        "deployments[1].deployment_id": "must begin with a letter (a-z, A-Z), unlike '1'",
        "deployments[2].inputs": "must be a mapping or the path of a YAML file, not a list",
        "deployments[3].inputs": "there is no file /no/such.yaml on Tier 2",
        "deployments[4].inputs": f"{listing} does not hold a mapping",
        "deployments[5].inputs": f"{broken} is not valid YAML (line 3)",
        "deployments[6].inputs": "has a name that is not text; put it in quotes",
        "deployments[7].id": "unknown; known are blueprint_id, deployment_id, inputs, tenant, visibility",
    }


def test_parameters_of_a_workflow_are_a_mapping_or_a_file_with_one(tmp_path):
    assert parse_parameters({"a": 1}) == {"a": 1}
    assert parse_parameters(None) == {}
    assert parse_parameters(text_file(tmp_path, "p.yaml", "a: 1\n")) == {"a": 1}
    with pytest.raises(
        InvalidInputs, match="parameters: must be a mapping or the path of a YAML file, not a list"
    ):
        parse_parameters([1])


@pytest.mark.parametrize("content", ["a: 2024-99-99\n", "? {a: b}\n: c\n", "[" * 3000])
def test_a_file_that_only_looks_like_yaml_is_a_fault(tmp_path, content):
    path = text_file(tmp_path, "p.yaml", content)
    with pytest.raises(InvalidInputs, match="is not valid YAML"):
        parse_parameters(path)


TEXT = st.text("ab01./-:{}[]'\" \x00\n\u00e9\ud800", max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
NAMES = (
    *("key", "string", "file", "wagon", "yaml", "path", "id", "filename"),
    *("blueprint_id", "deployment_id", "inputs", "tenant", "visibility"),
)
ENTRIES = VALUES | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=100)
@given(raw=st.dictionaries(st.sampled_from(KINDS), VALUES | st.lists(ENTRIES, max_size=3), max_size=5))
def test_whatever_is_given_the_answer_is_resources_or_faults(raw):
    try:
        assert isinstance(parse_resources(raw), Resources)
    except InvalidInputs as error:
        assert error.faults  # noqa: PT017 - either outcome is fine, any other error is not


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    cut=st.integers(0, 400),
    change=st.integers(0, 400),
    byte=st.integers(0, 255),
    kind=st.sampled_from(["tar", "tar.gz", "zip"]),
)
def test_a_damaged_archive_is_a_fault_or_fine_and_never_an_error(tmp_path, cut, change, byte, kind):
    whole = bytearray(
        Path(
            archive(tmp_path, kind, {"x/blueprint.yaml": BLUEPRINT * 9, "x/package.json": b"{}"})
        ).read_bytes()
    )
    whole[min(change, len(whole) - 1)] = byte
    path = tmp_path / "damaged.zip"
    path.write_bytes(whole[: len(whole) - cut] if cut < len(whole) else b"")
    raw = {"blueprints": [{"path": str(path)}], "plugins": [{"wagon": str(path), "yaml": URL}]}
    with pytest.raises(InvalidInputs):
        parse_resources(raw)


def test_a_link_in_an_archive_is_no_main_file_trouble(tmp_path):
    path = tmp_path / "b.tar"
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo("x/package.json")
        link.type, link.linkname = tarfile.SYMTYPE, "elsewhere"
        tar.addfile(link)
        info = tarfile.TarInfo("x/y")
        tar.addfile(info, io.BytesIO())
    assert "not a wagon" in faults_of(plugins=[{"wagon": str(path), "yaml": URL}])["plugins[0].wagon"]
