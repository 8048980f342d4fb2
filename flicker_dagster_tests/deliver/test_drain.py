"""Draining the spool: in order, each batch to its end, and no event lost by a refusal."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip

from flicker_dagster.deliver.batching import Batcher
from flicker_dagster.deliver.drain import REFUSES_EVERYTHING, DrainReport, drain
from flicker_dagster.deliver.formats import JsonArray
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, Outcome, Rejected, Retry, Split
from flicker_dagster.errors import DestinationBlocked, DestinationUnavailable
from flicker_dagster.types import Ack, Batch, DeadLetter

OK = Delivered("HTTP 200 OK")
BAD = Rejected("HTTP 400 Bad Request: no")


class AUnit:
    """A unit of the spool that lives in memory."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches
        self.acks: list[Ack] = []

    @property
    def waiting(self) -> object:
        return [batch for batch in self.batches if batch.seq not in {ack.seq for ack in self.acks}]

    def pending(self) -> Iterator[Batch]:
        done = {ack.seq for ack in self.acks}
        yield from [batch for batch in self.batches if batch.seq not in done]

    def acknowledge(self, *acks: Ack) -> None:
        self.acks += acks


class ASiem(JsonArray):
    """A destination whose judgement of a request's records a test writes; it keeps what it took."""

    max_in_flight = 4
    max_batch_bytes = 1_000_000

    def __init__(self, judge: Callable[[Batch, list[bytes]], Outcome]) -> None:
        self._judge = judge
        self.sent: list[tuple[str, bytes]] = []
        self.taken: list[bytes] = []
        self._lock = threading.Lock()

    def encode(self, events: Sequence, digests: Sequence[bytes], times_ms: Sequence[int | None]) -> bytes:
        return self.join(events)

    def send(self, batch: Batch) -> Outcome:
        body = igzip.decompress(batch.body)
        records = self.split(body)
        outcome = self._judge(batch, records)
        with self._lock:
            self.sent.append((batch.batch_id, body))
            if isinstance(outcome, Delivered):
                self.taken += records
        assert batch.count == len(records)
        return outcome

    def describe(self) -> str:
        return "https://siem.test"

    def close(self) -> None:
        """Nothing is open."""


class Letters:
    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def add(self, letters: list[DeadLetter]) -> list[str]:
        self.letters += letters
        return [letter.digest for letter in letters]


def batches_of(events: list[bytes], size: int) -> list[Batch]:
    batcher = Batcher(
        source_name="s",
        encode=lambda events, _digests, _times: JsonArray().join(events),
        content_type="application/json",
        max_events=size,
        max_bytes=10**6,
    )
    digests = [number.to_bytes(16, "big") for number in range(len(events))]
    made = batcher.add(events, digests, "h", [None] * len(events)) + batcher.flush()
    return [
        Batch(
            seq=seq + 1,
            batch_id=batch.batch_id,
            count=batch.count,
            content_type=batch.content_type,
            body=batch.body,
            body_bytes=batch.body_bytes,
            digests=batch.digests,
        )
        for seq, batch in enumerate(made)
    ]


def numbered(count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(count)]


def drained(unit: AUnit, siem: ASiem, letters: Letters | None = None, *, in_flight: int = 1) -> DrainReport:
    return drain(
        unit, siem, dead_letters=letters or Letters(), source_name="s", in_flight=in_flight, clock=lambda: 1_000.0
    )


def refusing(guilty: set[bytes], outcome: Outcome = BAD) -> ASiem:
    return ASiem(lambda _batch, records: outcome if guilty & set(records) else OK)


@given(st.integers(0, 40), st.integers(1, 9), st.sampled_from([1, 2, 4]))
def test_everything_is_sent_once_and_acknowledged(count: int, size: int, in_flight: int) -> None:
    unit, siem = AUnit(batches_of(numbered(count), size)), ASiem(lambda *_: OK)
    report = drained(unit, siem, in_flight=in_flight)
    assert sorted(siem.taken) == sorted(numbered(count))
    assert sorted(ack.seq for ack in unit.acks) == [batch.seq for batch in unit.batches]
    assert (report.delivered, report.batches, report.dead) == (count, len(unit.batches), 0)


def test_one_at_a_time_goes_in_order() -> None:
    unit, siem = AUnit(batches_of(numbered(20), 3)), ASiem(lambda *_: OK)
    drained(unit, siem)
    assert siem.taken == numbered(20)
    assert [ack.seq for ack in unit.acks] == [1, 2, 3, 4, 5, 6, 7]


@given(st.integers(2, 40), st.sets(st.integers(0, 39), max_size=7), st.integers(1, 12), st.sampled_from([1, 4]))
def test_bisection_convicts_the_guilty_and_nobody_else(count: int, guilty: set[int], size: int, in_flight: int) -> None:
    events = numbered(count)
    condemned = {events[number] for number in guilty if number < count}
    unit, siem, letters = AUnit(batches_of(events, size)), refusing(condemned), Letters()
    report = drained(unit, siem, letters, in_flight=in_flight)
    assert {letter.event for letter in letters.letters} == condemned
    assert sorted(siem.taken) == sorted(set(events) - condemned)
    assert (report.delivered, report.dead) == (count - len(condemned), len(condemned))
    for letter in letters.letters:
        assert events[int(letter.digest, 16)] == letter.event
        assert (letter.reason, letter.status, letter.destination) == (
            BAD.why,
            "HTTP 400 Bad Request",
            "https://siem.test",
        )


@given(st.integers(1, 30), st.integers(1, 8))
def test_a_body_that_is_too_large_is_halved_until_it_fits(count: int, fits: int) -> None:
    siem = ASiem(lambda _batch, records: OK if len(records) <= fits else Split("HTTP 413 Content Too Large"))
    report = drained(AUnit(batches_of(numbered(count), 30)), siem)
    assert siem.taken == numbered(count)
    assert report.dead == 0


