"""The first process of an emulated machine: it builds the private root and starts commands in it.

This file is run as a program by the bare interpreter (`python -I -S inside.py`), imports nothing
of the lab, and speaks with `lab.sandbox.namespace` over two packet sockets, one for each view of
the machine:

- the *root* view, where every place on the disk can be written (what `sudo` gives);
- the *user* view, the same disk read-only except for the user's own places, with what only root
  may read covered up.

The first packet on the root socket is the plan: `{root, hostname, uid, writable, read_only}`. A
request is a JSON object with three file descriptors: `{id, argv, cwd, env, hidden, contained}`;
answers are `{id, pid}`, later `{id, exit}` or `{id, signal}`. `{kill, signal}` signals a command's
process group; `{id, cover}` covers paths at once. When a socket closes, its server ends; the end of
the root server is the end of the machine, because it is process 1 of its process namespace.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import socket
import sys
import warnings  # noqa: F401 - os.execvpe imports it, and in a machine's root there is no library to find it in
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
# What statvfs says about a mount -> the flag that keeps it when it is mounted again. A user
# namespace may not drop any of them.
KEPT_FLAGS = ((2, 2), (4, 4), (8, 8), (1024, 1024), (2048, 2048), (4096, 1 << 21))
PACKET_BYTES = 1 << 18

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    result = libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    check(result, f"mount {source} on {target}")


def remount_read_only(target: str) -> None:
    seen = os.statvfs(target).f_flag
    kept = sum(flag for bit, flag in KEPT_FLAGS if seen & bit)
    mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def mounts_below(target: str) -> list[str]:
    """The mount points at and below `target`, outermost first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            point = line.split(" ")[4].encode().decode("unicode_escape")
            if point == target or point.startswith(target.rstrip("/") + "/"):
                found.append(point)
    return found


def bind_read_only(source: str, target: str) -> None:
    mount(source, target, None, MS_BIND | MS_REC)
    for point in mounts_below(target):
        remount_read_only(point)


