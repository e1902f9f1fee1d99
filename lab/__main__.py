"""The command line of the lab: `python -m lab COMMAND`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from lab.core import LabConfig, LabError
from lab.daemon import DaemonConfig
from lab.faults import KINDS
from lab.folder import LabFolder
from lab.machine import CUT_FROM
from lab.settings import LabSettings
from lab.status import MachineStatus

DEFAULT_FOLDER = ".lab"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = build_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.run
    try:
        command(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 141
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--folder",
        type=Path,
        default=Path(DEFAULT_FOLDER),
        help=f"the lab's folder (default: {DEFAULT_FOLDER})",
    )
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], None], text: str, machine: bool = True
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(name, parents=[common], help=text, description=text)
        one.set_defaults(run=run)
        if machine:
            one.add_argument("name", metavar="MACHINE", help="its name, address or host name")
        return one

    _up_options(add("up", _up, "start machines in the background", machine=False))
    add("down", _down, "end the lab and remove what it made", machine=False)
    status = add("status", _status, "what each machine is doing", machine=False)
    status.add_argument("--json", action="store_true", help="as JSON")
    add("kill", _kill, "cut a machine's power")
    add("start", _start, "switch a machine on")
    add("rebuild", _rebuild, "give a machine an empty disk and a new host key")
    partition = add("partition", _partition, "cut a machine off")
    partition.add_argument("--from", dest="cut_from", choices=CUT_FROM, default="tier2")
    add("heal-partition", _heal_partition, "undo a partition")
    _fault_options(add("fault", _fault, "inject a fault"))
    advance = add("advance", _advance, "move a clock that is moved by hand", machine=False)
    advance.add_argument("seconds", type=float)
    return parser


def _up_options(up: argparse.ArgumentParser) -> None:
    defaults = LabConfig()
    up.add_argument("--machines", type=int, default=3, help="managers to be (default: 3)")
    up.add_argument("--spare", type=int, default=0, help="further machines, kept as spares")
    up.add_argument("--version", default="4.6.0", help="of the install package")
    up.add_argument("--rpm-padding-bytes", type=int, default=0, help="make the package larger")
    up.add_argument("--ssh-port", type=int, default=defaults.ssh_port)
    up.add_argument("--rest-port", type=int, default=defaults.rest_port)
    up.add_argument("--subnet", default=defaults.subnet, help=f"default: {defaults.subnet}")
    up.add_argument("--public-subnet", help="public addresses that differ from the private ones")
    up.add_argument("--sandbox", choices=("auto", "namespace", "interpreter"), default="auto")
    up.add_argument("--clock", choices=("real", "manual"), default="real")
    demo = LabSettings.demo()
    for field in fields(LabSettings):
        value = getattr(demo, field.name)
        if isinstance(value, float):
            up.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=value)


def _fault_options(fault: argparse.ArgumentParser) -> None:
    fault.add_argument("kind", choices=(*sorted(KINDS), "clear"))
    fault.add_argument("--path", default="", help="a regular expression for the call's path")
    fault.add_argument("--method", default="", help="the call's HTTP method")
    fault.add_argument("--nth", type=int, default=0, help="begin at the Nth call")
    fault.add_argument("--times", type=int, default=0, help="hit so many calls")
    fault.add_argument("--after-bytes", type=int, default=0, help="how much passes before a cut")
    fault.add_argument("--seconds", type=float, default=0.0, help="how long to hold back")


def _up(options: argparse.Namespace) -> None:
    if options.machines < 1 or options.spare < 0:
        raise LabError("a lab needs at least one machine")
    names = {field.name for field in fields(LabSettings)} & set(vars(options))
    settings = dataclasses.replace(LabSettings.demo(), **{name: getattr(options, name) for name in names})
    lab = LabConfig(
        machines=options.machines + options.spare,
        subnet=options.subnet,
        public_subnet=options.public_subnet,
        ssh_port=options.ssh_port,
        rest_port=options.rest_port,
        sandbox=options.sandbox,
        settings=settings,
    )
    folder = LabFolder(options.folder)
    folder.start(
        DaemonConfig(
            folder=str(folder.path),
            lab=lab,
            version=options.version,
            spare=options.spare,
            clock=options.clock,
            rpm_padding_bytes=options.rpm_padding_bytes,
        )
    )
    print_table(folder.control.status())
    print(f"\nThe lab is up; inputs for hosts_blueprint.yaml: {folder.path / 'inputs.yaml'}")


def _down(options: argparse.Namespace) -> None:
    folder = LabFolder(options.folder)
    if folder.stop():
        print(f"The lab in {folder.path} is down.")
    else:
        print(f"No lab was in {folder.path}.")


def _status(options: argparse.Namespace) -> None:
    rows = LabFolder(options.folder).control.status()
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print_table(rows)


def print_table(rows: Sequence[MachineStatus]) -> None:
    """Print machines as a table."""
    heads: tuple[str, ...] = ("name", "ip", "hostname", "power", "partition", "rpm", "manager", "role")
    if any((row.database, row.broker) != ("none", "none") for row in rows):
        heads += ("database", "broker")
    lines = [heads, *[tuple(str(getattr(row, head)) for head in heads) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def _kill(options: argparse.Namespace) -> None:
    LabFolder(options.folder).control.kill(options.name)
    print(f"{options.name} is off.")


def _start(options: argparse.Namespace) -> None:
    LabFolder(options.folder).control.start(options.name)
    print(f"{options.name} is switched on.")


def _rebuild(options: argparse.Namespace) -> None:
    LabFolder(options.folder).control.rebuild(options.name)
    print(f"{options.name} has an empty disk and a new host key, and is switched on.")


def _partition(options: argparse.Namespace) -> None:
    LabFolder(options.folder).control.partition(options.name, options.cut_from)
    whom = {"tier2": "Tier 2", "peers": "the other machines", "all": "everything"}
    print(f"{options.name} is cut off from {whom[options.cut_from]}.")


def _heal_partition(options: argparse.Namespace) -> None:
    LabFolder(options.folder).control.heal_partition(options.name)
    print(f"{options.name} is reachable again.")


def _fault(options: argparse.Namespace) -> None:
    names = ("path", "method", "nth", "times", "after_bytes", "seconds")
    values = {name: getattr(options, name) for name in names}
    chosen = {} if options.kind == "clear" else values
    LabFolder(options.folder).control.fault(options.name, options.kind, **chosen)
    if options.kind == "clear":
        print(f"{options.name} has no faults any more.")
    else:
        print(f"{options.name} has the fault {options.kind}.")


def _advance(options: argparse.Namespace) -> None:
    LabFolder(options.folder).control.advance(options.seconds)
    print(f"The clock has moved by {options.seconds:g} s.")


if __name__ == "__main__":
    sys.exit(main())
