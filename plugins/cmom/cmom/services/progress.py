"""Progress of a long transfer, said often enough to see that it lives, and no oftener."""

from __future__ import annotations

from collections.abc import Callable

from cmom.services.waiting import Clock

_STEP_PERCENT = 10
_STEP_SECONDS = 10.0


class TransferProgress:
    """Turns counts of bytes into lines like ``RPM to 10.0.0.21: 40 % of 1.9 GB``.

    A line comes at every tenth of the whole, and after ten seconds without one.

    Args:
        label: What goes where.
        say: Receives the lines.
        clock: For the ten seconds.
    """

    def __init__(self, label: str, say: Callable[[str], None], clock: Clock) -> None:
        self._label = label
        self._say = say
        self._clock = clock
        self._step = 0
        self._said = clock.monotonic()

    def __call__(self, done_bytes: int, total_bytes: int) -> None:
        """Take note of how far it is; more than a total of 0 means that nobody knows the total."""
        known = total_bytes >= done_bytes
        percent = 0 if not known else 100 if total_bytes <= 0 else done_bytes * 100 // total_bytes
        now = self._clock.monotonic()
        if percent // _STEP_PERCENT == self._step and now - self._said < _STEP_SECONDS:
            return
        self._step, self._said = percent // _STEP_PERCENT, now
        how_far = f"{percent} % of {readable_size(total_bytes)}" if known else readable_size(done_bytes)
        self._say(f"{self._label}: {how_far}")


def readable_size(count_bytes: int) -> str:
    """Return a size for people: ``1.9 GB``, in powers of 1000 as disks and networks are sold."""
    size = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
