"""100 mixed entries: `add_resources` beside one `cfy` process for each entry, on the same kind of manager.

    python -m benchmarks.resources [--versions 4.6.0 7.0.5] [--entries 100]

Each side gets a manager of the lab that is empty, in a process of its own and with the rate limit that its
version has, and makes the same things in the same order. The figures and their ratio are printed; the exit
code is 0 when ours is ten times faster.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.resources.manager import running_manager
from benchmarks.results import Row, add_options, finish
from benchmarks.served import Served
from cmom.models import Version
from cmom.services.inputs import parse_resources
from cmom.services.relay import Relay
from cmom.services.resources.filler import ResourceFiller
from cmom.services.tier1 import connect
from lab.manager.samples import make_blueprint, make_wagon, plugin_yaml

TENANT = "blue"
# cfy 7.0.5 refuses to talk to managers before 5.0.5, so 4.x is compared with the same cfy on this one.
CFY_VERSION = "7.0.5"
GOAL = 10
# Generation 5 lets through 20 requests at once and then 10 a second; the 100 entries take 110.
_LIMITED_SECONDS = 1.2 * (110 - 20) / 10
_OR_LIMITED = f", or what its rate limit allows: {_LIMITED_SECONDS:.1f} s"
# One tenant, and of every ten other entries so many:
_SHARES = {"secrets": 5, "plugins": 1, "blueprints": 2, "deployments": 2}
_PROCESS_SECONDS = 120


def make_lists(folder: Path, count: int) -> dict[str, Any]:
    """Make files, and lists of `count` entries that name them."""
    lists: dict[str, Any] = {"tenants": [TENANT], **{kind: [] for kind in _SHARES}}
    kinds = [kind for kind, share in _SHARES.items() for _ in range(share)]
    for number in range(count - 1):
        kind = kinds[number % len(kinds)]
        lists[kind].append(_entry(folder, kind, len(lists[kind])))
    return lists


def _entry(folder: Path, kind: str, number: int) -> dict[str, Any]:
    if kind == "secrets":
        return {"key": f"secret-{number}", "string": f"value {number}", "tenant": TENANT}
    if kind == "plugins":
        name = f"sample-plugin-{number}"
        yaml = folder / f"{name}.yaml"
        yaml.write_text(plugin_yaml(name))
        wagon = make_wagon(folder, name, padding_bytes=1_000_000)
        return {"wagon": str(wagon), "yaml": str(yaml), "tenant": TENANT}
    if kind == "blueprints":
        return {"path": str(make_blueprint(folder, f"blueprint-{number}")), "tenant": TENANT}
    return {"blueprint_id": f"blueprint-{number}", "deployment_id": f"deployment-{number}", "tenant": TENANT}


def commands(lists: Mapping[str, Any]) -> list[list[str]]:
    """Return what a person would type for the same entries."""
    found = [["tenants", "create", name] for name in lists["tenants"]]
    found += [
        ["secrets", "create", secret["key"], "-s", secret["string"], "-t", TENANT]
        for secret in lists["secrets"]
    ]
    found += [
        ["plugins", "upload", plugin["wagon"], "-y", plugin["yaml"], "-t", TENANT]
        for plugin in lists["plugins"]
    ]
    found += [
        ["blueprints", "upload", blueprint["path"], "-b", Path(blueprint["path"]).parent.name, "-t", TENANT]
        for blueprint in lists["blueprints"]
    ]
    found += [
        ["deployments", "create", entry["deployment_id"], "-b", entry["blueprint_id"], "-t", TENANT]
        for entry in lists["deployments"]
    ]
    return found


def run_ours(manager: Served, version: str, lists: Mapping[str, Any]) -> float:
    """Fill the manager; return the seconds it took."""
    relay = Relay(logging.getLogger("benchmark"))
    began = time.monotonic()
    with connect([manager.ip], manager.access, Version.parse(version), relay) as tier1:
        report = ResourceFiller(tier1, relay).fill(parse_resources(lists))
    seconds = time.monotonic() - began
    if not report.good or any(row.outcome.value != "created" for row in report.rows):
        raise SystemExit(report.table())
    return seconds


def run_cfy(folder: Path, manager: Served, lines: Sequence[Sequence[str]]) -> float:
    """Run `cfy` for each line, one after the other; return the seconds it took without `profiles use`."""
    environment = {
        **os.environ,
        "CFY_WORKDIR": str(folder),
        "HOME": str(folder),
        "PYTHONWARNINGS": "ignore::DeprecationWarning",
    }
    cfy = str(Path(sys.executable).parent / "cfy")

    def run(*words: str) -> None:
        # cfy itself has no retry: where nginx says 503, a person would type the line again.
        for _ in range(10):
            done = subprocess.run(
                [cfy, *words],
                env=environment,
                cwd=folder,
                text=True,
                capture_output=True,
                timeout=_PROCESS_SECONDS,
                check=False,
            )
            if done.returncode == 0:
                return
            if "503" not in done.stdout + done.stderr:
                raise SystemExit(f"cfy {' '.join(words[:2])}: {done.stdout}{done.stderr}")
            time.sleep(1)
        raise SystemExit(f"cfy {' '.join(words[:2])}: the manager stayed busy")

    run(
        *("profiles", "use", manager.ip, "-u", "admin", "-p", manager.password, "-t", "default_tenant"),
        *("--rest-port", str(manager.port), "--ssl", "-c", manager.ca_cert),
    )
    began = time.monotonic()
    for line in lines:
        run(*line)
    return time.monotonic() - began


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--versions", nargs="+", default=["4.6.0", "7.0.5"], help="for our side")
    parser.add_argument("--entries", type=int, default=100)
    add_options(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cmom-benchmark-") as name:
        folder = Path(name)
        (folder / "cfy").mkdir()
        lists = make_lists(folder, arguments.entries)
        ours = {}
        for version in arguments.versions:
            with running_manager(folder / version, version, "127.0.8.1") as manager:
                ours[version] = run_ours(manager, version, lists)
                print(f"ours, {version}: {ours[version]:.1f} s", flush=True)
        with running_manager(folder / "theirs", CFY_VERSION, "127.0.8.2") as manager:
            theirs = run_cfy(folder / "cfy", manager, commands(lists))
    each = theirs / arguments.entries
    print(
        f"one cfy for each of {arguments.entries} entries, {CFY_VERSION}: {theirs:.1f} s ({each:.2f} s each)"
    )
    rows = [
        Row(
            what=f"`add_resources`, {arguments.entries} mixed entries, manager {version}",
            bar=f"{GOAL} times faster than `cfy`" + (_OR_LIMITED if is_limited(version) else ""),
            ratio=f"{theirs / seconds:.1f} times faster",
            measured=f"{seconds:.1f} s",
            beside=f"a `cfy` process for each, manager {CFY_VERSION}: {theirs:.0f} s, {each:.2f} s each",
            held=theirs / seconds >= GOAL or (is_limited(version) and seconds <= _LIMITED_SECONDS),
        )
        for version, seconds in ours.items()
    ]
    return finish(rows, arguments)


def is_limited(version: str) -> bool:
    """Tell whether a version's managers bound the requests of a second, so that nobody can be faster."""
    return Version.parse(version).generation >= 5


if __name__ == "__main__":
    sys.exit(main())
