"""The house rules that a reader of the repository relies on."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import importlib.util
import itertools
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cmom.services.healing.plan import Phase, phase_to_repeat_from
from cmom.version import __version__

PROJECT = Path(__file__).resolve().parents[2]
PLUGIN = PROJECT / "plugins" / "cmom"
SKIPPED_FOLDERS = {".git", ".demo", ".lab", ".soak", ".hypothesis", "build", "dist", "__pycache__"}
BLUEPRINT_FILES = sorted(
    [PLUGIN / "plugin.yaml", *PROJECT.glob("inputs/*.yaml"), *PROJECT.glob("infra/*.yaml")]
)
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")])

# Its kind is checked by preflight, which names all faults in one message; with a type here `cfy` would refuse
# it before preflight could see any of the others.
# The same goes for what may be a mapping or a path.
CHECKED_BY_PREFLIGHT = {"additional_config", "parameters"}

# What the project names of the world outside: formats and their descriptions, never a place to fetch from.
KNOWN_HOSTS = {
    "keepachangelog.com",
    "localhost",
    "rpm-software-management.github.io",
    "semver.org",
    "www.apache.org",
    "www.getcloudify.org",
}
EXAMPLE_HOSTS = re.compile(
    r"^(127\.|10\.|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|[{$%<\[])|\.(example|test|invalid)$|^example\.|\.example\."
)


def belongs(name: str) -> bool:
    """Tell whether a folder is the project's, not one that tools and runs leave beside it."""
    return (
        name not in SKIPPED_FOLDERS
        and not name.startswith(".venv")
        and not name.endswith(("_cache", "-info"))
    )


def files() -> Iterator[Path]:
    """Yield every file that belongs to the project."""
    for folder, inner, names in os.walk(PROJECT):
        inner[:] = filter(belongs, inner)
        yield from (Path(folder, name) for name in names)


@functools.cache
def texts() -> tuple[tuple[Path, str], ...]:
    """Return the project's text files with their content, tests left out: they make up what they need."""
    found = []
    for path in sorted(path for path in files() if not path.is_relative_to(PROJECT / "tests")):
        with contextlib.suppress(UnicodeDecodeError):
            found.append((path, path.read_text(encoding="utf-8")))
    return tuple(found)


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict), path
    return content


def requirement_names(lines: list[str]) -> set[str]:
    """Return the names of requirements, as the package index compares them."""
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", match.group().lower()) for match in found if match}


