"""`systemd-run` as systemd 219 has it: a command becomes a transient service of the machine.

Of its options there are those of 219 and no newer ones; `--wait`, `--pipe` and `--collect` came
later and are refused. Timers, scopes and terminals are there in 219 but not simulated.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from lab.tools.call import Tool, ToolCall
from lab.tools.privileges import known_groups, known_users
from lab.tools.units import UNIT_PATH, TransientSpec, UnitError

_FLAGS = {"help", "version", "user", "system", "scope", "remain-after-exit", "send-sighup"} | {
    "tty", "quiet",
}  # fmt: skip
_VALUED = {
    *("unit", "description", "slice", "host", "machine", "service-type", "uid", "gid", "nice"),
    *("setenv", "property", "on-active", "on-boot", "on-startup", "on-unit-active"),
    *("on-unit-inactive", "on-calendar", "timer-property"),
}
_SHORT = {
    "h": "help", "r": "remain-after-exit", "H": "host", "M": "machine", "p": "property",
    "t": "tty", "q": "quiet",
}  # fmt: skip
_NOT_SIMULATED = {"scope", "tty", "user", "host", "machine", "timer-property"}
_TYPES = ("simple", "forking", "oneshot", "dbus", "notify", "idle")
_numbers = itertools.count(2001)


class UsageError(Exception):
    """A command line the real command refuses; the message is its own."""


@dataclass
class _Options:
    values: dict[str, list[str]] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)

    def last(self, name: str, default: str = "") -> str:
        return self.values.get(name, [default])[-1]

    def __contains__(self, name: str) -> bool:
        return name in self.values


def _parse(args: tuple[str, ...]) -> _Options:
    """As getopt_long with a leading `+`: options end at the first word that is none."""
    options = _Options()
    pending = list(args)
    while pending and pending[0].startswith("-") and pending[0] != "-":
        word = pending.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            _long(options, word, pending)
        else:
            _short(options, word[1:], pending)
    options.command = pending
    return options


def _long(options: _Options, word: str, pending: list[str]) -> None:
    given, joined, value = word[2:].partition("=")
    known = _FLAGS | _VALUED
    matches = [name for name in known if name.startswith(given)]
    if given not in known and len(matches) > 1:
        raise UsageError(f"systemd-run: option '--{given}' is ambiguous")
    if not matches:
        raise UsageError(f"systemd-run: unrecognized option '--{given}'")
    name = given if given in known else matches[0]
    if name in _FLAGS:
        if joined:
            raise UsageError(f"systemd-run: option '--{name}' doesn't allow an argument")
        options.values.setdefault(name, []).append("")
        return
    if not joined:
        if not pending:
            raise UsageError(f"systemd-run: option '--{name}' requires an argument")
        value = pending.pop(0)
    options.values.setdefault(name, []).append(value)


def _short(options: _Options, letters: str, pending: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        name = _SHORT.get(letter)
        if name is None:
            raise UsageError(f"systemd-run: invalid option -- '{letter}'")
        if name in _FLAGS:
            options.values.setdefault(name, []).append("")
            continue
        if not letters and not pending:
            raise UsageError(f"systemd-run: option requires an argument -- '{letter}'")
        value = letters or pending.pop(0)
        options.values.setdefault(name, []).append(value)
        return


async def systemd_run(call: ToolCall) -> int:
    """Start a command as a transient service and return at once."""
    try:
        options = _parse(call.args)
        if "version" in options:
            call.out("systemd 219\n")
            return 0
        if "help" in options:
            call.out("systemd-run [OPTIONS...] {COMMAND} [ARGS...]\n")
            return 0
        _refuse_not_simulated(options)
        spec = _spec(call, options)
    except UsageError as error:
        call.err(str(error))
        return 1
    if not call.privileged:
        call.err("Failed to start transient service unit: Interactive authentication required.")
        return 1
    try:
        await call.machine.units.start_transient(spec)
    except UnitError as error:
        call.err(f"Failed to start transient service unit: {error}")
        return 1
    if "quiet" not in options:
        call.err(f"Running as unit {spec.name}.")
    return 0


def _refuse_not_simulated(options: _Options) -> None:
    unsupported = [name for name in options.values if name in _NOT_SIMULATED or name.startswith("on-")]
    if unsupported:
        raise UsageError(f"systemd-run: --{unsupported[0]} is not simulated by the lab")


def _spec(call: ToolCall, options: _Options) -> TransientSpec:
    if not options.command:
        raise UsageError("Command line to execute required.")
    _check_values(call, options)
    program, *arguments = options.command
    found = call.machine.find_program(program, call.env.get("PATH", UNIT_PATH), call.cwd)
    if found is None:
        raise UsageError(f"Failed to find executable {program}: No such file or directory")
    name = options.last("unit", f"run-{next(_numbers)}.service")
    name = name if name.endswith(".service") else f"{name}.service"
    properties = dict(_property(text) for text in options.values.get("property", []))
    settings = [*options.values.get("setenv", []), *properties.get("Environment", "").split()]
    user = options.last("uid", properties.get("User", "root"))
    return TransientSpec(
        name=name,
        description=options.last("description", " ".join([found, *arguments])),
        argv=(found, *arguments),
        env=dict(setting.partition("=")[::2] for setting in settings),
        cwd=properties.get("WorkingDirectory", "/"),
        privileged=user not in (call.machine.ssh_user, "1000"),
        remain_after_exit="remain-after-exit" in options
        or properties.get("RemainAfterExit", "no") in ("yes", "true", "1", "on"),
    )


def _check_values(call: ToolCall, options: _Options) -> None:
    kind = options.last("service-type", "simple")
    user, group = options.last("uid", "root"), options.last("gid", "root")
    for setting in options.values.get("setenv", []):
        if "=" not in setting:
            raise UsageError("Failed to start transient service unit: Invalid argument")
    if kind not in _TYPES:
        raise UsageError(f"Failed to start transient service unit: Invalid service type {kind}")
    if not user.isdigit() and user not in known_users(call):
        raise UsageError(f"Failed to start transient service unit: Invalid user {user}")
    if not group.isdigit() and group not in known_groups(call):
        raise UsageError(f"Failed to start transient service unit: Invalid group {group}")
    nice = options.last("nice", "0")
    if not nice.lstrip("-").isdigit() or not -20 <= int(nice) < 20:
        raise UsageError("Failed to parse nice value")


_PROPERTIES = {
    *("CPUAccounting", "MemoryAccounting", "BlockIOAccounting", "SendSIGHUP", "SendSIGKILL"),
    *("CPUShares", "StartupCPUShares", "CPUQuota", "MemoryLimit", "BlockIOWeight", "User"),
    *("Group", "DevicePolicy", "KillMode", "Nice", "Environment", "KillSignal", "LimitNOFILE"),
    *("LimitCORE", "LimitNPROC", "LimitAS", "StandardInput", "StandardOutput", "StandardError"),
    *("TTYPath", "UtmpIdentifier", "PAMName", "IgnoreSIGPIPE", "TTYVHangup", "TTYReset"),
    *("RemainAfterExit", "DefaultDependencies", "Delegate", "AccuracySec", "WakeSystem"),
    *("WorkingDirectory", "RootDirectory", "SyslogIdentifier", "PrivateTmp", "NoNewPrivileges"),
}  # fmt: skip
"""What systemd 219 (with CentOS's patches) lets a transient service set."""


def _property(text: str) -> tuple[str, str]:
    name, joined, value = text.partition("=")
    if not joined:
        raise UsageError("Not an assignment: " + text)
    if name not in _PROPERTIES:
        raise UsageError(f"Unknown assignment {text}.")
    return name, value


TOOLS: dict[str, Tool] = {"systemd-run": systemd_run}
