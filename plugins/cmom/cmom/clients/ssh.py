"""SSH to one machine: connect, run commands, copy files; over fabric, with deadlines that really end.

Nothing of the user's own SSH set-up takes part: no agent, no ``~/.ssh/config``, no ``known_hosts``, no
forwarding. What decides is the key the blueprint names and the host key recorded for the machine.

A client is for one thread. It connects at its first use, and again after the connection broke; a machine that
then shows another host key than before is refused.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType

import fabric
import paramiko

from cmom.clients import sftp
from cmom.clients.masking import Masker
from cmom.clients.ssh_connect import open_connection
from cmom.clients.ssh_output import collect, sudo_refusal
from cmom.commands import Command, Result
from cmom.errors import AccessRefused, ActionRequired, CommandFailed, DeadlinePassed, MachineUnreachable
from cmom.models import SshAccess

Progress = Callable[[int, int], None]

# A connection that breaks is noticed by several threads, one after the other.
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Deadlines:
    """How long the parts of a connection may take.

    Attributes:
        connect_seconds: Until TCP answers.
        login_seconds: From then until we are logged in: banner, key exchange, authentication together.
        stall_seconds: How long a file transfer may stand still.
    """

    connect_seconds: float = 10.0
    login_seconds: float = 30.0
    stall_seconds: float = 60.0


class SshClient:
    """A machine's shell and files.

    Args:
        address: Where Tier 2 reaches the machine.
        access: User, private key, port.
        host_key: The machine's host key as recorded (``ssh-ed25519 AAAA...``); None to accept the one it
            shows, which then stands in `host_key` to be recorded.
        secrets: What is masked in everything that comes back.
        deadlines: For connection and transfers; commands bring their own.
    """

    def __init__(
        self,
        address: str,
        access: SshAccess,
        *,
        host_key: str | None = None,
        secrets: Iterable[str] = (),
        deadlines: Deadlines | None = None,
    ) -> None:
        self.address = address
        self.access = access
        self.host_key = host_key
        self._secrets = tuple(secrets)
        self.mask = Masker(self._secrets)
        self._deadlines = deadlines or Deadlines()
        self._connection: fabric.Connection | None = None
        self._sftp: paramiko.SFTPClient | None = None

    def __enter__(self) -> SshClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def keep_secret(self, secrets: Iterable[str]) -> None:
        """Mask these as well, in everything that comes back from now on."""
        self._secrets = (*self._secrets, *secrets)
        self.mask = Masker(self._secrets)

    def close(self) -> None:
        """End the connection, if there is one."""
        connection, self._connection, self._sftp = self._connection, None, None
        if connection is not None:
            # Not Connection.close(): that leaves the thread of a half-open connection running.
            with suppress(Exception):
                connection.client.close()

    def connect(self) -> None:
        """Connect and log in, unless that is done already.

        Raises:
            MachineUnreachable: Refused, no answer, or broken off.
            AccessRefused: The private key cannot be used, or the machine does not accept it.
            UnexpectedHostKey: It is not the machine we know.
        """
        if self._connection is not None and self._transport.is_active():
            return
        self.close()
        self._connection, self.host_key = open_connection(
            self.address,
            self.access,
            self.host_key,
            connect_seconds=self._deadlines.connect_seconds,
            login_seconds=self._deadlines.login_seconds,
        )

    def run(self, command: Command, check: bool = True) -> Result:
        """Run a command and wait for its end.

        Args:
            command: What to run; its `timeout_seconds` is kept, whatever the machine does.
            check: Whether an exit code other than 0 is an error.

        Raises:
            CommandFailed: It ended with another exit code than 0, and `check` was asked for.
            DeadlinePassed: It did not end in time. It may still run on the machine.
            MachineUnreachable: No connection, or it broke before the command ended.
            AccessRefused: The user may not use sudo.
        """
        self.connect()
        what = f"`{self.mask(command.shell())}`"
        with self._bounded(command.timeout_seconds, f"{what} on {self.address}"):
            exit_code, stdout, stderr = self._execute(command, what)
        result = Result(command, exit_code, self.mask(stdout), self.mask(stderr))
        refusal = sudo_refusal(result) if command.sudo else None
        if refusal is not None:
            raise AccessRefused(
                f"{self.access.user} may not become root on {self.address} ({refusal}); "
                "allow sudo without a password and without a terminal for this user"
            )
        if check and not result.ok:
            raise CommandFailed(
                f"{what} on {self.address} ended with exit code {exit_code}:\n{result.last_lines()}",
                exit_code,
                result.last_lines(),
            )
        return result

    def put(
        self,
        local_path: str,
        remote_path: str,
        *,
        mode: int = 0o644,
        progress: Progress | None = None,
        timeout_seconds: float = 3600.0,
    ) -> str:
        """Copy a file of Tier 2 to the machine; it appears there whole or not at all.

        Args:
            local_path: On Tier 2.
            remote_path: On the machine; must be writable by the SSH user.
            mode: Its permissions; until it is whole nobody else may read it.
            progress: Called with the bytes sent so far and the size.
            timeout_seconds: For the whole copy.

        Returns:
            The SHA-256 of what was sent, in hexadecimal digits.
        """
        try:
            source = open(local_path, "rb")  # noqa: SIM115 - closed by the `with` below
        except OSError as error:
            raise ActionRequired(f"{local_path} cannot be read: {error.strerror or error}") from None
        with source, self._transferring(f"copying {local_path} to {remote_path}", timeout_seconds) as session:
            return sftp.put(session, source, remote_path, mode, progress)

    def put_content(self, content: bytes | str, remote_path: str, mode: int = 0o600) -> None:
        """Write a file on the machine; nobody but its owner can read it before its mode is set."""
        data = content.encode() if isinstance(content, str) else content
        with self._transferring(f"writing {remote_path}", 300.0) as session:
            sftp.put_content(session, data, remote_path, mode)

    def read_text(self, remote_path: str, limit_bytes: int = 1_000_000) -> str | None:
        """Return a file that the SSH user can read, secrets masked; None if it does not exist."""
        with self._transferring(f"reading {remote_path}", 300.0) as session:
            content = sftp.read(session, remote_path, limit_bytes)
        return None if content is None else self.mask(content.decode(errors="replace"))

    def home(self) -> str:
        """Return the home of the SSH user, as an absolute path."""
        with self._transferring("looking for the home directory", 60.0) as session:
            return session.normalize(".")

    @property
    def _transport(self) -> paramiko.Transport:
        assert self._connection is not None
        transport = self._connection.client.get_transport()
        assert isinstance(transport, paramiko.Transport)
        return transport

    def _execute(self, command: Command, what: str) -> tuple[int, str, str]:
        channel: paramiko.Channel | None = None
        try:
            channel = self._transport.open_session(timeout=command.timeout_seconds)
            channel.settimeout(command.timeout_seconds)
            channel.exec_command(command.shell().encode())
            if command.stdin is not None:
                channel.sendall(command.stdin.encode())
            channel.shutdown_write()
        except (paramiko.SSHException, EOFError, OSError) as error:
            # A program may end without reading what it was given; then it is its exit code that counts.
            if channel is None or not channel.status_event.is_set() or not self._alive():
                raise self._broken(f"{what} was being started", error) from error
        stdout, stderr = collect(channel, self.mask.longest)
        # Its output may end long before the command does; the watch over the whole call ends this wait too.
        channel.status_event.wait(command.timeout_seconds)
        exit_code = channel.exit_status
        channel.close()
        if exit_code < 0 and not self._alive():
            raise self._broken(f"{what} was running", None)
        # Below 0 and the connection lives: a signal ended it.
        return exit_code, stdout, stderr

    @contextmanager
    def _transferring(self, what: str, timeout_seconds: float) -> Iterator[paramiko.SFTPClient]:
        """Lend the SFTP session; translate what goes wrong, and drop a connection that did not hold."""
        self.connect()
        with self._bounded(timeout_seconds, f"{what} on {self.address}"):
            try:
                if self._sftp is None:
                    self._sftp = self._transport.open_sftp_client()
                    assert self._sftp is not None
                    channel = self._sftp.get_channel()
                    assert channel is not None
                    channel.settimeout(self._deadlines.stall_seconds)
                yield self._sftp
            except sftp.Refused as error:
                raise ActionRequired(f"{self.address} refused {what}: {error}") from None
            except (paramiko.SSHException, EOFError, OSError) as error:
                raise self._broken(what, error) from error

    @contextmanager
    def _bounded(self, seconds: float, what: str) -> Iterator[None]:
        """Break the connection when the time is over.

        Closing it is the one thing that wakes paramiko from every wait, some of which have no time-out.
        """
        expired = threading.Event()
        transport = self._transport

        def expire() -> None:
            expired.set()
            transport.close()

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        except MachineUnreachable:
            if not expired.is_set():
                raise
        finally:
            timer.cancel()
        if expired.is_set():
            self.close()
            raise DeadlinePassed(f"{what} did not end within {seconds:g} s")

    def _alive(self) -> bool:
        """Whether the connection lives; gives one that is breaking the time to notice."""
        transport = self._transport
        ends = time.monotonic() + _SETTLE_SECONDS
        while transport.is_active() and time.monotonic() < ends:
            transport.join(0.05)
        return bool(transport.is_active())

    def _broken(self, what: str, error: BaseException | None) -> MachineUnreachable:
        self.close()
        reason = self.mask(str(error or "")) or "cut off"
        if isinstance(error, socket.timeout):
            reason = "it stood still"
        return MachineUnreachable(f"The SSH connection to {self.address} broke while {what}: {reason}")
