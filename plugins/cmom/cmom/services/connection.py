"""A cluster as one thing to talk to: whichever member serves is asked, and the next one when it dies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from cmom.clients.manager import ManagerClient
from cmom.errors import ActionRequired, CmomError, DeadlinePassed, ManagerUnreachable
from cmom.services.waiting import Clock, SystemClock

Outcome = TypeVar("Outcome")

DEFAULT_WAIT_SECONDS = 120.0
_PAUSE_SECONDS = 2.0


class Connection(Protocol):
    """What `ClusterConnection` and `ActiveManagers` have in common."""

    def call(
        self,
        function: Callable[[ManagerClient], Outcome],
        doing: str,
        *,
        wait_seconds: float = DEFAULT_WAIT_SECONDS,
        repeatable: bool = True,
    ) -> Outcome:
        """Do something on a manager that serves; see `ClusterConnection.call`."""

    def close(self) -> None:
        """Let go of all connections."""


class ActiveManagers:
    """The managers of a cluster of generation 5, all of which serve: the same one as long as it answers.

    Args:
        addresses: Of all members.
        connect: Makes the client of one address; called once for each.
        clock: For tests.
        pause_seconds: Between two rounds in which none answered.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        connect: Callable[[str], ManagerClient],
        *,
        clock: Clock | None = None,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        if not addresses:
            raise ActionRequired("The cluster has no members that could be asked.")
        self._addresses = list(dict.fromkeys(addresses))
        self._connect = connect
        self._clock = clock or SystemClock()
        self._pause_seconds = pause_seconds
        self._clients: dict[str, ManagerClient] = {}
        self._lock = threading.Lock()

    def call(
        self,
        function: Callable[[ManagerClient], Outcome],
        doing: str,
        *,
        wait_seconds: float = DEFAULT_WAIT_SECONDS,
        repeatable: bool = True,
    ) -> Outcome:
        """Do something on a member, and on the next one when that does not answer.

        Args:
            function: Gets the client; it must be right when it is called twice, unless not `repeatable`.
            doing: A phrase for messages.
            wait_seconds: For how long to try.
            repeatable: Whether it may be done again when nobody knows if it was done.

        Raises:
            DeadlinePassed: No member answered until the end of the wait.
            CmomError: Whatever else the function raises.
        """
        deadline = self._clock.monotonic() + wait_seconds
        while True:
            for address in tuple(self._addresses):
                try:
                    return function(self._member(address))
                except ManagerUnreachable as error:
                    self._put_last(address)
                    if not repeatable:
                        raise
                    trouble: CmomError = error
                if self._clock.monotonic() > deadline:
                    break
            if self._clock.monotonic() + self._pause_seconds > deadline:
                raise DeadlinePassed(
                    f"{doing[:1].upper()}{doing[1:]}: no member of {', '.join(self._addresses)} answered "
                    f"within {wait_seconds:.0f} s. The last answer: {trouble}"
                ) from trouble
            self._clock.sleep(self._pause_seconds)

    def close(self) -> None:
        """Let go of all connections."""
        for client in list(self._clients.values()):
            client.close()

    def _member(self, address: str) -> ManagerClient:
        with self._lock:
            if address not in self._clients:
                self._clients[address] = self._connect(address)
            return self._clients[address]

    def _put_last(self, address: str) -> None:
        """Ask this one after the others from now on."""
        with self._lock:
            if len(self._addresses) > 1 and self._addresses[0] == address:
                self._addresses = [*self._addresses[1:], address]
