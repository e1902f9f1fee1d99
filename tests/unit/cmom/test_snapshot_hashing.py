"""The hash that is reckoned beside the download is the hash."""

from __future__ import annotations

import hashlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmom.services.snapshots.hashing import _BATCH_BYTES, SideSha256


def running() -> int:
    return sum(thread.name == "cmom-sha256" for thread in threading.enumerate())


@given(
    sizes=st.lists(
        st.sampled_from([0, 1, 16_384, _BATCH_BYTES - 1, _BATCH_BYTES, 3 * _BATCH_BYTES + 7]), max_size=8
    )
)
def test_it_is_that_of_all_pieces_whatever_their_sizes(sizes: list[int]) -> None:
    whole = hashlib.sha256()
    memory = bytearray(4 * _BATCH_BYTES)
    with SideSha256() as side:
        for number, size in enumerate(sizes):
            # The same memory each time, as the download has it.
            memory[:size] = bytes([number % 251]) * size
            side.update(memoryview(memory)[:size])
            whole.update(memory[:size])
        assert side.hexdigest() == whole.hexdigest()
        side.update(b"more")
        whole.update(b"more")
        assert side.hexdigest() == whole.hexdigest()


def test_what_was_given_before_a_restart_does_not_count() -> None:
    with SideSha256() as side:
        side.update(bytes(2 * _BATCH_BYTES + 5))
        side.restart()
        side.update(b"after")
        assert side.hexdigest() == hashlib.sha256(b"after").hexdigest()


def test_its_thread_ends_also_when_the_download_fails() -> None:
    def fail() -> None:
        with SideSha256() as side:
            side.update(bytes(_BATCH_BYTES + 1))
            raise RuntimeError

    before = running()
    with pytest.raises(RuntimeError):
        fail()
    assert running() == before
