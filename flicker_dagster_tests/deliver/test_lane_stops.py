"""What stops a lane, what it leaves behind for the next run, and what it does not let itself be stopped by."""

from __future__ import annotations

import itertools
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.deliver.destination import LotLimits
from flicker_dagster.deliver.lane import deliver_lane
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, Outcome, Rejected, Retry, Split
from flicker_dagster.deliver.refused import REFUSES_EVERYTHING
from flicker_dagster.errors import DestinationBlocked, DestinationUnavailable
from flicker_dagster.lots import Lot
from flicker_dagster_tests.deliver.a_siem import OK, ASiem, ids_of
from flicker_dagster_tests.deliver.contract import FakeClock, Letters, MemoryQueue, drain, event_of, lots_of


def ids(*numbers: int) -> list[str]:
    return [f"e{number:06d}" for number in numbers]


def refusing(guilty: set[str], outcome: Outcome) -> ASiem:
    return ASiem(lambda lot: outcome if guilty & set(ids_of(lot)) else OK)


@given(st.integers(2, 40), st.sets(st.integers(0, 39), max_size=7), st.integers(1, 12), st.sampled_from([1, 4]))
def test_halving_sets_aside_what_is_refused_and_nothing_else(
    count: int, guilty: set[int], size: int, in_flight: int
) -> None:
    refused_ids = set(ids(*guilty)) & set(ids(*range(count)))
    siem = refusing(refused_ids, Rejected("HTTP 400 Bad Request: no", "HTTP 400 Bad Request"))
    siem.limits = LotLimits(in_flight=in_flight)
    lots = lots_of(count, size=size)
    drained = drain(MemoryQueue(lots), lambda: siem)
    if len(refused_ids) == count and count >= REFUSES_EVERYTHING:
        assert drained.dead == 0, "that is the configuration"
        return
    assert drained.done
    letters = drained.letters.kept
    assert {json.loads(letter.event)["id"] for letter in letters} == refused_ids
    assert sorted(siem.counts.elements()) == sorted(set(ids(*range(count))) - refused_ids)
    digests = {event: digest.hex() for lot in lots for event, digest in zip(lot.events, lot.digests, strict=True)}
    times = {event: ms for lot in lots for event, ms in zip(lot.events, lot.times_ms, strict=True)}
    for letter in letters:
        assert (letter.reason, letter.status) == ("HTTP 400 Bad Request: no", "HTTP 400 Bad Request")
        assert (letter.destination, letter.digest) == ("a SIEM", digests[letter.event])
        assert letter.event_time_ms == times[letter.event]
        assert letter.lot_id in {lot.lot_id for lot in lots}


def test_halves_have_the_same_names_and_bytes_in_every_attempt() -> None:
    one, two = (refusing(set(ids(4)), Rejected("no")) for _ in range(2))
    for siem in (one, two):
        drain(MemoryQueue(lots_of(6, size=6)), lambda siem=siem: siem)  # type: ignore[misc]
    sent = [[(lot.key("json"), lot.array) for lot in siem.sent] for siem in (one, two)]
    assert sent[0] == sent[1]
    assert len({key for key, _ in sent[0]}) == len(sent[0])


@pytest.mark.parametrize("outcome", [Retry("HTTP 503", 7.0), Ambiguous("no answer"), Blocked("HTTP 401")])
@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_part_that_is_not_taken_stops_the_lane_and_waits_with_those_behind_it(
    outcome: Outcome, in_flight: int
) -> None:
    queue = MemoryQueue(lots_of(20, size=2))
    siem = ASiem(lambda lot: outcome if "e000008" in ids_of(lot) else OK, limits=LotLimits(in_flight=in_flight))
    failed = drain(queue, lambda: siem).reports[0].failed
    assert isinstance(failed, DestinationBlocked if isinstance(outcome, Blocked) else DestinationUnavailable)
    assert str(failed).startswith("okta: a SIEM: the SIEM ")
    assert failed.retry_after_s == getattr(outcome, "after_s", None)
    assert queue.waiting + siem.counts.total() == 20
    assert set(ids(*range(8))) <= siem.counts.keys()
    again = ASiem(lambda lot: OK, limits=LotLimits(in_flight=in_flight))
    assert drain(queue, lambda: again).done
    assert sorted([*siem.counts.elements(), *again.counts.elements()]) == ids(*range(20))
    blamed = next(lot for lot in siem.sent if "e000008" in ids_of(lot))
    (same,) = [lot for lot in again.sent if "e000008" in ids_of(lot)]
    assert (same.key("json"), same.array) == (blamed.key("json"), blamed.array)


def test_what_fails_within_a_bisection_leaves_only_itself_waiting() -> None:
    def answer(lot: Lot) -> Outcome:
        if ids_of(lot) == ids(5):
            return Blocked("HTTP 403")
        return Rejected("no") if "e000005" in ids_of(lot) else OK

    queue = MemoryQueue(lots_of(8, size=8))
    siem = ASiem(answer)
    drained = drain(queue, lambda: siem)
    assert drained.letters.kept == []
    assert [ids_of(lot) for lot in queue.pending() if "e000005" in ids_of(lot)] == [ids(5)]
    siem.answer = lambda lot: OK
    assert drain(queue, lambda: siem).done
    assert sorted(siem.counts.elements()) == ids(*range(8))