def constrained() -> set[str]:
    """Return the names that constraints.txt pins."""
    return requirement_names((PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("folder", [PROJECT, PLUGIN], ids=["development", "plugin"])
def test_setup_py_takes_its_version_from_the_one_place(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == __version__


def test_plugin_yaml_names_the_same_version() -> None:
    assert load(PLUGIN / "plugin.yaml")["plugins"]["cmom"]["package_version"] == __version__


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (PROJECT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert all(f"\n   {number}. " in text for number in range(1, 10))


def test_no_file_names_a_place_to_fetch_from() -> None:
    found = []
    for path, text in texts():
        for host in re.findall(r"\bhttps?://([^\s/:'\"`)>,\\]+)", text):
            if host not in KNOWN_HOSTS and not EXAMPLE_HOSTS.search(host):
                found.append(f"{path.relative_to(PROJECT)}: {host}")
    assert found == []


def test_no_file_names_the_home_of_who_wrote_it() -> None:
    home = re.compile(r"/(?:home|Users)/(?!centos\b|\$|\{|<)\w|/root/\.\w")
    found = [
        f"{path.relative_to(PROJECT)}: {match.group()}"
        for path, text in texts()
        for match in [home.search(text)]
        if match
    ]
    assert found == []


def mappings() -> list[str]:
    """Return every operation and workflow that plugin.yaml maps to code."""
    contract = load(PLUGIN / "plugin.yaml")
    found: list[str] = []

    def walk(item: Any) -> None:
        if isinstance(item, dict):
            for key, value in item.items():
                if key in {"implementation", "mapping"} and isinstance(value, str) and value:
                    found.append(value)
                walk(value)
        elif isinstance(item, list):
            for value in item:
                walk(value)

    walk({key: contract.get(key) for key in ("node_types", "relationships")})
    for workflow in contract["workflows"].values():
        found.append(workflow if isinstance(workflow, str) else workflow["mapping"])
    return sorted(set(found))


@pytest.mark.parametrize("mapping", mappings())
def test_what_plugin_yaml_maps_to_is_there(mapping: str) -> None:
    plugin, _, target = mapping.partition(".")
    module, _, function = target.rpartition(".")
    assert plugin in load(PLUGIN / "plugin.yaml")["plugins"]
    assert callable(getattr(importlib.import_module(module), function))


def described(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield every input and property a file declares, with its place."""

    def walk(item: Any, place: str) -> Iterator[tuple[str, Any]]:
        if not isinstance(item, dict):
            return
        for key, value in item.items():
            if key in {"inputs", "properties", "parameters"} and isinstance(value, dict):
                for name, declaration in value.items():
                    yield f"{place}{key}.{name}", declaration
            else:
                yield from walk(value, f"{place}{key}.")

    content = load(path)
    sections = ("inputs", "node_types", "data_types", "relationships", "workflows")
    yield from walk({key: content[key] for key in sections if key in content}, "")


@pytest.mark.parametrize("path", BLUEPRINT_FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_input_and_property_says_what_it_is(path: Path) -> None:
    faults = []
    for place, declaration in described(path):
        if not isinstance(declaration, dict) or not declaration.get("description"):
            faults.append(f"{place}: no description")
        elif "type" not in declaration and place.rpartition(".")[2] not in CHECKED_BY_PREFLIGHT:
            faults.append(f"{place}: no type")
    assert faults == []


def test_the_plugin_declares_every_package_it_imports() -> None:
    distributions = {
        "yaml": "pyyaml",
        "cloudify": "cloudify-common",
        "cloudify_rest_client": "cloudify-common",
    }
    declared = requirement_names((PLUGIN / "requirements.txt").read_text(encoding="utf-8").splitlines())
    imported = set()
    for path in PLUGIN.glob("cmom/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            imported |= {name.partition(".")[0] for name in names}
    foreign = imported - set(sys.stdlib_module_names) - {"cmom"}
    assert requirement_names([distributions.get(name, name) for name in foreign]) == declared


def test_every_pinned_version_is_exact() -> None:
    lines = (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin)] == []


def test_what_the_plugin_asks_for_is_pinned_for_development() -> None:
    declared = requirement_names((PLUGIN / "requirements.txt").read_text(encoding="utf-8").splitlines())
    assert declared <= constrained()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_the_make_targets_a_document_names_exist(path: Path) -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = set(re.findall(r"(?:`|^ *\$? *)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_the_files_a_document_links_to_exist(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def anchors(path: Path) -> set[str]:
    """Return what links into a document may end with: its headings, as a forge makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_the_headings_a_document_links_to_exist(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    missing = [
        f"{file}#{anchor}"
        for file, anchor in links
        if anchor not in anchors(path.parent / file if file else path)
    ]
    assert missing == []


def test_every_module_that_the_architecture_names_exists() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = sorted(set(re.findall(r"`(cmom(?:\.[a-z]\w*)+)`", text)))
    assert len(named) > 25
    assert [name for name in named if importlib.util.find_spec(name) is None] == []


def test_the_diagram_of_a_heal_has_its_phases_in_their_order() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (diagram,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)
    steps = re.findall(r"^ +(\w+) --> (\w+): (.*)$", diagram, re.MULTILINE)
    phases = [phase.value for phase in Phase]
    assert set(itertools.pairwise(phases)) <= {(one, other) for one, other, _ in steps}
    after_failures = {(one, other) for one, other, why in steps if why == "failed"}
    assert after_failures
    assert after_failures <= {(phase.value, phase_to_repeat_from(phase).value) for phase in Phase}


def test_the_reference_says_what_its_sources_say() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/make_reference.py", "--check"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_test_cannot_reach_another_machine() -> None:
    with pytest.raises(OSError, match="not this machine"):
        socket.create_connection(("192.0.2.1", 443), timeout=1)


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").splitlines()) <= 250


def test_every_test_that_the_list_of_attacks_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (PROJECT / "docs" / "attacks.md").read_text(encoding="utf-8")))
    written = {
        name
        for path in (PROJECT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 40
    assert named - written == set()
