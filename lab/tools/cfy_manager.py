"""The command line of `cfy_manager`; what it does is `lab.manager`'s."""

from __future__ import annotations

import argparse
import re

from lab.packages import MANAGER_PACKAGE
from lab.tools import cfy_manager5
from lab.tools.call import Tool, ToolCall
from lab.tools.rpm import CONFIG_PATH

_NOT_SIMULATED = (
    *("configure", "create-internal-certs", "create-external-certs", "create-internal-ca"),
    "sanity-check",
)
_SERVICES = ("start", "stop", "restart")


class _UsageError(Exception):
    """argparse's words about a wrong command line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise _UsageError(f"{self.format_usage()}{self.prog}: error: {message}")


def _parser() -> _Parser:
    parser = _Parser(prog="cfy_manager", add_help=False)
    commands = parser.add_subparsers(dest="command", parser_class=_Parser)
    commands.required = True
    install = commands.add_parser("install", add_help=False)
    install.add_argument("--clean-db", action="store_true")
    install.add_argument("-v", "--verbose", action="store_true")
    for option in ("--private-ip", "--public-ip"):
        install.add_argument(option)
    install.add_argument("-a", "--admin-password")
    remove = commands.add_parser("remove", add_help=False)
    remove.add_argument("-f", "--force", action="store_true")
    remove.add_argument("-v", "--verbose", action="store_true")
    for name in (*_NOT_SIMULATED, *_SERVICES):
        commands.add_parser(name, add_help=False)
    return parser


def _version(call: ToolCall) -> tuple[int, ...]:
    package = call.machine.rpm_database.get(MANAGER_PACKAGE)
    text = package.version if package is not None else "0"
    return tuple(int(part) for part in re.findall(r"\d+", text))


async def cfy_manager(call: ToolCall) -> int:
    """`cfy_manager install`, `remove`, `start`, `stop`, `restart`; of generation 5 in its own module.

    It is called as any user who may use sudo, because it calls sudo by itself; but it reads its
    configuration as whoever called it.
    """
    version = _version(call)
    if version >= (5,):
        return await cfy_manager5.run(call, version, call.args)
    try:
        options = _parser().parse_args(list(call.args))
    except _UsageError as error:
        call.err(str(error))
        return 2
    if options.command in _NOT_SIMULATED:
        call.err(f"cfy_manager: `{options.command}` is not simulated by the lab")
        return 2
    from lab import manager

    def say(line: str) -> None:
        call.out(line + "\n")

    if options.command in _SERVICES:
        return await _switch(call, options.command)
    if options.command == "remove":
        return await manager.remove(call.machine, say, force=options.force)
    if options.private_ip or options.public_ip or options.admin_password:
        call.err("cfy_manager: the lab takes addresses and password from config.yaml only")
        return 2
    if not call.privileged and not call.machine.access.may_read(CONFIG_PATH):
        call.err(f"IOError: [Errno 13] Permission denied: '{CONFIG_PATH}'")
        return 1
    return await manager.install(call.machine, say, clean_db=options.clean_db, verbose=options.verbose)


async def _switch(call: ToolCall, command: str) -> int:
    """All services of the manager at once: that is all there is of them."""
    machine = call.machine
    if machine.manager is None:
        call.err("cfy_manager: the manager is not installed")
        return 1
    if command != "start":
        machine.manager.power_off()
        await machine.stop_rest()
    if command != "stop":
        try:
            await machine.manager.power_on()
        except OSError as error:
            call.err(f"cfy_manager: nginx does not start: {error}")
            return 1
    return 0


TOOLS: dict[str, Tool] = {"cfy_manager": cfy_manager}
