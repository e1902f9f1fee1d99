"""What a command printed: bounded, decoded, and read for sudo's refusals."""

from __future__ import annotations

import select

import paramiko

from cmom.commands import Result

# What is kept of each stream of a command; the end of it, for that is where errors stand.
OUTPUT_LIMIT_BYTES = 512 * 1024

# A command that ended may leave a process behind that keeps its output open; so long is waited for more.
_QUIET_SECONDS = 0.5

# How sudo says no; it says so on stderr, with its own name in front.
_REFUSALS = (
    "a password is required",
    "a terminal is required",
    "you must have a tty",
    "is not in the sudoers file",
    "is not allowed to",
    "may not run sudo",
    "no askpass program",
)


class Tail:
    """The end of a stream, however long the stream is.

    Args:
        limit_bytes: How much is kept.
        unsafe_characters: How much of the beginning is dropped after a cut where there is no end of a line:
            the cut may have gone through a secret, and half of one is not recognised any more.
    """

    def __init__(self, limit_bytes: int, unsafe_characters: int = 0) -> None:
        self._limit = limit_bytes
        self._unsafe = unsafe_characters
        self._kept = bytearray()
        self._dropped = 0

    def add(self, piece: bytes) -> None:
        """Take the next piece of the stream."""
        self._kept += piece
        excess = len(self._kept) - self._limit
        if excess > 0:
            del self._kept[:excess]
            self._dropped += excess

    def text(self) -> str:
        """Return what was kept; a first line tells how much was left out."""
        text = self._kept.decode(errors="replace")
        if not self._dropped:
            return text
        line_end = text.find("\n")
        text = text[line_end + 1 :] if line_end >= 0 else text[self._unsafe :]
        return f"[the first {self._dropped} bytes or more are left out]\n{text}"


def collect(channel: paramiko.Channel, unsafe_characters: int) -> tuple[str, str]:
    """Read what a command prints until it ends, or its channel is closed.

    Args:
        channel: On which it runs.
        unsafe_characters: See `Tail`.

    Returns:
        Its standard output and its standard error.
    """
    out, err = (Tail(OUTPUT_LIMIT_BYTES, unsafe_characters) for _ in range(2))
    poller = select.poll()
    poller.register(channel.fileno(), select.POLLIN)

    def take() -> None:
        while channel.recv_ready():
            out.add(channel.recv(65536))
        while channel.recv_stderr_ready():
            err.add(channel.recv_stderr(65536))

    while not (channel.eof_received or channel.closed):
        # Before the silence, not after it: what comes just then, with the end of the command, would be lost.
        ended = channel.exit_status_ready()
        take()
        if not poller.poll(_QUIET_SECONDS * 1000) and ended:
            break
    take()
    return out.text(), err.text()


def sudo_refusal(result: Result) -> str | None:
    """Return what sudo said when it did not run the command; None when it did.

    A command that never ran must not be taken for one that said no: ``test -e`` ends with 1 in both cases.
    """
    if result.ok:
        return None
    for line in result.stderr.splitlines():
        if "sudo: command not found" in line or (
            line.startswith("sudo:") and any(word in line for word in _REFUSALS)
        ):
            return line.strip()
    return None
