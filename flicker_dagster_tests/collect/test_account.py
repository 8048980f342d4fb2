"""An account's quota is one, whoever uses it: what one of several runs learns or takes counts for all."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.collect.account import AWAY_S, AccountNotes, Book, read_notes
from flicker_dagster.collect.pace import usable
from flicker_dagster.collect.quota import Quota
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.errors import RateLimited, StateError, WriteConflict
from flicker_dagster_tests.collect.test_pace import most_in

NOW_S = 1_777_713_247.0


class Shared:
    """A book in memory, near as a file or far as an object, that counts how often it is touched."""

    def __init__(self, *, near: bool = True) -> None:
        self.is_near = near
        self.look_every_s, self.tell_every_s = (1.0, 10.0) if near else (30.0, 300.0)
        self.ahead_ms, self.least_per_ms = (0.0, 0) if near else (5_000.0, 30_000)
        self.data = b""
        self.reads = self.updates = 0
        self.away = False

    def read(self) -> bytes:
        self.reads += 1
        if self.away:
            raise StateError("the store is away")
        return self.data

    def update(self, change: Callable[[bytes], bytes]) -> None:
        self.updates += 1
        if self.away:
            raise StateError("the store is away")
        self.data = change(self.data)


class Runs:
    """Several runs on one account and one clock. `ask` sends a request of one of them, and gives when it was sent."""

    def __init__(self, book: Book | None, count: int = 2, *, max_wait_s: float = 1e9, **config: Any) -> None:
        self.now_s = NOW_S
        self.sent_ms: list[float] = []
        self.quotas = [
            Quota(
                RateLimit(**config),
                max_wait_s=max_wait_s,
                clock=lambda: self.now_s,
                sleep=self._sleep,
                book=book,
            )
            for _ in range(count)
        ]
        self._slept_s = 0.0

    def ask(self, number: int = 0) -> float:
        """How long this request waited, seconds. Others go on meanwhile: the clock stands still."""
        self._slept_s = 0.0
        self.quotas[number].wait("source")
        self.sent_ms.append((self.now_s + self._slept_s) * 1000)
        return self._slept_s

    def _sleep(self, seconds: float) -> None:
        self._slept_s += seconds


@pytest.mark.parametrize("near", [True, False])
def test_a_pause_that_one_was_asked_for_holds_back_the_others(near: bool) -> None:
    runs = Runs(Shared(near=near))
    runs.quotas[0].hold(17)
    assert runs.ask(1) == 17
    runs.now_s += 17
    assert runs.ask(0) == runs.ask(1) == 0


def test_a_pause_is_learnt_within_the_time_that_a_look_lasts() -> None:
    book = Shared(near=False)
    runs = Runs(book)
    assert runs.ask(1) == 0
    runs.quotas[0].hold(100)
    assert runs.ask(1) == 0
    runs.now_s += book.look_every_s
    assert runs.ask(1) == pytest.approx(70)


def test_what_is_left_as_the_reserve_is_left_by_all() -> None:
    runs = Runs(Shared())
    headers = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "20", "X-RateLimit-Reset": str(int(NOW_S) + 30)}
    runs.quotas[0].note(headers, vendor_now_ms=int(NOW_S * 1000))
    assert runs.ask(1) == 30
    runs.quotas[0].note(headers | {"X-RateLimit-Remaining": "100"}, vendor_now_ms=int(NOW_S * 1000))
    runs.now_s += 2
    assert runs.ask(1) == 0


def test_a_pause_longer_than_a_run_should_hold_ends_the_run_of_each() -> None:
    runs = Runs(Shared(), max_wait_s=60)
    runs.quotas[0].hold(10**9)
    for number in (0, 1):
        with pytest.raises(RateLimited, match="waiting 900 s") as limited:
            runs.ask(number)
        assert limited.value.retry_after_s == 900


@given(
    st.booleans(),
    st.integers(1, 40),
    st.sampled_from([50, 1_000, 10_000, 60_000, 3_600_000]),
    st.sampled_from([0.0, 0.2, 0.5]),
    st.integers(1, 4),
    st.integers(0, 2**32),
)
def test_several_runs_stay_under_a_declared_limit_together(
    near: bool, requests: int, per_ms: int, reserve: float, count: int, seed: int
) -> None:
    book, chance = Shared(near=near), random.Random(seed)
    runs = Runs(book, count, max_wait_s=600, requests=requests, per_ms=per_ms, reserve=reserve)
    for _ in range(120):
        with suppress(RateLimited):
            runs.ask(chance.randrange(count))
        runs.now_s += chance.choice([0, 0, per_ms / requests / 1000, chance.random() * per_ms / 1000])
    span_ms = max(per_ms, book.least_per_ms)
    assert most_in(sorted(runs.sent_ms), span_ms) <= max(1, int(usable(requests, reserve) * span_ms / per_ms))


def test_one_run_alone_stays_under_a_limit_of_a_second_too() -> None:
    runs = Runs(Shared(near=False), 1, requests=10, per_ms=1_000)
    for _ in range(200):
        runs.now_s += runs.ask()
    assert most_in(runs.sent_ms, 1_000) <= 8


def test_a_store_is_asked_for_many_places_at_once() -> None:
    book = Shared(near=False)
    runs = Runs(book, 1, requests=6_000, per_ms=60_000)
    for _ in range(600):
        runs.now_s += runs.ask() + 0.05
    assert book.updates < 40


def test_a_store_that_is_far_is_left_alone_where_nothing_is_declared() -> None:
    book = Shared(near=False)
    runs = Runs(book, 1)
    headers = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "90", "X-RateLimit-Reset": str(int(NOW_S) + 30)}
    for _ in range(1_000):
        runs.ask()
        runs.quotas[0].note(headers, vendor_now_ms=None)
        runs.now_s += 0.1
    assert book.reads == 4
    assert book.updates == 1


def test_a_store_that_is_away_is_said_once_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    book = Shared()
    book.away = True
    runs = Runs(book, 1, requests=10, per_ms=10_000)
    with caplog.at_level(logging.WARNING):
        waits = [runs.ask() for _ in range(5)]
    assert [record.message.partition(";")[0] for record in caplog.records] == ["the store is away"]
    assert waits[-1] > 0, "the limit is kept by what this run itself sends"
    assert book.reads + book.updates == 1
    book.away = False
    runs.now_s += AWAY_S
    runs.ask()
    assert read_notes(book.data).taken


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"[]", b'{"version":2,"asked_until_ms":9e15}', b'{"taken":{"10/10000":"x"}}']
)
def test_notes_that_cannot_be_read_are_none(data: bytes) -> None:
    book = Shared()
    book.data = data
    assert Runs(book, requests=10, per_ms=10_000).ask() == 0


@pytest.mark.parametrize("notes", [{"asked_until_ms": 9e15}, {"reserve_until_ms": 9e15}, {"taken": {"10/10000": 9e15}}])
def test_what_a_wrong_clock_wrote_stops_nobody_for_ever(notes: dict[str, Any]) -> None:
    book = Shared()
    book.data = msgspec.json.encode(AccountNotes(**notes))
    runs = Runs(book, max_wait_s=60, requests=10, per_ms=10_000)
    assert runs.ask() == 0
    runs.quotas[0].hold(30)
    runs.now_s += 1
    assert runs.ask(1) == 29, "and a true pause still counts"


def test_a_clock_that_is_a_little_ahead_is_no_wrong_one() -> None:
    book = Shared()
    book.data = msgspec.json.encode(AccountNotes(asked_until_ms=(NOW_S + 930) * 1000))
    assert Runs(book).ask() == 900


def test_writers_that_collide_are_no_store_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    class Contended(Shared):
        def update(self, change: Callable[[bytes], bytes]) -> None:
            self.updates += 1
            raise WriteConflict("changed by another one")

    book = Contended(near=False)
    runs = Runs(book, 1, requests=10, per_ms=10_000)
    for _ in range(3):
        runs.now_s += runs.ask() + 30
    assert book.updates == 3
    assert caplog.records == []


def test_no_place_is_taken_further_away_than_any_wait() -> None:
    runs = Runs(Shared(), max_wait_s=1e9, requests=1, per_ms=10_000_000)
    assert runs.ask(0) == 0
    for _ in range(3):
        with pytest.raises(RateLimited) as limited:
            runs.ask(1)
        assert limited.value.retry_after_s == 900


def test_what_the_vendor_told_last_is_kept_for_whoever_looks() -> None:
    book = Shared()
    runs = Runs(book)
    for seconds, reset_s in ((0, 40), (2, 38), (11, 55)):
        runs.now_s = NOW_S + seconds
        headers = {"RateLimit": f"limit=100, remaining={90 - seconds}, reset={reset_s}"}
        runs.quotas[0].note(headers, vendor_now_ms=None)
    told = read_notes(book.data).told
    assert told is not None
    assert (told.remaining, told.limit, told.at_ms) == (79, 100, (NOW_S + 11) * 1000)
    assert told.reset_ms == (NOW_S + 66) * 1000
    assert told.span_s == 55


def test_notes_survive_being_written_and_read() -> None:
    notes = AccountNotes(asked_until_ms=1.0, taken={"5/10000": 2.5})
    assert read_notes(msgspec.json.encode(notes)) == notes
