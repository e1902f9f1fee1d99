"""The command line of `cfy_manager` 5.1 - 7.0; what it does is `lab.manager.five`'s."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lab.manager.five import broker_commands, database_commands, installer, lifecycle
from lab.manager.five.configuration import Config
from lab.manager.five.console import Console
from lab.manager.five.errors import BootstrapError
from lab.tools.call import ToolCall

# Commands that exist and that the lab does not do.
_NOT_SIMULATED = (
    *("configure", "sanity-check", "add-networks", "update-encryption-key", "create-internal-certs"),
    *("create-external-certs", "generate-test-cert", "reset-admin-password", "image-starter"),
    *("wait-for-starter", "upgrade", "run-init", "certificates", "logs"),
)
_SWITCHES = ("start", "stop", "restart")


class UsageError(Exception):
    """argparse's words about a wrong command line, or its help; and the exit code."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


class _Help(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise UsageError(parser.format_help(), 0)


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: object) -> None:
        super().__init__(**{**options, "add_help": False})  # type: ignore[arg-type]
        self.add_argument("-h", "--help", nargs=0, action=_Help, help="show this help message and exit")

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{self.format_usage()}{self.prog}: error: {message}", 2)


class _Options(_Parser):
    """Options that several commands share."""

    def __init__(self) -> None:
        argparse.ArgumentParser.__init__(self, add_help=False)


def parser(version: tuple[int, ...]) -> argparse.ArgumentParser:
    """The command line of a version."""
    whole = _Parser(prog="cfy_manager")
    commands = whole.add_subparsers(dest="command", parser_class=_Parser, required=True)
    common = _Options()
    common.add_argument("-c", "--config-file", action="append", default=[])
    common.add_argument("-v", "--verbose", action="store_true")
    addresses = _Options()
    addresses.add_argument("--private-ip", default="")
    addresses.add_argument("--public-ip", default="")
    addresses.add_argument("-a", "--admin-password", default="")
    if version < (6, 4):
        addresses.add_argument("--clean-db", action="store_true")
    commands.add_parser("validate", parents=[common, addresses])
    install = commands.add_parser("install", parents=[common, addresses])
    install.add_argument("--only-install", action="store_true")
    remove = commands.add_parser("remove", parents=[common])
    if version < (6, 3):
        remove.add_argument("-f", "--force", action="store_true")
    for name in _SWITCHES:
        one = commands.add_parser(name, parents=[common])
        one.add_argument("components", nargs="*")
    commands.add_parser("version").add_argument("-v", "--verbose", action="count")
    _groups(commands, common)
    for name in _NOT_SIMULATED:
        commands.add_parser(name).add_argument("rest", nargs=argparse.REMAINDER)
    return whole


def _groups(
    commands: argparse._SubParsersAction[_Parser],
    common: _Parser,
) -> None:
    brokers = commands.add_parser("brokers").add_subparsers(
        dest="action", parser_class=_Parser, required=True
    )
    brokers.add_parser("add", parents=[common]).add_argument("-j", "--join-node", required=True)
    brokers.add_parser("list", parents=[common])
    brokers.add_parser("remove", parents=[common]).add_argument("-r", "--remove-node", required=True)
    dbs = commands.add_parser("dbs").add_subparsers(dest="action", parser_class=_Parser, required=True)
    dbs.add_parser("list", parents=[common])
    for name in ("add", "remove", "reinit", "set-master"):
        dbs.add_parser(name, parents=[common]).add_argument("-a", "--address", required=True)


async def run(call: ToolCall, version: tuple[int, ...], args: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    try:
        options = parser(version).parse_args(list(args))
    except UsageError as error:
        call.out(str(error)) if error.code == 0 else call.err(str(error))
        return error.code
    if options.command in _NOT_SIMULATED or getattr(options, "only_install", False):
        what = "install --only-install" if options.command == "install" else options.command
        call.err(f"cfy_manager: `{what}` is not simulated by the lab")
        return 2

    def out(line: str) -> None:
        call.out(line + "\n")

    if options.command == "version":
        Console(call.machine, out, call.err).say("MAIN", "INFO", f"Cloudify {'.'.join(map(str, version))}")
        return 0
    told = installer.Options(
        tuple(options.config_file),
        getattr(options, "private_ip", ""),
        getattr(options, "public_ip", ""),
        getattr(options, "admin_password", ""),
    )
    if options.command == "install":
        return await installer.install(call.machine, out, call.err, told, verbose=options.verbose)
    console = Console(call.machine, out, call.err, verbose=options.verbose)
    try:
        return await _other(call, console, options, installer.prepare(call.machine, told))
    except Exception as error:
        return console.fail(error)


async def _other(call: ToolCall, console: Console, options: argparse.Namespace, config: Config) -> int:
    machine = call.machine
    if options.command == "validate":
        installer.check(config, machine, console)
        return 0
    if options.command == "remove":
        return await lifecycle.remove(machine, console, config)
    if options.command in _SWITCHES:
        return await lifecycle.switch(machine, console, config, options.command, options.components)
    if options.command == "brokers":
        if options.action == "list":
            return broker_commands.list_brokers(machine, console, config)
        if options.action == "add":
            return broker_commands.add(machine, console, config, options.join_node)
        return broker_commands.remove(machine, console, config, options.remove_node)
    if options.action == "list":
        return database_commands.list_databases(machine, console, config)
    act = {
        "add": database_commands.add,
        "remove": database_commands.remove,
        "reinit": database_commands.reinit,
        "set-master": database_commands.set_master,
    }.get(options.action)
    if act is None:
        raise BootstrapError(f"unknown action {options.action}")
    return await act(machine, console, config, options.address)
