"""`sudo`, `chown` and `chgrp`: whose rights a command has, and who owns a file."""

from __future__ import annotations

import re

from lab.programs import leads_to_tool
from lab.sandbox.base import NOT_FOUND, Command, shell_status
from lab.tools.call import Tool, ToolCall
from lab.tools.server import run_tool

SECURE_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"
"""The PATH that CentOS's sudoers gives every command."""

_KEPT_NAMES = ("LANG", "LC_ALL", "TERM", "COLORS", "HOSTNAME")
_USAGE = (
    "usage: sudo -h | -K | -k | -V\n"
    "usage: sudo [-AbEHknPS] [-g group] [-h host] [-u user] [VAR=value] [-i|-s] [<command>]"
)


async def sudo(call: ToolCall) -> int:
    """Run a command as root, without a password, as the cloud image's sudoers allows."""
    machine = call.machine
    args = list(call.args)
    target, keep_env, login, shell, home = "root", False, False, False, False
    while args and args[0].startswith("-") and args[0] != "-":
        option = args.pop(0)
        if option == "--":
            break
        if option in ("-u", "--user"):
            if not args:
                call.err(f"sudo: option requires an argument -- 'u'\n{_USAGE}")
                return 1
            target = args.pop(0)
        elif option.startswith("--user=") or re.match(r"-u.", option):
            target = option.removeprefix("--user=").removeprefix("-u")
        elif option in ("-k", "-K", "-v", "-V", "-l"):
            return _without_command(call, option)
        elif re.fullmatch(r"-[nEHSbis]+", option) or option in _LONG_OPTIONS:
            letters = _LONG_OPTIONS.get(option, option[1:])
            keep_env |= "E" in letters
            home |= "H" in letters
            login |= "i" in letters
            shell |= "s" in letters
        else:
            call.err(f"sudo: invalid option -- '{option.lstrip('-')[:1]}'\n{_USAGE}")
            return 1
    assigned = {}
    while args and re.match(r"[A-Za-z_]\w*=", args[0]):
        name, _, value = args.pop(0).partition("=")
        assigned[name] = value
    if target not in ("root", "#0") and target not in known_users(call):
        call.err(f"sudo: unknown user: {target}\nsudo: unable to initialize policy plugin")
        return 1
    if login or shell:
        args = ["/bin/bash", "-c", " ".join(args)] if args else ["/bin/bash"]
    if not args:
        call.err(_USAGE)
        return 1
    privileged = target != machine.ssh_user
    target = "root" if target == "#0" else target
    target_home = machine.identity.home if not privileged else "/root"
    kept = call.env if keep_env else {n: call.env[n] for n in _KEPT_NAMES if n in call.env}
    env = {
        **kept,
        "PATH": SECURE_PATH,
        "HOME": call.env.get("HOME", target_home) if keep_env and not home else target_home,
        "USER": target,
        "LOGNAME": target,
        "SHELL": "/bin/bash",
        "SUDO_USER": "root" if call.privileged else machine.ssh_user,
        "SUDO_COMMAND": " ".join(args),
        **assigned,
    }
    program = machine.find_program(args[0], SECURE_PATH, call.cwd)
    if program is None:
        call.err(f"sudo: {args[0]}: command not found")
        return 1
    cwd = target_home if login else call.cwd
    await call.io.drain()
    if leads_to_tool(machine.disk_map, program):
        # A process would only hand it over to here: a third of a command's time.
        name, *rest = args
        inner = ToolCall(machine, name.rpartition("/")[2], tuple(rest), cwd, env, privileged, call.io)
        code = await run_tool(inner)
        await machine.sandbox.refresh()
        return code
    job = await machine.sandbox.spawn(Command(tuple(args), cwd, env, privileged), call.io.descriptors)
    try:
        code = await job.wait()
        await machine.sandbox.refresh()
        return shell_status(code)
    except BaseException:
        # Whoever called sudo was killed: sudo passes that on.
        job.send_signal(15)
        raise


_LONG_OPTIONS = {
    "--non-interactive": "n",
    "--preserve-env": "E",
    "--set-home": "H",
    "--stdin": "S",
    "--login": "i",
    "--shell": "s",
}


def _without_command(call: ToolCall, option: str) -> int:
    if option == "-V":
        call.out("Sudo version 1.8.23\n")
    elif option == "-l":
        name = call.machine.hostname
        call.out(f"User {call.machine.ssh_user} may run the following commands on {name}:\n")
        call.out("    (ALL) NOPASSWD: ALL\n")
    return 0


def known_users(call: ToolCall) -> set[str]:
    """The names in the machine's /etc/passwd."""
    lines = call.machine.path("/etc/passwd").read_text(encoding="utf-8").splitlines()
    return {line.split(":")[0] for line in lines if line}


def known_groups(call: ToolCall) -> set[str]:
    """The names in the machine's /etc/group."""
    lines = call.machine.path("/etc/group").read_text(encoding="utf-8").splitlines()
    return {line.split(":")[0] for line in lines if line}


async def chown(call: ToolCall) -> int:
    """Check an owner and the files, and leave it at that.

    All files of the lab belong to one user of the host, so ownership cannot be changed. What can
    be wrong is told as the real command does: an unknown name, a missing file, no right to.
    """
    words = [arg for arg in call.args if not arg.startswith("-")]
    if len(words) < 2:
        missing = "missing operand" if not words else f"missing operand after '{words[0]}'"
        call.err(f"{call.name}: {missing}\nTry '{call.name} --help' for more information.")
        return 1
    owner, *files = words
    user, separator, group = owner.partition(":" if ":" in owner else ".")
    if call.name == "chgrp":
        user, separator, group = "", ":", owner
    if user and not user.isdigit() and user not in known_users(call):
        call.err(f"chown: invalid user: '{owner}'")
        return 1
    if separator and group and not group.isdigit() and group not in known_groups(call):
        call.err(f"{call.name}: invalid group: '{owner}'")
        return 1
    code = 0
    for file in files:
        path = call.absolute(file)
        if not call.machine.path(path).exists():
            call.err(f"{call.name}: cannot access '{file}': No such file or directory")
            code = 1
        elif not call.privileged and not _stays(call, user, group):
            call.err(f"{call.name}: changing ownership of '{file}': Operation not permitted")
            code = 1
    return code


def _stays(call: ToolCall, user: str, group: str) -> bool:
    mine = ("", call.machine.ssh_user, "1000")
    return user in mine and group in mine


TOOLS: dict[str, Tool] = {"sudo": sudo, "chown": chown, "chgrp": chown}

__all__ = ["NOT_FOUND", "SECURE_PATH", "TOOLS", "known_groups", "known_users"]
