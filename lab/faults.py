"""Faults that are put onto a machine, and the board that decides which call each one hits.

The board only counts and answers; who asks it (the SSH server, the REST middleware, the
installer) does the damage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

SSH_KINDS = frozenset({"ssh-cut", "ssh-refuse", "ssh-hang", "ssh-slow"})
REST_KINDS = frozenset({"refuse", "hang", "slow", "500", "503", "broken-json", "cut"})
INSTALL_KINDS = frozenset({"install-fail", "install-hang"})
KINDS = SSH_KINDS | REST_KINDS | INSTALL_KINDS


@dataclass(frozen=True)
class Fault:
    """One fault and the calls it is meant for.

    Attributes:
        kind: one of KINDS.
        path: a regular expression searched in the call's path; empty: every path. For SSH faults
            the path is `exec COMMAND` or `sftp FILE`; without it they hit the connection itself.
        method: the HTTP method, any case; empty: every method.
        nth: 0: every matching call; N: begin at the Nth matching call, counted from 1.
        times: how many calls are hit; 0: without limit, or once when `nth` is given.
        after_bytes: how much passes before a cut.
        seconds: how long a slow answer is held back.
    """

    kind: str
    path: str = ""
    method: str = ""
    nth: int = 0
    times: int = 0
    after_bytes: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; one of: {', '.join(sorted(KINDS))}")
        if min(self.nth, self.times, self.after_bytes, self.seconds) < 0:
            raise ValueError(f"fault {self.kind}: numbers must not be negative")
        try:
            re.compile(self.path)
        except re.error as error:
            raise ValueError(f"fault {self.kind}: --path is no regular expression: {error}") from None

    @property
    def limit(self) -> int:
        """How many calls it hits; 0 for without limit."""
        return self.times or (1 if self.nth else 0)


@dataclass
class _Entry:
    fault: Fault
    seen: int = 0
    hits: int = 0


class FaultBoard:
    """The faults of one machine, in the order they were added."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._listeners: list[Callable[[], None]] = []

    def add(self, fault: Fault) -> None:
        """Put a fault onto the board."""
        self._entries.append(_Entry(fault))
        self._changed()

    def clear(self) -> None:
        """Take every fault away."""
        self._entries.clear()
        self._changed()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever a fault is added or all are cleared."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        """Call `listener` no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is on the board, spent ones included."""
        return tuple(entry.fault for entry in self._entries)

    def holds(self, kind: str) -> bool:
        """Whether a fault of `kind` hits every connection until it is cleared; counts nothing."""
        return any(
            entry.fault.kind == kind and not entry.fault.path and not entry.fault.limit
            for entry in self._entries
        )

    def match(
        self, kinds: Collection[str], path: str = "", method: str = "", *, needs_path: bool = False
    ) -> Fault | None:
        """Count this call on every fault it concerns and return the first that hits it.

        Args:
            kinds: the kinds the caller can act on at this point.
            path: what is called; empty where a call has no path (a connection).
            method: its HTTP method, if it has one.
            needs_path: leave out faults which name no path (they concern connections).
        """
        hit: Fault | None = None
        for entry in self._entries:
            if not _concerns(entry.fault, kinds, path, method, needs_path):
                continue
            entry.seen += 1
            limit = entry.fault.limit
            if entry.seen < entry.fault.nth or (limit and entry.hits >= limit) or hit is not None:
                continue
            entry.hits += 1
            hit = entry.fault
        return hit

    def _changed(self) -> None:
        for listener in list(self._listeners):
            listener()


def _concerns(fault: Fault, kinds: Collection[str], path: str, method: str, needs_path: bool) -> bool:
    if fault.kind not in kinds or (needs_path and not fault.path):
        return False
    if fault.method and fault.method.upper() != method.upper():
        return False
    return not fault.path or (bool(path) and re.search(fault.path, path) is not None)
