"""The hash that is reckoned beside the download is the hash."""

from __future__ import annotations

import hashlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmom.services.snapshots.hashing import _BATCH_BYTES, PIECE_BYTES, SideSha256


def put(side: SideSha256, content: bytes) -> None:
    """Give it all, in as few pieces as fit."""
    left = memoryview(content)
    while left:
        room = side.room()
        count = min(len(room), len(left))
        room[:count], left = left[:count], left[count:]
        side.add(count)


def running() -> int:
    return sum(thread.name == "cmom-sha256" for thread in threading.enumerate())


@given(
    sizes=st.lists(
        st.sampled_from([0, 1, 16_384, PIECE_BYTES - 1, PIECE_BYTES, _BATCH_BYTES, 3 * _BATCH_BYTES + 7]),
        max_size=8,
    )
)
def test_it_is_that_of_all_pieces_whatever_their_sizes(sizes: list[int]) -> None:
    whole = hashlib.sha256()
    with SideSha256() as side:
        for number, size in enumerate(sizes):
            put(side, bytes([number % 251]) * size)
            whole.update(bytes([number % 251]) * size)
        assert side.hexdigest() == whole.hexdigest()
        put(side, b"more")
        whole.update(b"more")
        assert side.hexdigest() == whole.hexdigest()


def test_what_is_written_into_its_room_and_not_added_does_not_count() -> None:
    with SideSha256() as side:
        side.room()[:4] = b"lost"
        put(side, b"here")
        assert 0 < len(side.room()) <= PIECE_BYTES
        assert side.hexdigest() == hashlib.sha256(b"here").hexdigest()


def test_what_was_added_before_a_restart_does_not_count() -> None:
    with SideSha256() as side:
        put(side, bytes(2 * _BATCH_BYTES + 5))
        side.restart()
        put(side, b"after")
        assert side.hexdigest() == hashlib.sha256(b"after").hexdigest()


def test_its_thread_ends_also_when_the_download_fails() -> None:
    def fail() -> None:
        with SideSha256() as side:
            put(side, bytes(_BATCH_BYTES + 1))
            raise RuntimeError

    before = running()
    with pytest.raises(RuntimeError):
        fail()
    assert running() == before
