"""Readiness is looked up rarely, whoever asks how often; and what hangs is no."""

from __future__ import annotations

import asyncio
import threading

from flicker_dagster.web.readiness import Readiness


def test_many_probes_are_one_look_and_its_answer_holds_for_a_while() -> None:
    looks: list[int] = []
    now_s = [0.0]

    def look() -> str | None:
        looks.append(1)
        return None

    async def probes() -> list[bool]:
        readiness = Readiness(look, fresh_s=5, clock=lambda: now_s[0])
        answers = list(await asyncio.gather(*(readiness.ready() for _ in range(50))))
        now_s[0] = 4.9
        answers.append(await readiness.ready())
        assert len(looks) == 1
        now_s[0] = 5.0
        answers.append(await readiness.ready())
        return answers

    assert set(asyncio.run(probes())) == {True}
    assert len(looks) == 2


def test_what_is_missing_or_fails_is_not_ready_and_may_become_so() -> None:
    outcomes: list[str | Exception | None] = ["no heartbeat", OSError("database"), None]
    now_s = [0.0]

    def look() -> str | None:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def probes() -> list[bool]:
        readiness = Readiness(look, fresh_s=5, clock=lambda: now_s[0])
        answers = []
        for second in (0, 5, 10):
            now_s[0] = second
            answers.append(await readiness.ready())
        return answers

    assert asyncio.run(probes()) == [False, False, True]


def test_a_look_that_hangs_is_not_ready_and_no_second_one_is_begun() -> None:
    begun: list[int] = []
    over = threading.Event()

    def look() -> str | None:
        begun.append(1)
        over.wait(20)
        return None

    async def probes() -> list[bool]:
        readiness = Readiness(look, fresh_s=5, deadline_s=0.05)
        answers = [await readiness.ready(), await readiness.ready()]
        over.set()
        while not await readiness.ready():
            pass
        return answers

    assert asyncio.run(probes()) == [False, False]
    assert len(begun) == 1
