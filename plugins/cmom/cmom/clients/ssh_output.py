"""What a command printed: bounded, decoded, and read for sudo's refusals."""

from __future__ import annotations

from cmom.commands import Result

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
