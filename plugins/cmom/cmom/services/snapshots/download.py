"""Bringing a snapshot's archive from Tier 1 to a file on Tier 2, in a bounded time, whatever breaks on the
way.

What has come is hashed as it comes. When the connection breaks, it is gone on with where it broke if the
manager can do that, and begun anew if not, or if another member leads by then.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from cmom.clients.snapshot_archive import SILENCE_SECONDS, TOTAL_SECONDS, ArchiveStream, open_archive
from cmom.errors import ActionRequired, CmomError, ManagerUnreachable, TryAgainLater
from cmom.services.progress import TransferProgress, readable_size
from cmom.services.snapshots.files import new_file, write_all
from cmom.services.snapshots.hashing import SideSha256
from cmom.services.tier1 import Tier1, Tier1Api
from cmom.services.waiting import Clock

# What is left on the disk for others.
SPARE_BYTES = 256 * 1024 * 1024
_TELL_EACH_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Patience:
    """How long a download may take.

    Attributes:
        tries: How often in a row it may break without having come further than before.
        pause_seconds: Before it is tried again.
        leader_seconds: How long to look for a member that serves, each time.
        silence_seconds: How long a manager may be silent.
        total_seconds: The whole of it.
    """

    tries: int = 5
    pause_seconds: float = 5.0
    leader_seconds: float = 120.0
    silence_seconds: float = SILENCE_SECONDS
    total_seconds: float = TOTAL_SECONDS


@dataclass(frozen=True)
class Downloaded:
    """What has come.

    Attributes:
        sha256: In hexadecimal, of the bytes as they came.
        address: Of the manager that they came from.
    """

    sha256: str
    bytes: int
    address: str


class Downloader:
    """Downloads archives of snapshots.

    Args:
        tier1: The cluster.
        logger: Gets the progress.
        clock: Tells how long it takes.
        patience: See `Patience`.
        spare_bytes: What has to stay free on the disk.
    """

    def __init__(
        self,
        tier1: Tier1,
        logger: logging.Logger,
        clock: Clock,
        *,
        patience: Patience | None = None,
        spare_bytes: int = SPARE_BYTES,
    ) -> None:
        self._tier1 = tier1
        self._logger = logger
        self._clock = clock
        self._patience = patience or Patience()
        self._spare_bytes = spare_bytes

    def fetch(self, snapshot_id: str, part: Path) -> Downloaded:
        """Download an archive, and see to it that it is on the disk and not only on its way there.

        Args:
            snapshot_id: On Tier 1.
            part: The file to make; it is not there yet. When this raises, it is not there either.

        Raises:
            TryAgainLater: It broke too often, or took too long.
            ActionRequired: The disk has no room for it, or the manager refuses to give it.
        """
        progress = TransferProgress(f"Snapshot {snapshot_id} to Tier 2", self._logger.info, self._clock)
        with SideSha256() as sha256, _file_errors(part), new_file(part) as file:
            try:
                transfer = _Transfer(file, part, sha256, progress, self._spare_bytes)
                downloaded = self._fetch(snapshot_id, transfer)
                os.fsync(file.fileno())
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        return downloaded

    def _fetch(self, snapshot_id: str, transfer: _Transfer) -> Downloaded:
        patience = self._patience
        doing = f"downloading snapshot {snapshot_id}"
        deadline = self._clock.monotonic() + patience.total_seconds
        failures = farthest = 0
        while True:
            try:
                return self._tier1.call(
                    lambda api: self._round(api, snapshot_id, transfer, deadline),
                    doing,
                    wait_seconds=patience.leader_seconds,
                    repeatable=False,
                )
            except TryAgainLater as error:
                failures = 1 if transfer.done_bytes > farthest else failures + 1
                farthest = max(farthest, transfer.done_bytes)
                late = self._clock.monotonic() + patience.pause_seconds > deadline
                if failures >= patience.tries or late:
                    raise
                self._logger.warning(
                    "%s It broke off after %s; trying again.", error, readable_size(transfer.done_bytes)
                )
                self._clock.sleep(patience.pause_seconds)

    def _round(self, api: Tier1Api, snapshot_id: str, transfer: _Transfer, deadline: float) -> Downloaded:
        with open_archive(
            api,
            snapshot_id,
            offset=transfer.done_bytes,
            etag=transfer.etag,
            silence_seconds=self._patience.silence_seconds,
            total_seconds=max(1.0, deadline - self._clock.monotonic()),
        ) as stream:
            transfer.take(stream)
        if stream.total_bytes is not None and transfer.done_bytes != stream.total_bytes:
            raise ManagerUnreachable(
                f"Downloading snapshot {snapshot_id}: manager {api.address} sent {transfer.done_bytes} of "
                f"{stream.total_bytes} bytes."
            )
        return Downloaded(transfer.sha256(), transfer.done_bytes, api.address)


class _Transfer:
    """A file that grows, and the hash of what is in it."""

    def __init__(
        self, file: FileIO, path: Path, sha256: SideSha256, progress: TransferProgress, spare_bytes: int
    ) -> None:
        self._file = file
        self._path = path
        self._progress = progress
        self._spare_bytes = spare_bytes
        self._hash = sha256
        self.done_bytes = 0
        self.etag = ""

    def sha256(self) -> str:
        return self._hash.hexdigest()

    def take(self, stream: ArchiveStream) -> None:
        """Add what comes; from the beginning when the stream begins there."""
        if stream.offset != self.done_bytes:
            self._begin_anew(stream)
        self.etag = stream.etag
        total = stream.total_bytes or 0
        self._check_room(total)
        told = self.done_bytes
        # Run thousands of times: nothing is done here that can be done less often.
        while count := stream.read_into(room := self._hash.room()):
            try:
                write_all(self._file, room[:count])
            except OSError as error:
                raise _disk_trouble(self._path, error) from error
            self._hash.add(count)
            self.done_bytes += count
            if self.done_bytes - told >= _TELL_EACH_BYTES:
                told = self.done_bytes
                self._progress(told, total)
        self._progress(self.done_bytes, total)

    def _begin_anew(self, stream: ArchiveStream) -> None:
        if stream.offset:
            raise ManagerUnreachable(
                f"A manager went on at byte {stream.offset}, where {self.done_bytes} was asked for."
            )
        with _file_errors(self._path):
            self._file.seek(0)
            self._file.truncate()
        self._hash.restart()
        self.done_bytes = 0

    def _check_room(self, total_bytes: int) -> None:
        needed = max(0, total_bytes - self.done_bytes) + self._spare_bytes
        with _file_errors(self._path):
            free = shutil.disk_usage(self._path.parent).free
        if free < needed:
            raise ActionRequired(
                f"There is too little room in {self._path.parent} for the snapshot: it has "
                f"{readable_size(total_bytes)}, {readable_size(free)} are free, and "
                f"{readable_size(self._spare_bytes)} are to stay free. Make room there, lower "
                "keep_snapshots, or give another place as snapshots_path."
            )


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Say what is wrong with our own disk; it must not be taken for an error of the wire."""
    try:
        yield
    except CmomError:
        raise
    except OSError as error:
        raise _disk_trouble(path, error) from error


def _disk_trouble(path: Path, error: OSError) -> ActionRequired:
    return ActionRequired(
        f"The snapshot cannot be written to {path.parent}: {error.strerror}. Make room there, lower "
        "keep_snapshots, or give another place as snapshots_path."
    )
