"""`systemctl` as systemd 219 has it, for the units of the lab."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Awaitable, Callable

from lab.tools.call import Tool, ToolCall
from lab.tools.systemctl_options import Options, UsageError, parse
from lab.tools.units import UnitError, UnitState

NO_PERMISSION, NOT_INSTALLED, NOT_RUNNING = 4, 5, 3


def _unit_name(word: str) -> str:
    return (
        word
        if re.search(r"\.(service|scope|target|socket|timer|mount|slice)$", word)
        else (f"{word}.service")
    )


def _show(state: UnitState | None, name: str) -> dict[str, str]:
    """Every property the lab knows, in the order systemd tells them."""
    one = state or UnitState(name, name, load="not-found")
    moment = time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(one.since_seconds))
    return {
        "Type": "simple",
        "Restart": "no",
        "RemainAfterExit": "yes" if one.remain_after_exit else "no",
        "MainPID": str(one.main_pid),
        "Result": one.result,
        "ExecMainPID": str(one.exec_main_pid or one.main_pid),
        "ExecMainCode": str(one.exec_main_code),
        "ExecMainStatus": str(one.exec_main_status),
        "Id": one.name,
        "Names": one.name,
        "Description": one.description,
        "LoadState": one.load,
        "ActiveState": one.active,
        "SubState": one.sub,
        "StateChangeTimestamp": moment if one.since_seconds else "",
        "Transient": "yes" if state is not None and one.exec_main_pid else "no",
    }


async def _cmd_show(call: ToolCall, options: Options) -> int:
    for position, word in enumerate(options.words or [""]):
        name = _unit_name(word) if word else ""
        values = _show(call.machine.units.get(name), name)
        if position:
            call.out("\n")
        for key, value in values.items():
            if not options.properties or key in options.properties:
                call.out(f"{key}={value}\n")
    return 0


async def _cmd_is_active(call: ToolCall, options: Options) -> int:
    code = NOT_RUNNING
    for word in options.words:
        state = call.machine.units.get(_unit_name(word))
        if state is not None and state.active in ("active", "reloading"):
            code = 0
        if not options.quiet:
            call.out(f"{state.active if state is not None else 'unknown'}\n")
    return code


async def _cmd_is_failed(call: ToolCall, options: Options) -> int:
    code = 1
    for word in options.words:
        state = call.machine.units.get(_unit_name(word))
        if state is not None and state.active == "failed":
            code = 0
        if not options.quiet:
            call.out(f"{state.active if state is not None else 'unknown'}\n")
    return code


async def _cmd_status(call: ToolCall, options: Options) -> int:
    code = 0
    for word in options.words:
        name = _unit_name(word)
        state = call.machine.units.get(name)
        if state is None:
            call.err(f"Unit {name} could not be found.")
            code = 4
            continue
        call.out(f"● {name} - {state.description}\n   Loaded: {state.load}\n")
        call.out(f"   Active: {state.active} ({state.sub})\n")
        if state.exec_main_pid and not state.main_pid:
            how = "killed" if state.exec_main_code == 2 else "exited"
            call.out(f"  Process: {state.exec_main_pid} (code={how}, status={state.exec_main_status})\n")
        elif state.main_pid:
            call.out(f" Main PID: {state.main_pid}\n")
        for entry in call.machine.units.journal.of([name])[-options.lines :]:
            call.out(f"{entry.sender}: {entry.text}\n")
        if state.active not in ("active", "reloading", "activating"):
            code = NOT_RUNNING
    return code


def _refused(call: ToolCall, verb: str, name: str) -> int:
    call.err(f"Failed to {verb} {name}: Interactive authentication required.")
    call.err(f"See system logs and 'systemctl status {name}' for details.")
    return NO_PERMISSION


async def _each(
    call: ToolCall,
    options: Options,
    verb: str,
    act: Callable[[str], Awaitable[None]],
    missing_code: int,
) -> int:
    code = 0
    if not options.words:
        call.err("Too few arguments.")
        return 1
    for word in options.words:
        name = _unit_name(word)
        if not call.privileged:
            code = _refused(call, verb, name)
            continue
        try:
            await act(name)
        except UnitError as error:
            call.err(f"Failed to {verb} {name}: {error}")
            code = missing_code
    return code


async def _cmd_start(call: ToolCall, options: Options) -> int:
    async def act(name: str) -> None:
        call.machine.units.start(name)

    return await _each(call, options, "start", act, NOT_INSTALLED)


async def _cmd_stop(call: ToolCall, options: Options) -> int:
    return await _each(call, options, "stop", call.machine.units.stop, NOT_INSTALLED)


async def _cmd_restart(call: ToolCall, options: Options) -> int:
    async def act(name: str) -> None:
        units = call.machine.units
        if units.get(name) is None:
            raise UnitError("Unit not found.")
        await units.stop(name)
        units.start(name)

    return await _each(call, options, "restart", act, NOT_INSTALLED)


async def _cmd_kill(call: ToolCall, options: Options) -> int:
    number = _signal_number(options.signal)
    if number is None:
        call.err(f"Failed to parse signal string {options.signal}.")
        return 1

    async def act(name: str) -> None:
        call.machine.units.kill(name, number)

    return await _each(call, options, "kill unit", act, 1)


def _signal_number(text: str) -> int | None:
    if text.isdigit() and 0 < int(text) < signal.NSIG:
        return int(text)
    name = text if text.startswith("SIG") else f"SIG{text}"
    return int(signal.Signals[name]) if name in signal.Signals.__members__ else None


async def _cmd_reset_failed(call: ToolCall, options: Options) -> int:
    async def act(name: str) -> None:
        call.machine.units.reset_failed(name)

    if not options.words:
        if not call.privileged:
            return _refused(call, "reset failed state of", "units")
        call.machine.units.reset_all_failed()
        return 0
    return await _each(call, options, "reset failed state of unit", act, 1)


async def _cmd_root_only(call: ToolCall, options: Options) -> int:
    if not call.privileged:
        return _refused(call, "reload", "daemon")
    return 0


async def _cmd_enable(call: ToolCall, options: Options) -> int:
    async def act(name: str) -> None:
        if call.machine.units.get(name) is None:
            raise UnitError("No such file or directory")

    return await _each(call, options, "execute operation on", act, 1)


async def _cmd_list_units(call: ToolCall, options: Options) -> int:
    for name in call.machine.units.names():
        state = call.machine.units.get(name)
        if state is not None:
            call.out(f"{name} {state.load} {state.active} {state.sub} {state.description}\n")
    return 0


async def _cmd_running(call: ToolCall, options: Options) -> int:
    call.out("running\n")
    return 0


async def _cmd_reboot(call: ToolCall, options: Options) -> int:
    if not call.privileged:
        call.err("Failed to set wall message, ignoring: Interactive authentication required.")
        call.err("Failed to reboot system via logind: Interactive authentication required.")
        return 1
    call.machine.power_cycle()
    return 0


async def _cmd_poweroff(call: ToolCall, options: Options) -> int:
    if not call.privileged:
        call.err("Failed to power off system via logind: Interactive authentication required.")
        return 1
    call.machine.power_down()
    return 0


_COMMANDS: dict[str, Callable[[ToolCall, Options], Awaitable[int]]] = {
    "show": _cmd_show,
    "is-active": _cmd_is_active,
    "is-failed": _cmd_is_failed,
    "status": _cmd_status,
    "start": _cmd_start,
    "stop": _cmd_stop,
    "restart": _cmd_restart,
    "kill": _cmd_kill,
    "reset-failed": _cmd_reset_failed,
    "daemon-reload": _cmd_root_only,
    "daemon-reexec": _cmd_root_only,
    "enable": _cmd_enable,
    "disable": _cmd_enable,
    "list-units": _cmd_list_units,
    "is-system-running": _cmd_running,
    "reboot": _cmd_reboot,
    "poweroff": _cmd_poweroff,
    "halt": _cmd_poweroff,
}


async def systemctl(call: ToolCall) -> int:
    """Look at, stop and kill units; reboot the machine."""
    try:
        options = parse(call.args)
    except UsageError as error:
        call.err(str(error))
        return 1
    if call.args and call.args[0] == "--version":
        call.out("systemd 219\n")
        return 0
    if not options.words:
        return await _cmd_list_units(call, options)
    verb, *options.words = options.words
    command = _COMMANDS.get(verb)
    if command is None:
        call.err(f"Unknown operation '{verb}'.")
        return 1
    return await command(call, options)


async def reboot(call: ToolCall) -> int:
    """`reboot`: a power cycle."""
    return await _cmd_reboot(call, Options())


async def poweroff(call: ToolCall) -> int:
    """`poweroff`, and `shutdown` unless `-r` is given."""
    if call.name == "shutdown" and "-r" in call.args:
        return await _cmd_reboot(call, Options())
    return await _cmd_poweroff(call, Options())


TOOLS: dict[str, Tool] = {
    "systemctl": systemctl,
    "reboot": reboot,
    "poweroff": poweroff,
    "shutdown": poweroff,
}