def write_file(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def map_ids(inside: int, outside_uid: int, outside_gid: int) -> None:
    write_file("/proc/self/setgroups", "deny")
    write_file("/proc/self/uid_map", f"{inside} {outside_uid} 1")
    write_file("/proc/self/gid_map", f"{inside} {outside_gid} 1")


def build_root(plan: dict[str, Any]) -> None:
    """Assemble the machine's root from its disk and the host's read-only programs; enter it."""
    root = plan["root"]
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount(root, root, None, MS_BIND)
    for source, target in plan["read_only"]:
        bind_read_only(source, root + target)
    mount_devices(root)
    try:
        mount("proc", f"{root}/proc", "proc", 2 | 4 | 8)
    except OSError:
        # A container that hides parts of /proc forbids a new one; the host's own will do.
        mount("/proc", f"{root}/proc", None, MS_BIND | MS_REC)
    os.chdir(root)
    os.makedirs("run/lab/old", mode=0o700, exist_ok=True)
    check(libc.pivot_root(b".", b"run/lab/old"), "pivot_root")
    os.chdir("/")
    check(libc.umount2(b"/run/lab/old", MNT_DETACH), "umount the host's root")
    name = plan["hostname"].encode()
    check(libc.sethostname(name, len(name)), "sethostname")


def mount_devices(root: str) -> None:
    mount("tmpfs", f"{root}/dev", "tmpfs", 2, "mode=755,size=64m")
    for name in ("null", "zero", "full", "random", "urandom"):
        write_file(f"{root}/dev/{name}", "")
        mount(f"/dev/{name}", f"{root}/dev/{name}", None, MS_BIND)
    os.mkdir(f"{root}/dev/shm", 0o1777)
    os.chmod(f"{root}/dev/shm", 0o1777)
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{root}/dev/{name}")


def make_user_view(plan: dict[str, Any]) -> None:
    check(libc.unshare(CLONE_NEWNS), "unshare the mounts")
    for path in plan["writable"]:
        mount(path, path, None, MS_BIND)
    remount_read_only("/")


class Cover:
    """Keeps what only root may read covered up in the user view."""

    def __init__(self) -> None:
        self._covered: set[str] = set()
        self._covers = {
            is_dir: os.stat(f"/run/lab/denied-{'directory' if is_dir else 'file'}")
            for is_dir in (True, False)
        }

    def apply(self, hidden: list[str]) -> None:
        for path in self._covered - set(hidden):
            libc.umount2(path.encode(), MNT_DETACH)
        self._covered &= set(hidden)
        for path in hidden:
            try:
                seen = os.stat(path)
            except OSError:
                continue
            if any(os.path.samestat(seen, cover) for cover in self._covers.values()):
                continue
            kind = "directory" if os.path.isdir(path) else "file"
            try:
                mount(f"/run/lab/denied-{kind}", path, None, MS_BIND)
                self._covered.add(path)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise


class Server:
    """Starts commands on request, and says how they ended."""

    def __init__(self, control: socket.socket, plan: dict[str, Any], *, root_view: bool) -> None:
        self._control = control
        self._plan = plan
        self._root_view = root_view
        self._cover = None if root_view else Cover()
        self._jobs: dict[int, int] = {}
        self._contained: set[int] = set()

    def serve(self) -> None:
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self._answer({"ready": os.getpid()})
        while True:
            ready, _, _ = select.select([self._control.fileno(), wake_read], [], [])
            if wake_read in ready:
                os.read(wake_read, 4096)
            self._reap()
            if self._control.fileno() in ready and not self._request():
                return

    def _answer(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError:
            os._exit(0)

    def _request(self) -> bool:
        room = socket.CMSG_SPACE(3 * array.array("i").itemsize)
        data, ancillary, _, _ = self._control.recvmsg(PACKET_BYTES, room)
        if not data:
            return False
        descriptors = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % 4])
        message = json.loads(data)
        if "kill" in message:
            self._kill(message["kill"], message["signal"])
            return True
        if "cover" in message:
            if self._cover is not None:
                self._cover.apply(message["cover"])
            self._answer({"id": message["id"], "exit": 0})
            return True
        try:
            if self._cover is not None:
                self._cover.apply(message["hidden"])
            pid = os.fork()
            if pid == 0:
                self._become(message, list(descriptors))
            self._jobs[pid] = message["id"]
            if message["contained"]:
                self._contained.add(pid)
            self._answer({"id": message["id"], "pid": pid})
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _kill(self, job: int, number: int) -> None:
        for pid, known in self._jobs.items():
            if known == job:
                self._signal_group(pid, number)

    def _signal_group(self, pid: int, number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(pid, number)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._contained:
                self._contained.remove(pid)
                self._signal_group(pid, signal.SIGKILL)
            job = self._jobs.pop(pid, None)
            if job is None:
                continue
            if os.WIFSIGNALED(status):
                self._answer({"id": job, "signal": os.WTERMSIG(status)})
            else:
                self._answer({"id": job, "exit": os.WEXITSTATUS(status)})

    def _become(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Turn the forked child into the command; never returns."""
        code = 127
        try:
            signal.set_wakeup_fd(-1)
            os.setsid()
            for target, descriptor in enumerate(descriptors):
                os.dup2(descriptor, target)
            os.closerange(3, 4096)
            for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            if not self._root_view:
                check(libc.unshare(CLONE_NEWUSER), "unshare the user")
                map_ids(self._plan["uid"], 0, 0)
            os.umask(0o022)
            try:
                os.chdir(message["cwd"])
            except OSError:
                os.chdir("/")
            argv, env = message["argv"], message["env"]
            os.execvpe(argv[0], argv, env)
        except FileNotFoundError:
            os.write(2, f"{message['argv'][0]}: command not found\n".encode())
        except OSError as error:
            code = 126
            os.write(2, f"{message['argv'][0]}: {os.strerror(error.errno or 0)}\n".encode())
        finally:
            os._exit(code)


def first_process(plan: dict[str, Any], root_socket: socket.socket, user: socket.socket) -> None:
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    build_root(plan)
    if os.fork() == 0:
        root_socket.close()
        make_user_view(plan)
        Server(user, plan, root_view=False).serve()
        os._exit(0)
    user.close()
    Server(root_socket, plan, root_view=True).serve()


def main() -> int:
    root_socket = socket.socket(fileno=int(sys.argv[1]))
    user_socket = socket.socket(fileno=int(sys.argv[2]))
    plan = json.loads(root_socket.recv(PACKET_BYTES))
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    spaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC
    try:
        check(libc.unshare(spaces), "unshare")
        map_ids(0, outside_uid, outside_gid)
        pid = os.fork()
        if pid == 0:
            first_process(plan, root_socket, user_socket)
            os._exit(0)
    except OSError as error:
        # Said to whoever asked, in the child or in the parent: no namespaces here.
        root_socket.send(json.dumps({"failed": str(error)}).encode())
        return 1
    root_socket.close()
    user_socket.close()
    _, status = os.waitpid(pid, 0)
    return 0 if status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
