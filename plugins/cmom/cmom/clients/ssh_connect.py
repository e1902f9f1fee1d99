"""Opening an SSH connection: which key, which host key, and what each way of failing means."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import fabric
import paramiko

from cmom.clients.ssh_keys import fingerprint, host_key_line, load_private_key, parse_host_key
from cmom.errors import AccessRefused, ActionRequired, CmomError, MachineUnreachable, UnexpectedHostKey
from cmom.models import DEFAULT_SSH_PORT, SshAccess

# paramiko logs tracebacks for ordinary network faults; what is worth saying stands in our own errors.
_LOG = "cmom.paramiko"
logging.getLogger(_LOG).addHandler(logging.NullHandler())
logging.getLogger(_LOG).propagate = False

_KEEPALIVE_SECONDS = 30

# What paramiko says in an AuthenticationException when in truth nobody answered.
_NOT_A_REFUSAL = ("Authentication timeout", "transport shut down", "saw EOF")

_KEY_TYPES: dict[str, Callable[..., paramiko.PKey]] = {
    "ssh-ed25519": paramiko.Ed25519Key,
    "ssh-rsa": paramiko.RSAKey,
    "ecdsa-sha2-nistp256": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp384": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp521": paramiko.ECDSAKey,
}


class _AcceptAtFirstUse(paramiko.MissingHostKeyPolicy):
    """Takes any host key of a machine for which none is recorded."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Accept it; whoever connects records it."""


def open_connection(
    address: str,
    access: SshAccess,
    host_key: str | None,
    *,
    connect_seconds: float,
    login_seconds: float,
) -> tuple[fabric.Connection, str]:
    """Connect and log in.

    Args:
        host_key: The recorded host key; None to accept any.
        connect_seconds: Until TCP answers.
        login_seconds: From then until we are logged in.

    Returns:
        The open connection, and the host key that the machine showed.

    Raises:
        MachineUnreachable: Refused, no answer, broken off.
        AccessRefused: The key is unusable or not accepted.
        UnexpectedHostKey: The machine shows another host key than the recorded one.
    """
    private_key = load_private_key(access.private_key_path)
    try:
        sock = socket.create_connection((address, access.port), timeout=connect_seconds)
    except (ValueError, OverflowError):  # what no resolver takes: an empty or a long label, a NUL, a port
        raise ActionRequired(f"{address[:80]!r}, port {access.port}, is no address of a machine") from None
    except OSError as error:
        reason = "no answer" if isinstance(error, socket.timeout) else error.strerror or str(error)
        raise MachineUnreachable(f"No SSH connection to {address}, port {access.port}: {reason}") from error
    connection = _prepare(address, access, private_key, sock, login_seconds)
    # paramiko has a time-out for each step; this one holds for all of them together.
    watch = threading.Timer(login_seconds, sock.close)
    watch.daemon = True
    watch.start()
    try:
        if host_key is not None:
            _expect(connection.client, address, access.port, host_key)
        connection.open()
        transport = connection.client.get_transport()
        if transport is None or not transport.is_authenticated():
            raise EOFError
        # Firewalls forget connections that are silent for long, and some commands are.
        transport.set_keepalive(_KEEPALIVE_SECONDS)
        shown = host_key_line(transport.get_remote_server_key())
    except Exception as error:
        connection.client.close()
        sock.close()
        raise _explain(error, address, access, login_seconds, timed_out=not watch.is_alive()) from error
    finally:
        watch.cancel()
    return connection, shown


def _prepare(
    address: str, access: SshAccess, private_key: paramiko.PKey, sock: socket.socket, login_seconds: float
) -> fabric.Connection:
    connection = fabric.Connection(
        address,
        user=access.user,
        port=access.port,
        # Lazy: no configuration file of fabric, invoke or OpenSSH is read.
        config=fabric.Config(lazy=True),
        forward_agent=False,
        connect_kwargs={
            "sock": sock,
            "pkey": private_key,
            "allow_agent": False,
            "look_for_keys": False,
            "timeout": login_seconds,
            "banner_timeout": login_seconds,
            "auth_timeout": login_seconds,
        },
    )
    connection.client.set_missing_host_key_policy(_AcceptAtFirstUse())
    connection.client.set_log_channel(_LOG)
    return connection


def _expect(client: Any, address: str, port: int, line: str) -> None:
    """Tell paramiko the host key to expect; it then also asks the machine for a key of that type."""
    kind, content = parse_host_key(line)
    try:
        key = _KEY_TYPES[kind](data=content)
    except (KeyError, ValueError, paramiko.SSHException):
        raise ActionRequired(f"The SSH host key recorded for {address} is not one: {line[:80]!r}") from None
    name = address if port == DEFAULT_SSH_PORT else f"[{address}]:{port}"
    client.get_host_keys().add(name, kind, key)


def _explain(
    error: Exception, address: str, access: SshAccess, login_seconds: float, *, timed_out: bool
) -> CmomError:
    """Return the error of ours for one of paramiko's or the network's."""
    where = f"{address}, port {access.port}"
    if isinstance(error, CmomError):
        return error
    if isinstance(error, paramiko.BadHostKeyException):
        return UnexpectedHostKey(
            f"{where} shows another SSH host key than the one recorded for it. "
            f"Recorded: {fingerprint(error.expected_key.asbytes())}; "
            f"shown: {fingerprint(error.key.asbytes())}. "
            "If the machine was rebuilt, heal it or uninstall and install it again; "
            "if not, somebody may be in between, so find out before you go on."
        )
    text = str(error) or type(error).__name__
    if timed_out:
        return MachineUnreachable(f"{where} took the connection, but no SSH login within {login_seconds:g} s")
    silence = any(word in text for word in _NOT_A_REFUSAL)
    if isinstance(error, paramiko.AuthenticationException) and not silence:
        return AccessRefused(
            f"{where} refused the user {access.user} with the key {access.private_key_path}; "
            "check ssh_user and ssh_private_key_path, and that the machine knows the public key"
        )
    if isinstance(error, getattr(paramiko.ssh_exception, "IncompatiblePeer", ())):
        return ActionRequired(f"{where} speaks no SSH that we can use: {text}")
    return MachineUnreachable(f"The SSH login to {where} broke off: {text}")
