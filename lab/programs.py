"""The programs of an emulated machine: the host's, shown read-only, and the lab's own commands.

Only what a minimal CentOS has is on the PATH, so that a command which would be missing on a real
machine is missing here as well. The commands that administer the machine are the lab's own
(`lab.tools`): their names lead to one small program that hands its arguments and standard streams
to the lab.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab.disk import Disk

TOOL = "/run/lab/tool"
"""Where a machine has the program behind each command of the lab."""

_HOST_COMMANDS = """
[ awk arch b2sum base32 base64 basename bash cat chcon chgrp chmod chown cksum cmp comm cp csplit cut
date dd df diff dir dircolors dirname du echo egrep env expand expr factor false fgrep find flock fmt
fold gawk getent grep groups gunzip gzip head hexdump hostid iconv id install join kill ldd less link
ln logger logname ls md5sum mkdir mkfifo mknod mktemp more mv nice nl nohup nproc numfmt od openssl
paste pathchk pgrep pidof pinky pkill pr printenv printf ps ptx pwd readlink realpath rm rmdir sed seq
setsid sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty
sum sync tac tail tar tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink
uptime users vdir wc which who whoami xargs xz yes zcat
"""
# What a minimal CentOS 7 has of what a host may have.

LAB_COMMANDS = (
    *("rpm", "yum", "sudo", "systemd-run", "systemctl", "journalctl", "curl", "hostname"),
    *("hostnamectl", "chown", "chgrp", "reboot", "shutdown", "poweroff", "ip", "loginctl"),
)
"""The lab's own commands of a fresh machine."""


def link_programs(disk: Path) -> None:
    """Make the host's programs exist on a disk; nothing happens when they do already.

    It is put off until a namespace needs them: they are many, and most machines of most tests
    never run one.
    """
    if (disk / "usr/bin/bash").is_symlink():
        return
    for name, path in host_programs().items():
        target = disk / "usr/bin" / name
        if not target.is_symlink():
            target.symlink_to(f"/run/lab/host{path}")


def link_tools(disk: Path) -> None:
    """Make the lab's own commands exist on a fresh disk."""
    for name in LAB_COMMANDS:
        add_tool(disk, name)


_programs: dict[str, str] = {}


def host_programs() -> dict[str, str]:
    """Where the host keeps the programs a machine may have; looked up once."""
    if not _programs:
        for name in _HOST_COMMANDS.split():
            found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
            if found and name not in LAB_COMMANDS:
                _programs[name] = os.path.realpath(found)
        _programs["sh"] = _programs["bash"]  # as on CentOS
    return _programs


def add_tool(disk: Path, name: str) -> None:
    """Make a command of the lab exist on a machine, as an installed package does."""
    target = disk / "usr/bin" / name
    target.unlink(missing_ok=True)
    target.symlink_to(TOOL)


def remove_tool(disk: Path, name: str) -> None:
    """Take a command of the lab away again."""
    (disk / "usr/bin" / name).unlink(missing_ok=True)


def has_tool(disk: Path, name: str) -> bool:
    """Whether the machine has this command of the lab."""
    return _is_tool(disk / "usr/bin" / name)


def find_program(disk: Disk, name: str, search: str, cwd: str = "/") -> str | None:
    """Where a machine has a program, as a shell would find it.

    Args:
        disk: the machine's.
        name: `rpm`, or a path.
        search: the PATH to search; not used for a path.
        cwd: what a relative path counts from.
    """
    candidates = [f"{folder}/{name}" for folder in search.split(":") if folder]
    if "/" in name:
        candidates = [name if name.startswith("/") else f"{cwd}/{name}"]
    for candidate in candidates:
        folder, _, last = candidate.rpartition("/")
        if folder in ("/usr/bin", "/bin") and last in host_programs():
            return candidate
        if leads_to_tool(disk, candidate):
            return candidate
        host = disk.place(candidate).host
        if host.is_file() and os.access(host, os.X_OK):
            return candidate
    return None


def leads_to_tool(disk: Disk, path: str) -> bool:
    """Whether a program, as `find_program` found it, is a command of the lab."""
    return _is_tool(disk.place(path, follow_last=False).host)


def _is_tool(path: Path) -> bool:
    return path.is_symlink() and os.readlink(path) == TOOL
