"""Change one thing at a time in a module, and see whether its tests notice: mutation testing with cosmic-ray.

Usage: mutants.py [WORD ...]; only modules with one of the words in their path are changed. It works on a copy
of the repository, so nothing here is touched, and takes minutes for each module, at the lowest priority. What
survives is printed as a diff: a test that is missing, or a change that changes nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PACKAGE = "plugins/cmom/cmom"
# The modules whose mistakes cost most, and the tests that are to notice them.
SNAPSHOTS = (
    "tests/unit/cmom/test_snapshot_store.py",
    "tests/unit/cmom/test_snapshot_archive.py",
    "tests/unit/attacks/test_files.py",
)
INPUTS = (
    "tests/unit/cmom/test_named_files.py",
    "tests/unit/cmom/test_named_archives.py",
    "tests/unit/cmom/test_inputs.py",
    "tests/unit/cmom/test_resources_inputs.py",
    "tests/unit/cmom/test_snapshot_inputs.py",
    "tests/unit/cmom/test_heal_inputs.py",
    "tests/unit/attacks/test_files.py",
)
TESTS = {
    "services/healing/plan.py": ("tests/unit/cmom/test_heal_plan.py",),
    "services/healing/record.py": ("tests/unit/cmom/test_heal_record.py",),
    "services/certificates.py": ("tests/unit/cmom/test_certificates.py",),
    "services/authority.py": ("tests/unit/cmom/test_authority.py",),
    "services/snapshots/retention.py": SNAPSHOTS,
    "services/snapshots/manifest.py": SNAPSHOTS,
    "services/snapshots/store.py": SNAPSHOTS,
    "services/snapshots/archive.py": SNAPSHOTS,
    "services/validation/findings.py": INPUTS,
    "services/validation/healing.py": INPUTS,
    "services/validation/fields.py": INPUTS,
    "services/validation/files.py": INPUTS,
    "services/validation/archives.py": INPUTS,
    "services/validation/machines.py": INPUTS,
    "services/validation/manager.py": INPUTS,
    "services/validation/resources.py": INPUTS,
    "services/validation/snapshots.py": INPUTS,
}
# `str | None` in an annotation is no operation, and nobody notices what becomes of it.
SENSELESS = ["core/ReplaceBinaryOperator_BitOr_.*"]
SECONDS = 120.0


def main(words: list[str]) -> int:
    """Test the modules, and print what survived; return 0."""
    os.nice(19)
    chosen = {
        module: tests for module, tests in TESTS.items() if not words or any(w in module for w in words)
    }
    with tempfile.TemporaryDirectory(prefix="cmom-mutants-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(".*", "build", "dist", "__pycache__"))
        for module, tests in chosen.items():
            report(module, list(results(copy, module, [test for test in tests if (copy / test).exists()])))
    return 0


def results(copy: Path, module: str, tests: list[str]) -> Iterator[tuple[str, str]]:
    """Yield for each change how the tests ended, and the change as a diff."""
    command = [str(BIN / "python"), "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    config = copy.parent / "cosmic-ray.toml"
    config.write_text(
        "[cosmic-ray]\n"
        f'module-path = "{PACKAGE}/{module}"\ntimeout = {SECONDS}\nexcluded-modules = []\n'
        f'test-command = "{" ".join(command)}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
        f"[cosmic-ray.filters.operators-filter]\nexclude-operators = {SENSELESS}\n",
        encoding="utf-8",
    )
    session = copy.parent / f"{module.replace('/', '-')}.sqlite"
    # The copy stands before what is installed in the virtual environment.
    paths = os.pathsep.join(str(copy / path) for path in ("plugins/cmom", "plugins/meta", ""))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=copy, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    run(*command)
    run(str(BIN / "cosmic-ray"), "init", str(config), str(session))
    run(str(BIN / "cr-filter-operators"), str(session), str(config))
    run(str(BIN / "cosmic-ray"), "exec", str(config), str(session))
    for line in run(str(BIN / "cosmic-ray"), "dump", str(session)).splitlines():
        _, result = json.loads(line)
        if result is not None and result["worker_outcome"] != "skipped":
            yield str(result["test_outcome"]), str(result["diff"] or "")


def report(module: str, found: list[tuple[str, str]]) -> None:
    """Print the figures of a module, and what survived."""
    survivors = [diff for outcome, diff in found if outcome == "survived"]
    noticed = len(found) - len(survivors)
    print(f"{module}: {noticed} of {len(found)} changes noticed, {len(survivors)} survived", flush=True)
    for diff in survivors:
        print(
            "\n".join(line for line in diff.splitlines() if not line.startswith(("---", "+++"))), flush=True
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