def test_a_duplicate_counts_as_there_and_not_as_delivered() -> None:
    siem, queue = ASiem(lambda lot: Duplicate("HTTP 409")), MemoryQueue(lots_of(4, size=2))
    report = drain(queue, lambda: siem).reports[0]
    assert (report.delivered, report.duplicate, report.requests) == (0, 4, 2)
    assert [(settled.duplicate, settled.status) for _, settled in queue.history] == [(2, "HTTP 409")] * 2


@pytest.mark.parametrize("size", [1, 3, REFUSES_EVERYTHING, 40])
@pytest.mark.parametrize("outcome", [Rejected("HTTP 400: no"), Split("HTTP 413: too large")])
def test_a_siem_that_refuses_everything_in_the_same_words_is_misconfigured(size: int, outcome: Outcome) -> None:
    """However the events are cut into lots: a backlog must not become dead letters one lot after the other."""
    queue = MemoryQueue(lots_of(40, size=size))
    drained = drain(queue, lambda: ASiem(lambda lot: outcome))
    assert isinstance(drained.reports[0].failed, DestinationBlocked)
    assert "every event, in the same words" in drained.last_words
    assert (drained.dead, queue.waiting) == (0, 40)


@pytest.mark.parametrize("size", [1, 3, 40])
def test_a_gateway_that_numbers_its_refusals_refuses_everything_all_the_same(size: int) -> None:
    numbers = itertools.count(0x6F6C1002)
    siem = ASiem(lambda lot: Rejected(f"HTTP 400: rejected. Reference #18.{next(numbers):x}.17"))
    queue = MemoryQueue(lots_of(40, size=size))
    drained = drain(queue, lambda: siem)
    assert "every event, in the same words: HTTP 400: rejected. Reference #18.6f6c10" in drained.last_words
    assert (drained.dead, queue.waiting) == (0, 40)


def test_refusals_in_different_words_are_the_events_own() -> None:
    siem = ASiem(lambda lot: Rejected(f"HTTP 400: no such field as {'abcdefghijkl'[int(ids_of(lot)[-1][1:])]}"))
    drained = drain(MemoryQueue(lots_of(12, size=12)), lambda: siem)
    assert (drained.done, drained.dead) == (True, 12)


@pytest.mark.parametrize("first", [True, False])
def test_many_guilty_events_are_convicted_once_one_was_taken(first: bool) -> None:
    good = range(5) if first else range(25, 30)
    siem = refusing(set(ids(*range(30))) - set(ids(*good)), Rejected("HTTP 400: no"))
    drained = drain(MemoryQueue(lots_of(30, size=5)), lambda: siem)
    assert (drained.done, drained.delivered, drained.dead) == (True, 5, 25)


def test_a_siem_that_takes_its_time_gets_as_many_requests_at_once_as_are_allowed() -> None:
    together = threading.Barrier(3)

    def answer(lot: Lot) -> Outcome:
        together.wait(timeout=30)  # raises where it stays alone
        return OK

    siem = ASiem(answer, limits=LotLimits(in_flight=3))
    assert drain(MemoryQueue(lots_of(12, size=2)), lambda: siem).done
    assert sorted(siem.counts.elements()) == ids(*range(12))


@contextmanager
def interrupted_by(handler: object) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, handler)  # type: ignore[arg-type]
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_lane_that_is_told_to_end_waits_for_the_answers_of_what_is_under_way_and_sends_no_more() -> None:
    arrived, answer = threading.Semaphore(0), threading.Event()

    def slowly(lot: Lot) -> Delivered:
        arrived.release()
        assert answer.wait(timeout=30)
        return OK

    def end(*_: object) -> None:
        answer.set()
        raise KeyboardInterrupt

    def interrupt() -> None:
        for _ in range(3):
            arrived.acquire()
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    siem, queue, clock = ASiem(slowly, limits=LotLimits(in_flight=3)), MemoryQueue(lots_of(20, size=2)), FakeClock()
    main, helper = threading.main_thread().ident, threading.Thread(target=interrupt)
    with interrupted_by(end):
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            deliver_lane(queue, siem, stream="okta", dead_letters=Letters(), clock=clock, sleep=clock.sleep)
        helper.join()
    assert sorted(lot.seq for lot, _ in queue.history) == sorted(lot.seq for lot in siem.sent)
    assert 3 <= len(siem.sent) < 10


def test_an_answer_that_cannot_be_written_down_ends_the_lane_with_its_own_error() -> None:
    class Full(MemoryQueue):
        def settle(self, lot: Lot, settled: object) -> None:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        drain(Full([lots_of(2, make=event_of)[0]]), lambda: ASiem(lambda lot: OK))