def test_a_lone_event_that_is_too_large_is_a_dead_letter() -> None:
    letters = Letters()
    siem = refusing({b'{"n":1}'}, Split("HTTP 413 Content Too Large: no"))
    report = drained(AUnit(batches_of(numbered(3), 3)), siem, letters)
    assert [letter.event for letter in letters.letters] == [b'{"n":1}']
    assert (report.delivered, report.dead) == (2, 1)


def test_halves_have_the_same_names_and_bytes_in_every_attempt() -> None:
    batches = batches_of(numbered(6), 6)
    one, two = refusing({b'{"n":4}'}), refusing({b'{"n":4}'})
    drained(AUnit(batches), one)
    drained(AUnit(batches), two)
    assert one.sent == two.sent
    assert {name.split(".")[0] for name, _ in one.sent} == {batches[0].batch_id}
    assert len({name for name, _ in one.sent}) == len(one.sent)


@pytest.mark.parametrize("outcome", [Retry("HTTP 503", 7.0), Ambiguous("no answer"), Blocked("HTTP 401")])
@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_batch_that_is_not_taken_stops_the_drain_and_waits_with_those_behind_it(
    outcome: Outcome, in_flight: int
) -> None:
    unit = AUnit(batches_of(numbered(20), 2))
    siem = ASiem(lambda _batch, records: outcome if b'{"n":8}' in records else OK)
    expected = DestinationBlocked if isinstance(outcome, Blocked) else DestinationUnavailable
    with pytest.raises(expected, match=r"^s: https://siem\.test: ") as caught:
        drained(unit, siem, in_flight=in_flight)
    assert caught.value.retry_after_s == getattr(outcome, "after_s", None)
    acknowledged = {ack.seq for ack in unit.acks}
    assert {1, 2, 3, 4} <= acknowledged <= {1, 2, 3, 4, 6, 7}
    first = dict(siem.sent)
    again = ASiem(lambda *_: OK)
    drained(unit, again, in_flight=in_flight)
    assert sorted(again.taken + siem.taken) == sorted(numbered(20))
    blamed = unit.batches[4].batch_id
    assert dict(again.sent)[blamed] == first[blamed]


def test_what_fails_within_a_bisection_leaves_the_whole_batch_waiting() -> None:
    unit, letters = AUnit(batches_of(numbered(8), 8)), Letters()

    def judge(_batch: Batch, records: list[bytes]) -> Outcome:
        if len(records) == 1 and records[0] == b'{"n":5}':
            return Retry("HTTP 503")
        return BAD if b'{"n":5}' in records else OK

    with pytest.raises(DestinationUnavailable):
        drained(unit, ASiem(judge), letters)
    assert unit.acks == []
    assert letters.letters == []


def test_a_duplicate_counts_as_there_and_not_as_delivered() -> None:
    unit = AUnit(batches_of(numbered(4), 2))
    report = drained(unit, ASiem(lambda *_: Duplicate("HTTP 409")))
    assert (report.delivered, report.duplicate) == (0, 4)
    assert [ack.outcome for ack in unit.acks] == ["duplicate", "duplicate"]


@pytest.mark.parametrize("size", [1, 3, REFUSES_EVERYTHING, 20])
def test_a_siem_that_refuses_everything_in_the_same_words_is_misconfigured(size: int) -> None:
    """However the events are cut into batches: a backlog must not become dead letters one batch after the other."""
    unit, letters = AUnit(batches_of(numbered(40), size)), Letters()
    with pytest.raises(DestinationBlocked, match="every event, in the same words"):
        drained(unit, ASiem(lambda *_: BAD), letters)
    assert len(letters.letters) < REFUSES_EVERYTHING


def test_refusals_in_different_words_are_the_events_own() -> None:
    unit, letters = AUnit(batches_of(numbered(12), 12)), Letters()
    report = drained(unit, ASiem(lambda _batch, records: Rejected(f"HTTP 400: {records[-1].decode()}")), letters)
    assert report.dead == 12


def test_many_guilty_events_are_convicted_once_one_was_taken() -> None:
    events = numbered(30)
    report = drained(AUnit(batches_of(events, 5)), refusing(set(events[5:])), Letters())
    assert (report.delivered, report.dead) == (5, 25)


def test_a_siem_that_takes_its_time_gets_as_many_requests_at_once_as_are_allowed() -> None:
    together = threading.Barrier(3)

    def judge(*_: object) -> Outcome:
        together.wait(timeout=30)  # raises where it stays alone
        return OK

    unit, siem = AUnit(batches_of(numbered(12), 2)), ASiem(judge)
    assert drained(unit, siem, in_flight=3).delivered == 12


def test_a_drain_that_is_told_to_end_waits_for_the_answers_of_what_flies_and_sends_no_more() -> None:
    arrived, answer = threading.Semaphore(0), threading.Event()

    def judge(*_: object) -> Outcome:
        arrived.release()
        assert answer.wait(timeout=30)
        return OK

    def end(*_: object) -> None:
        answer.set()
        raise KeyboardInterrupt

    def interrupt() -> None:
        for _ in range(3):
            arrived.acquire()
        os.kill(os.getpid(), signal.SIGINT)

    unit, siem = AUnit(batches_of(numbered(20), 2)), ASiem(judge)
    helper = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, end)
    try:
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            drained(unit, siem, in_flight=3)
    finally:
        signal.signal(signal.SIGINT, before)
        helper.join()
    assert {ack.batch_id for ack in unit.acks} == {batch_id for batch_id, _ in siem.sent}
    assert 3 <= len(siem.sent) < len(unit.batches)
