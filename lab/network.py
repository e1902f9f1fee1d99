"""The network of an emulated machine: one gate for each port, which passes, stalls or cuts.

Servers never own a listening socket. A gate accepts the connections, hands the server one end of a
socket pair, and carries the bytes, so that power cuts, partitions and SSH faults act on bytes and
need nothing from the server.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import select
import socket
from collections.abc import Sequence, Set

from lab.clock import Clock
from lab.connection import NO_FAULTS, Connection, GateFaults, Serve
from lab.faults import FaultBoard

_BACKLOG = 256
_MAX_FILLERS = 16
_FILL_SECONDS = 0.05
# A connection on loopback is made within the system call; one that takes longer was dropped.

_log = logging.getLogger(__name__)


class AddressTakenError(Exception):
    """Something else listens on a machine's address and port."""


class PortGate:
    """One port of a machine, on each of its addresses.

    Args:
        addresses: the machine's addresses.
        port: the port.
        serve: takes the server's end of a new connection.
        clock: for slow connections.
        board: the machine's faults.
        kinds: which of them concern connections of this port.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        port: int,
        serve: Serve,
        clock: Clock,
        board: FaultBoard,
        kinds: GateFaults = NO_FAULTS,
    ) -> None:
        self._addresses = tuple(dict.fromkeys(addresses))
        self._port = port
        self._serve = serve
        self._clock = clock
        self._board = board
        self._kinds = kinds
        self._listeners: list[socket.socket] = []
        self._fillers: list[socket.socket] = []
        self._connections: set[Connection] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether the port listens, or swallows."""
        return self._open

    @property
    def connections(self) -> int:
        """How many connections stand."""
        return len(self._connections)

    def open(self, *, swallow: bool = False) -> None:
        """Begin to listen; with `swallow` the port is behind a partition from the start.

        Raises:
            AddressTakenError: with the address and port in its message.
        """
        if self._open:
            return
        self._open = True
        try:
            self._listen()
        except AddressTakenError:
            self._open = False
            raise
        self._board.on_change(self._faults_changed)
        if swallow:
            self.swallow()

    def _listen(self) -> None:
        if self._listeners or self._refuses_all():
            return
        try:
            for address in self._addresses:
                self._listeners.append(_listener(address, self._port))
        except BaseException:
            self._stop_listening()
            raise
        if self._flowing.is_set():
            self._watch()

    def _refuses_all(self) -> bool:
        return self._kinds.refuse is not None and self._board.holds(self._kinds.refuse)

    def _faults_changed(self) -> None:
        # A refusal of every connection is a closed port; of the nth only, a reset after accept.
        if not self._open:
            return
        if self._refuses_all():
            self._stop_listening()
            return
        self._listen()
        if not self._flowing.is_set():
            self._fill()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.add_reader(listener, self._accept, listener)

    def _unwatch(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)

    def _stop_listening(self) -> None:
        self._unwatch()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self._close_fillers()

    def close(self) -> None:
        """Stop listening and reset every connection, as a power cut looks from near."""
        self._open = False
        self._board.forget(self._faults_changed)
        self._stop_listening()
        for connection in list(self._connections):
            connection.reset()
        self._flowing.set()

    def swallow(self) -> None:
        """Let nothing through any more: a partition.

        New connections get no answer at all: nobody accepts, and the queue of a listener with a
        backlog of zero is filled up with connections of our own, after which the kernel drops
        what comes. Connections that stand stall in both directions.
        """
        self._flowing.clear()
        self._unwatch()
        self._fill()

    def _fill(self) -> None:
        for listener in self._listeners:
            listener.listen(0)
            address = listener.getsockname()
            for _ in range(_MAX_FILLERS):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(address)
                poll = select.poll()
                poll.register(filler, select.POLLOUT)
                if not poll.poll(_FILL_SECONDS * 1000):
                    filler.close()
                    break
                self._fillers.append(filler)

    def release(self) -> None:
        """Let everything through again; what was stalled goes on."""
        if self._flowing.is_set():
            return
        mine = {filler.getsockname() for filler in self._fillers}
        self._close_fillers()
        self._flowing.set()
        for listener in self._listeners:
            listener.listen(_BACKLOG)
            self._accept(listener, mine)
        self._watch()

    def _close_fillers(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()

    def _accept(self, listener: socket.socket, ours: Set[object] = frozenset()) -> None:
        while True:
            try:
                client, peer = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.warning("cannot accept on %s: %s", listener.getsockname(), error)
                return
            if peer in ours:
                client.close()
                continue
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            fault = self._board.match(self._kinds.kinds) if self._kinds.kinds else None
            connection = Connection(client, self._flowing, self._clock, fault, self._kinds)
            self._connections.add(connection)
            task = asyncio.get_running_loop().create_task(connection.run(self._serve))
            connection.task = task
            task.add_done_callback(functools.partial(self._ended, connection))

    def _ended(self, connection: Connection, task: asyncio.Task[None]) -> None:
        self._connections.discard(connection)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a connection failed", exc_info=task.exception())


def check_free(addresses: Sequence[str], port: int) -> None:
    """Refuse a port that somebody else listens on.

    Raises:
        AddressTakenError: with the address and port in its message.
    """
    for address in dict.fromkeys(addresses):
        _listener(address, port).close()


def _listener(address: str, port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressTakenError(f"cannot listen on {address} port {port}: {error.strerror}") from None
    return listener
