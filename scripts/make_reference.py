"""Writes docs/reference.md out of the plugins' contracts, the blueprints and the code they lead to.

Called as `PYTHON scripts/make_reference.py [--check]`. With --check nothing is written: the exit code
is 1 when the page is not what it would be.

What a thing is stands beside it: the description of an input, property or parameter in YAML, the first
paragraph of the docstring of what an operation or workflow leads to, and the comment above a type or
relationship.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference.md"
PLUGINS = ("cmom", "meta")
BLUEPRINTS = ("hosts_blueprint.yaml", "blueprint.yaml", "meta_blueprint.yaml")

HEAD = """# Reference

Everything that can be set, started or read. Made by `make reference` out of `plugins/*/plugin.yaml`,
`inputs/`, `infra/`, the blueprints and `options/cmom-monitor.yaml`: change those, not this page.

- [Inputs](#inputs), [outputs](#outputs)
- Workflows [of a cluster](#workflows-of-a-cluster) and [of a fleet](#workflows-of-a-fleet)
- [Node types](#node-types), [relationships](#relationships), [data types](#data-types)
- [Settings of the monitor](#settings-of-the-monitor)

Durations are in seconds, sizes in bytes. `Tier 2` is where this runs, `Tier 1` what it installs.
"""


def load(path: str) -> dict[str, Any]:
    """Read one of the project's YAML files, which holds a mapping."""
    content = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise SystemExit(f"{path} holds no mapping")
    return content


def cell(text: str) -> str:
    """Return text as the content of a cell: one line, with nothing that Markdown would take for its own."""
    words = " ".join(str(text).split())
    return words.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def code(value: Any) -> str:
    """Return a value as YAML on one line would have it."""
    if isinstance(value, str):
        shown = value or "''"
    else:
        shown = yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...").strip()
    return f"`{shown}`".replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; empty without rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines) + "\n"


def declarations(declared: Mapping[str, Any], *, name: str) -> str:
    """Return the table of inputs, properties or parameters."""
    rows = []
    for key, one in declared.items():
        default = code(one["default"]) if "default" in one else "**needed**"
        words = cell(one.get("description", ""))
        for constraint in one.get("constraints", []):
            words += f" {constrained(constraint)}"
        rows.append([f"`{key}`", f"{one.get('type', 'any')}", default, words])
    return table([name, "type", "default", ""], rows)


def constrained(constraint: Mapping[str, Any]) -> str:
    """Return a constraint in words."""
    ((kind, value),) = constraint.items()
    if kind == "min_length":
        return "Not empty."
    if kind == "greater_or_equal":
        return f"At least {value}."
    if kind == "valid_values":
        return f"One of {', '.join(code(one) for one in value)}."
    raise SystemExit(f"no words for the constraint {kind}")


def first_paragraph(plugin: str, mapping: str) -> str:
    """Return what the docstring of an operation or workflow says of it first.

    Args:
        plugin: The plugin's folder.
        mapping: As plugin.yaml has it: the plugin's name, then the dotted name of the function.
    """
    module, _, function = mapping.partition(".")[2].rpartition(".")
    source = ROOT / "plugins" / plugin / Path(*module.split(".")).with_suffix(".py")
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            said = (ast.get_docstring(node) or "").partition("\n\n")[0]
            return cell(said.replace("``", "`"))
    raise SystemExit(f"{mapping} leads to nothing")


def comments(path: str) -> dict[str, str]:
    """Return the comment above each entry of a section, by the entry's name."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"  # (.*)", line):
            above.append(match[1])
            continue
        if (match := re.match(r"  ([\w.]+):", line)) and above:
            found[match[1]] = " ".join(above)
        above = []
    return found


def imported(path: str) -> Iterator[str]:
    """Yield the project's files that a blueprint imports, in their order, each after those it imports."""
    for one in load(path).get("imports", []):
        near = (Path(path).parent / one).as_posix()
        if (ROOT / near).is_file():
            yield from imported(near)
            yield near


def inputs() -> Iterator[str]:
    """Yield the tables of inputs, one for each file that declares some."""
    yield "## Inputs\n\n`sample_inputs.yaml` has all of those of the first two blueprints, with examples.\n\n"
    used = {blueprint: [*imported(blueprint), blueprint] for blueprint in BLUEPRINTS}
    for path in dict.fromkeys(path for listed in used.values() for path in listed):
        content = load(path)
        if not content.get("inputs"):
            continue
        users = [f"`{blueprint}`" for blueprint, listed in used.items() if path in listed]
        said = re.match(r"# (.*(?:\n# .*)*)", (ROOT / path).read_text(encoding="utf-8"))
        about = " ".join(said[1].replace("\n# ", " ").split()) if said else ""
        yield f"### {path}\n\n{about}\nFor {' and '.join(users)}.\n\n"
        yield declarations(content["inputs"], name="input")


def outputs() -> Iterator[str]:
    """Yield the outputs of the blueprints."""
    yield "## Outputs\n\n`cfy deployments outputs` shows them as the last workflow left them.\n\n"
    for title, paths in (
        ("Of a cluster", ["infra/topology.yaml"]),
        ("Of a fleet", ["meta_blueprint.yaml"]),
    ):
        rows = [
            [f"`{name}`", cell(one["description"])]
            for path in paths
            for name, one in load(path)["outputs"].items()
        ]
        yield f"### {title}\n\n{table(['output', ''], rows)}"


def workflows(plugin: str, title: str) -> Iterator[str]:
    """Yield each workflow with its parameters."""
    yield f"## {title}\n\n"
    for name, one in load(f"plugins/{plugin}/plugin.yaml")["workflows"].items():
        yield f"### {name}\n\n{first_paragraph(plugin, one['mapping'])}\n\n"
        yield declarations(one.get("parameters", {}), name="parameter")


def operations(plugin: str, interfaces: Mapping[str, Any]) -> str:
    """Return the table of what a type does."""
    rows = []
    for interface, listed in interfaces.items():
        for name, one in listed.items():
            rows.append(
                [
                    f"`{interface}.{name}`".replace("cloudify.interfaces.", ""),
                    first_paragraph(plugin, one["implementation"]),
                ]
            )
    return table(["operation", ""], rows)


def types() -> Iterator[str]:
    """Yield node types, relationships and data types of all plugins."""
    contracts = {plugin: load(f"plugins/{plugin}/plugin.yaml") for plugin in PLUGINS}
    said = {plugin: comments(f"plugins/{plugin}/plugin.yaml") for plugin in PLUGINS}
    for section, title in (
        ("node_types", "Node types"),
        ("relationships", "Relationships"),
        ("data_types", "Data types"),
    ):
        yield f"## {title}\n\n"
        for plugin, contract in contracts.items():
            for name, one in contract.get(section, {}).items():
                about = one.get("description") or said[plugin].get(name, "")
                if not about:
                    raise SystemExit(
                        f"plugins/{plugin}/plugin.yaml: a comment above {name} has to say what it is"
                    )
                yield f"### {name}\n\n{cell(about)}\n"
                yield f"Derived from `{one['derived_from']}`.\n\n" if "derived_from" in one else "\n"
                yield declarations(one.get("properties", {}), name="property")
                yield operations(plugin, {**one.get("interfaces", {}), **one.get("source_interfaces", {})})


def monitor() -> Iterator[str]:
    """Yield the monitor's configuration, which a test compares with what the monitor takes."""
    text = (ROOT / "options" / "cmom-monitor.yaml").read_text(encoding="utf-8")
    yield "## Settings of the monitor\n\n"
    yield f"`options/cmom-monitor.yaml` has all of them:\n\n```yaml\n{text}```\n"


def page() -> str:
    """Return the whole page."""
    parts = [HEAD, "\n", *inputs(), *outputs()]
    parts += workflows("cmom", "Workflows of a cluster")
    parts += workflows("meta", "Workflows of a fleet")
    parts += [*types(), *monitor()]
    return "".join(parts)


def main(arguments: Sequence[str]) -> int:
    """Write the page, or compare it; return the exit code."""
    wanted = page()
    if "--check" not in arguments:
        TARGET.write_text(wanted, encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == wanted:
        return 0
    print("docs/reference.md is not what the sources say any more: run `make reference`")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
