"""The lab's time stands still until somebody moves it."""

from __future__ import annotations

import asyncio

import pytest

from lab.clock import ManualClock, RealClock


def test_a_manual_clock_stands_still() -> None:
    clock = ManualClock(100.0)
    assert (clock.now(), clock.now()) == (100.0, 100.0)
    clock.advance(5)
    assert clock.now() == 105.0


def test_a_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-1)


def test_a_sleeper_wakes_when_its_time_has_come_and_not_before() -> None:
    async def scenario() -> list[bool]:
        clock = ManualClock()
        sleeper = asyncio.ensure_future(clock.sleep(10))
        await asyncio.sleep(0)
        states = []
        for step in (9.0, 1.0):
            await clock.advance_stepwise(step)
            states.append(sleeper.done())
        return states

    assert asyncio.run(scenario()) == [False, True]


def test_stepwise_a_loop_gets_each_of_its_turns_at_the_right_time() -> None:
    async def scenario() -> list[float]:
        clock = ManualClock(0.0)
        seen = []

        async def loop() -> None:
            while True:
                await clock.sleep(3)
                seen.append(clock.now())

        task = asyncio.ensure_future(loop())
        await asyncio.sleep(0)
        await clock.advance_stepwise(10)
        task.cancel()
        return [*seen, clock.now()]

    assert asyncio.run(scenario()) == [3.0, 6.0, 9.0, 10.0]


def test_a_cancelled_sleeper_is_forgotten() -> None:
    async def scenario() -> tuple[int, int]:
        clock = ManualClock()
        sleeper = asyncio.ensure_future(clock.sleep(10))
        await asyncio.sleep(0)
        before = clock.sleepers
        sleeper.cancel()
        await asyncio.gather(sleeper, return_exceptions=True)
        return before, clock.sleepers

    assert asyncio.run(scenario()) == (1, 0)


def test_to_sleep_no_time_only_lets_others_run() -> None:
    asyncio.run(asyncio.wait_for(ManualClock().sleep(0), 5))


def test_a_real_clock_moves_by_itself() -> None:
    clock = RealClock()
    before = clock.now()
    asyncio.run(clock.sleep(0.001))
    assert clock.now() > before
