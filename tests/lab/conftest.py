"""What the tests against the lab share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.manager.host import Settings
from lab.testing import lab_thread as lab_thread
from tests.lab.fleet import Fleet
from tests.lab.given_watched import Watched


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Make a fleet of managers that is switched off in the end."""
    made: list[Fleet] = []

    def make(count: int = 3, **settings: float) -> Fleet:
        made.append(Fleet(tmp_path / f"fleet{len(made)}", count, Settings(**settings)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()


@pytest.fixture
def make_watched(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Make clusters that are watched; taken down in the end."""
    with ExitStack() as stack:
        yield lambda *sizes, **changes: stack.enter_context(Watched(tmp_path, sizes or (3,), **changes))
