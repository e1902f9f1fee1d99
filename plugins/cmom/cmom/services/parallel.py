"""Asking several members at the same time, so that a dead one costs the others nothing."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Found = TypeVar("Found")


def ask_in_parallel(
    questions: Mapping[str, Callable[[], Found]],
    *,
    wait_seconds: float,
    enough: Callable[[Found], bool] | None = None,
    first: str | None = None,
    head_start_seconds: float = 0.0,
) -> dict[str, Found | Exception]:
    """Ask all questions, each in a thread of its own, and return what came back in time.

    The threads are daemons: one that still waits for a dead machine keeps neither the caller nor the end of
    the process. A question must nevertheless end by itself, or its thread stays.

    Args:
        questions: By whom they are asked; a question may raise.
        wait_seconds: When to stop waiting.
        enough: Tells whether this answer is all that is needed.
        first: Who is asked before the others (the leader of the last time, who is most probably right).
        head_start_seconds: How long the others wait for that one.

    Returns:
        What each one answered or raised; nothing for those that were too slow.
    """
    answers: dict[str, Found | Exception] = {}
    if not questions:
        return answers
    incoming: queue.SimpleQueue[tuple[str, Found | Exception]] = queue.SimpleQueue()
    deadline = time.monotonic() + wait_seconds

    def ask(name: str) -> None:
        try:
            incoming.put((name, questions[name]()))
        except Exception as error:
            incoming.put((name, error))

    def begin(name: str) -> None:
        threading.Thread(target=ask, args=(name,), name=f"ask {name}", daemon=True).start()

    def take(until: float) -> bool:
        """Take one answer; tell whether there was one."""
        try:
            name, answer = incoming.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return False
        answers[name] = answer
        return True

    def is_enough() -> bool:
        return enough is not None and any(
            not isinstance(answer, Exception) and enough(answer) for answer in answers.values()
        )

    waiting = list(questions)
    if first in questions and first is not None:
        waiting.remove(first)
        begin(first)
        if take(min(deadline, time.monotonic() + head_start_seconds)) and is_enough():
            return answers
    for name in waiting:
        begin(name)
    while len(answers) < len(questions) and not is_enough():
        if not take(deadline):
            break
    return answers
