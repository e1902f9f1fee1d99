"""The SSH server of an emulated machine: one user, keys only, real commands, SFTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import asyncssh

from lab.sandbox.base import Command
from lab.sandbox.namespace import NamespaceUnavailableError
from lab.sandbox.stdio import Reader, Writer
from lab.sftp import MachineSftp

if TYPE_CHECKING:
    from lab.machine import Machine

SERVER_VERSION = "OpenSSH_7.4"
"""What CentOS 7 answers with."""

USER_PATH = "/usr/local/bin:/usr/bin"
"""The PATH that sshd of CentOS 7 gives a command."""

_log = logging.getLogger(__name__)
logging.getLogger("asyncssh").setLevel(logging.ERROR)


class Session(asyncssh.SSHServer):
    """One connection: who may log in with what."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def cut(self) -> None:
        """Cut the connection, without a word."""
        if self._connection is not None:
            self._connection.abort()

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return False

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if username != self._machine.ssh_user:
            return False
        file = self._machine.path(f"{self._machine.identity.home}/.ssh/authorized_keys")
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return False
        return any(_same_key(line, key) for line in lines)


def _same_key(line: str, key: asyncssh.SSHKey) -> bool:
    try:
        return asyncssh.import_public_key(line).public_data == key.public_data
    except (asyncssh.KeyImportError, ValueError):
        return False


class SshServer:
    """Serves connections that a gate hands over.

    Args:
        machine: whose.
        host_key: the machine's host key.
    """

    def __init__(self, machine: Machine, host_key: asyncssh.SSHKey) -> None:
        self._machine = machine
        self._host_key = host_key

    async def serve(self, connection: socket.socket) -> None:
        """Speak SSH on a connected socket; returns once the client is logged in, or failed to."""
        session = Session(self._machine)

        def sftp(channel: asyncssh.SSHServerChannel[Any]) -> MachineSftp:
            return MachineSftp(channel, self._machine, session)

        async def process(one: asyncssh.SSHServerProcess[bytes]) -> None:
            await _Exec(self._machine, session, one).run()

        with contextlib.suppress(asyncssh.Error, ConnectionError):
            await asyncssh.run_server(
                connection,
                server_host_keys=[self._host_key],
                server_version=SERVER_VERSION,
                server_factory=lambda: session,
                process_factory=process,
                sftp_factory=sftp,
                encoding=None,
                line_editor=False,
                allow_scp=False,
                agent_forwarding=False,
                x11_forwarding=False,
                gss_host=None,
                compression_algs=None,
                login_timeout=120,
            )


class _Exec:
    """One command, or shell, of a session."""

    def __init__(self, machine: Machine, session: Session, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self._machine = machine
        self._session = session
        self._process = process

    async def run(self) -> None:
        process = self._process
        line = process.command
        fault = None
        if line is not None:
            fault = self._machine.faults.match({"ssh-cut"}, f"exec {line}", needs_path=True)
        argv = ("/bin/bash",) if line is None else ("/bin/bash", "-c", line)
        self._machine.arguments_seen.append(" ".join(argv))
        command = Command(argv, self._machine.identity.home, self._environment())
        try:
            code = await self._execute(command, fault.after_bytes if fault else None)
        except (OSError, NamespaceUnavailableError) as error:
            _log.info("%s: a command ended early: %s", self._machine.name, error)
            self._session.cut()
            return
        with contextlib.suppress(OSError, asyncssh.Error):
            if code < 0:
                process.exit_with_signal(_SIGNALS.get(-code, "KILL"))
            else:
                process.exit(code)

    def _environment(self) -> dict[str, str]:
        machine = self._machine
        client = {name: value for name, value in self._process.env.items() if _accepted(name)}
        return {
            **client,
            "HOME": machine.identity.home,
            "USER": machine.ssh_user,
            "LOGNAME": machine.ssh_user,
            "SHELL": "/bin/bash",
            "PATH": USER_PATH,
            "SSH_CONNECTION": f"127.0.0.1 0 {machine.ip} {machine.ssh_port}",
        }

    async def _execute(self, command: Command, cut_after_bytes: int | None) -> int:
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        (child_in, our_in), (our_out, child_out), (our_err, child_err) = pipes
        merged = self._process.term_type is not None
        try:
            stdio = (child_in, child_out, child_out if merged else child_err)
            job = await self._machine.sandbox.spawn(command, stdio)
        except BaseException:
            os.close(our_in)
            os.close(our_out)
            os.close(our_err)
            raise
        finally:
            for descriptor in (child_in, child_out, child_err):
                os.close(descriptor)
        writer, readers = Writer(our_in), (Reader(our_out), Reader(our_err))
        for descriptor in (our_in, our_out, our_err):
            os.close(descriptor)
        counter = _Counter(cut_after_bytes, self._session)
        feed = asyncio.ensure_future(_feed(self._process.stdin, writer))
        ended = asyncio.ensure_future(job.wait())
        gone = asyncio.ensure_future(self._process.channel.wait_closed())
        copies = [
            asyncio.ensure_future(_copy(readers[0], self._process.stdout, counter)),
            asyncio.ensure_future(_copy(readers[1], self._process.stderr, counter)),
        ]
        whole = asyncio.gather(*copies, ended)
        try:
            # As sshd: the session lasts until the command has ended and its output is closed.
            # When the client is gone first, the pipes close and the command is left to itself.
            waiting: set[asyncio.Future[Any]] = {whole, gone}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not whole.done():
                raise ConnectionResetError("the client is gone")
            await whole
            return ended.result()
        finally:
            # A copy that still waits for output must let go of its descriptor before that is closed:
            # its number may be that of another connection a moment later.
            tasks: list[asyncio.Future[Any]] = [feed, *copies, ended, gone]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, whole, return_exceptions=True)
            for stream in (writer, *readers):
                stream.close()


class _Counter:
    """Cuts the session after so many bytes of output."""

    def __init__(self, limit: int | None, session: Session) -> None:
        self._left = limit
        self._session = session
        self._check()

    def take(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        passed = data[: self._left]
        self._left -= len(passed)
        return passed

    def sent(self) -> None:
        self._check()

    def _check(self) -> None:
        if self._left is not None and self._left <= 0:
            self._session.cut()


async def _feed(source: asyncssh.SSHReader[bytes], target: Writer) -> None:
    try:
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    except (OSError, asyncssh.Error):
        # The command does not read, or the client is gone: either way its input ends.
        pass
    finally:
        target.close()


async def _copy(source: Reader, target: asyncssh.SSHWriter[bytes], counter: _Counter) -> None:
    while data := await source.read():
        passed = counter.take(data)
        target.write(passed)
        await target.drain()
        counter.sent()


def _accepted(name: str) -> bool:
    return name == "LANG" or name.startswith("LC_")


_SIGNALS = {1: "HUP", 2: "INT", 3: "QUIT", 6: "ABRT", 9: "KILL", 11: "SEGV", 13: "PIPE", 15: "TERM"}
