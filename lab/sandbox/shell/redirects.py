"""Redirections, and the descriptors they change."""

from __future__ import annotations

import os

from lab.sandbox.base import Descriptors
from lab.sandbox.shell.files import Files
from lab.sandbox.shell.syntax import Redirect


def apply(own: list[int], redirect: Redirect, text: str, files: Files) -> None:
    """Carry out one redirection on a command's own streams.

    Args:
        own: the descriptors of standard input, output and error; changed in place.
        redirect: what is asked for.
        text: its target, expanded.
        files: the machine's files, with the caller's rights.

    Raises:
        OSError: the file cannot be opened.
    """
    operator, number = redirect.operator, redirect.descriptor
    if operator in (">&", "<&") and (text.isdigit() or text == "-"):
        source = own[int(text)] if text in "012" else -1
        fresh = os.open(os.devnull, os.O_RDWR) if source < 0 else os.dup(source)
    elif operator in ("<<", "<<-", "<<<"):
        fresh = _document(text + ("\n" if operator == "<<<" else ""))
    elif operator == "<":
        fresh = os.open(files.readable(text), os.O_RDONLY | os.O_CLOEXEC)
    else:
        more = os.O_APPEND if operator in (">>", "&>>") else os.O_TRUNC
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | more
        fresh = os.open(files.writable(text), flags, 0o644)
    if number > 2:
        os.close(fresh)
        return
    os.close(own[number])
    own[number] = fresh
    if operator in ("&>", "&>>"):
        os.close(own[2])
        own[2] = os.dup(fresh)


def _document(text: str) -> int:
    descriptor = os.memfd_create("document", os.MFD_CLOEXEC)
    data = text.encode(errors="surrogateescape")
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def duplicate(streams: Descriptors) -> Descriptors:
    """Streams of one's own, to be closed when done."""
    return os.dup(streams[0]), os.dup(streams[1]), os.dup(streams[2])


def close(streams: tuple[int, ...]) -> None:
    """Close descriptors."""
    for descriptor in streams:
        os.close(descriptor)
