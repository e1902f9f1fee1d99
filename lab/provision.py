"""What is on the disk of a freshly installed machine: a small CentOS 7.

Its libraries are the host's, shown read-only; `lab.programs` says which programs it has.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.programs import (
    link_programs,
    link_tools,
)
from lab.sandbox.namespace import Plan, base_interpreter

USER_ID = 1000


_TOOL = """\
{first}
import _socket, os, sys
line = [os.path.basename(sys.argv[0]), os.getcwd(), str(os.getuid()), str(len(sys.argv) - 1)]
line += sys.argv[1:]
own = {"LD_LIBRARY_PATH": "/run/lab/python/lib", "LC_CTYPE": "C.UTF-8"}  # set by this interpreter
line += [n + "=" + value for n, value in os.environ.items() if own.get(n) != value]
data = b"\\0".join(os.fsencode(part) for part in line)
try:
    lab = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    lab.connect("/run/lab/tools")
    streams = b"".join(n.to_bytes(4, sys.byteorder) for n in (0, 1, 2))
    lab.sendmsg([b"%010d" % len(data)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
    lab.sendall(data)
    code = lab.recv(16)
except OSError as error:
    sys.stderr.write(line[0] + ": " + str(error) + "\\n")
    os._exit(255)
os._exit(int(code or b"137"))
"""


@dataclass(frozen=True)
class Identity:
    """Who a machine is.

    Attributes:
        name: its name in the lab, `m1`.
        hostname: its host name.
        user: the user who may log in.
        ip: its private address.
    """

    name: str
    hostname: str
    user: str
    ip: str

    @property
    def home(self) -> str:
        """The user's home directory."""
        return f"/home/{self.user}"


def make_disk(disk: Path, identity: Identity, authorized_key: str = "") -> None:
    """Create the disk of a fresh machine; it must not exist.

    Args:
        disk: where it will be.
        identity: whose it will be.
        authorized_key: the OpenSSH public key that may log in.
    """
    home = identity.home.lstrip("/")
    folders = {
        **dict.fromkeys(("etc", "home", "opt", "proc", "dev", "run", "srv", "mnt", "media"), 0o755),
        **dict.fromkeys(("usr", "usr/bin", "usr/sbin", "usr/local", "usr/local/bin"), 0o755),
        **dict.fromkeys(("var", "var/lib", "var/lib/rpm", "var/log", "run/lab"), 0o755),
        **dict.fromkeys(("etc/ssh", "etc/yum.repos.d", "etc/systemd", "etc/systemd/system"), 0o755),
        **dict.fromkeys(("root", home, f"{home}/.ssh"), 0o700),
        **dict.fromkeys(("tmp", "var/tmp"), 0o1777),
    }
    disk.mkdir(parents=True, mode=0o755)
    for folder, mode in folders.items():
        target = disk / folder
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(mode)
    _write_etc(disk, identity)
    key_file = disk / home / ".ssh/authorized_keys"
    _write(key_file, authorized_key.strip() + "\n", 0o600)
    link_tools(disk)
    _link_folders(disk)
    _make_lab_folder(disk)


def _write_etc(disk: Path, identity: Identity) -> None:
    user, home = identity.user, identity.home
    hostname, ip = identity.hostname, identity.ip
    _write(
        disk / "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\n"
        "nobody:x:99:99:Nobody:/:/sbin/nologin\n"
        f"{user}:x:{USER_ID}:{USER_ID}:Cloud User:{home}:/bin/bash\n",
    )
    _write(
        disk / "etc/group",
        f"root:x:0:\nadm:x:4:{user}\nwheel:x:10:{user}\nnobody:x:99:\n"
        f"systemd-journal:x:190:{user}\n{user}:x:{USER_ID}:\n",
    )
    _write(disk / "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
    _write(disk / "etc/hostname", f"{hostname}\n")
    _write(disk / "etc/hosts", f"127.0.0.1 localhost localhost.localdomain\n{ip} {hostname}\n")
    _write(disk / "etc/centos-release", "CentOS Linux release 7.9.2009 (Core)\n")
    (disk / "etc/redhat-release").symlink_to("centos-release")
    _write(
        disk / "etc/os-release",
        'NAME="CentOS Linux"\nVERSION="7 (Core)"\nID="centos"\nID_LIKE="rhel fedora"\n'
        'VERSION_ID="7"\nPRETTY_NAME="CentOS Linux 7 (Core)"\n',
    )
    _write(disk / "etc/shadow", "root:!!:18000:0:99999:7:::\n", 0o600)
    _write(disk / "etc/sudoers", f"root ALL=(ALL) ALL\n{user} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    cache = Path("/etc/ld.so.cache")
    if cache.is_file():
        shutil.copyfile(cache, disk / "etc/ld.so.cache")


def _link_folders(disk: Path) -> None:
    for name in ("bin", "sbin"):
        (disk / name).symlink_to(f"usr/{name}")
    for name in ("lib", "lib64", "lib32", "libx32"):
        host = Path("/", name)
        if host.is_symlink():
            (disk / name).symlink_to(os.readlink(host).lstrip("/"))
        elif host.is_dir():
            (disk / name).mkdir()


def _make_lab_folder(disk: Path) -> None:
    lab = disk / "run/lab"
    for name in ("host", "python", "old", "denied-directory"):
        (lab / name).mkdir()
    for _, target in _shown():
        (disk / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
    _write(lab / "denied-file", "", 0o000)
    (lab / "denied-directory").chmod(0o000)
    _write(lab / "tool", _TOOL.replace("{first}", _first_line()), 0o755)


def _python() -> tuple[str, str]:
    """The base interpreter's prefix on the host, and its path on a machine."""
    prefix, program = os.path.realpath(sys.base_prefix), base_interpreter()
    return prefix, "/run/lab/python/" + os.path.relpath(program, prefix)


def _first_line() -> str:
    _, program = _python()
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return f"#!{program} -IS"
    # Its library may be found by an absolute path of the host only. To sh what follows are two
    # commands, to Python a string.
    return f"""#!/bin/sh
'''export' LD_LIBRARY_PATH=/run/lab/python/lib
exec {program} -IS "$0" "$@"
'''"""


def _shown() -> list[tuple[str, str]]:
    """What of the host is shown on a machine: (host path, path on the machine)."""
    shown = [("/usr", "/run/lab/host/usr"), (_python()[0], "/run/lab/python")]
    for name in ("bin", "sbin"):
        if not Path("/", name).is_symlink() and Path("/", name).is_dir():
            shown.append((f"/{name}", f"/run/lab/host/{name}"))
    for name in ("lib", "lib64", "lib32", "libx32"):
        for host in (f"/{name}", f"/usr/{name}"):
            if Path(host).is_dir() and not Path(host).is_symlink():
                shown.append((host, host))
    shown += [(path, path) for path in ("/usr/libexec", "/usr/share") if Path(path).is_dir()]
    return shown


def plan(disk: Path, identity: Identity, hidden: Callable[[], list[str]]) -> Plan:
    """The namespaces of a machine with this disk."""
    return Plan(
        root=disk,
        hostname=identity.hostname,
        uid=USER_ID,
        writable=(identity.home, "/tmp", "/var/tmp"),
        read_only=tuple(_shown()),
        hidden=hidden,
        prepare=lambda: link_programs(disk),
    )


def remove_disk(disk: Path) -> None:
    """Remove a disk, whatever permissions its files have."""
    if not disk.exists():
        return
    for folder, _, _ in os.walk(disk):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                mode = entry.stat(follow_symlinks=False).st_mode
                os.chmod(entry.path, stat.S_IMODE(mode) | stat.S_IRWXU)
    shutil.rmtree(disk)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
