"""Every command that README.md and docs/runbook.md tell is run by a test; this one knows which."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.documents import stories
from tests.documents.commands import PROJECT, README, RUNBOOK, Command, commands_in

DOCUMENTS = (README, RUNBOOK)


def all_commands() -> list[Command]:
    return [command for path in DOCUMENTS for command in commands_in(path)]


def is_part_of_another(text: str) -> bool:
    """Tell whether a text only names a command by its first words, as in "a second `cfy install`"."""
    return any(longer.split()[: len(text.split())] == text.split() for longer in stories.EVERYWHERE)


def test_every_command_is_run_somewhere() -> None:
    unknown = [
        f"{command.place}: {command.text}"
        for command in all_commands()
        if command.text not in stories.EVERYWHERE and not is_part_of_another(command.text)
    ]
    assert unknown == [], "say in tests/documents/stories.py where they are run"


def test_nothing_is_run_that_no_document_tells() -> None:
    told = {command.text for command in all_commands()}
    assert set(stories.EVERYWHERE) - told == set()


def test_no_command_is_told_to_run_in_two_places() -> None:
    assert len(set(stories.EVERYWHERE)) == len(stories.EVERYWHERE)


@pytest.mark.parametrize("command", stories.ELSEWHERE)
def test_a_command_that_another_test_runs_stands_in_it(command: str) -> None:
    file, name, fragment = stories.ELSEWHERE[command]
    text = (PROJECT / file).read_text(encoding="utf-8")
    found = re.search(rf"^def {name}\(.*?(?=^def |\Z)", text, re.MULTILINE | re.DOTALL)

    assert found, f"{file} has no {name}"
    assert fragment in (found.group() if name != _UNIT_FILE else text)


_UNIT_FILE = "test_it_starts_the_program_with_the_configuration_that_it_looks_for"


@pytest.mark.parametrize("command", [*stories.BY_MAKE, *stories.TOLD_BY_MAKE])
def test_make_knows_its_targets(command: str, tmp_path: Path) -> None:
    # Nothing is run: -n shows what would be.
    words = [*shlex.split(command), "--dry-run", "--no-print-directory"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert re.search(r"/python|/pytest", done.stdout)


@pytest.mark.parametrize("command", stories.TOLD_TO_PIP)
def test_what_pip_is_told_to_install_is_what_is_installed_here(command: str) -> None:
    words = [word for word in shlex.split(command)[2:] if not word.startswith("-")]
    folders = [word for word in words if word.startswith("./")]

    assert [(PROJECT / folder / "setup.py").is_file() for folder in folders] == [True]
    for word in set(words) - set(folders):
        requirement = Requirement(word)
        try:
            installed = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            assert requirement.name == "setuptools", "everything else is needed here, too"
            continue
        assert requirement.specifier.contains(installed), (word, installed)


def test_commands_are_found_where_readers_find_them(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(
        "Run `cfy status  -v`, not `status`; `cfy` alone is no command.\n"
        "```\nmake it    # so\n# a remark\n\n  cp a#b c\n```\n"
        "| in a table | `cfy_manager remove -f` |\n"
        "```yaml\ncfy: install me\n```\n"
        "   ```\n   $ cfy one\n   its output\n   ```\n"
    )
    assert [(command.place, command.text) for command in commands_in(document)] == [
        ("document.md:1", "cfy status -v"),
        ("document.md:3", "make it"),
        ("document.md:6", "cp a#b c"),
        ("document.md:8", "cfy_manager remove -f"),
        ("document.md:13", "cfy one"),
    ]
