"""A lane: every event settled once whatever the destination answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flicker_dagster.deliver.destination import LotLimits
from flicker_dagster.deliver.lane import deliver_lane
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Duplicate, Outcome, PerItem, Rejected, Retry, Split
from flicker_dagster.errors import StateError
from flicker_dagster.lots import Lot
from flicker_dagster.types import DeadLetter
from flicker_dagster_tests.deliver.a_siem import OK, Answer, ASiem, ids_of
from flicker_dagster_tests.deliver.contract import Letters, MemoryQueue, drain, event_of, lot_of, lots_of


def test_everything_is_sent_once_in_order() -> None:
    siem, queue = ASiem(lambda lot: OK), MemoryQueue(lots_of(250))
    drained = drain(queue, lambda: siem)
    assert drained.done
    assert drained.delivered == 250
    assert [len(lot) for lot in siem.sent] == [100, 100, 50]
    assert set(siem.counts.values()) == {1}


def test_several_requests_are_under_way_at_a_time() -> None:
    siem, queue = ASiem(lambda lot: OK, limits=LotLimits(in_flight=4)), MemoryQueue(lots_of(2_000, size=20))
    assert drain(queue, lambda: siem).done
    assert set(siem.counts.values()) == {1}
    assert len(siem.counts) == 2_000


def test_ten_thousand_events_of_which_one_in_a_hundred_is_poison() -> None:
    def poison(lot: Lot) -> Outcome:
        return Rejected("HTTP 400: bad") if any(int(i[1:]) % 100 == 7 for i in ids_of(lot)) else OK

    siem = ASiem(poison)
    drained = drain(MemoryQueue(lots_of(10_000)), lambda: siem)
    assert (drained.delivered, drained.dead, drained.done) == (9_900, 100, True)
    assert set(siem.counts.values()) == {1}


def test_each_events_own_answer_counts() -> None:
    refusals = {3: Rejected("HTTP 400: mapping"), 5: Retry("HTTP 429"), 8: Duplicate("409")}
    asked: list[list[str]] = []

    def answer(lot: Lot) -> Outcome:
        asked.append(ids_of(lot))
        if len(asked) > 1:
            return OK
        return PerItem(tuple(refusals.get(i, OK) for i in range(len(lot))))

    siem = ASiem(answer)
    drained = drain(MemoryQueue(lots_of(10, size=10)), lambda: siem)
    assert drained.done
    assert drained.delivered == 9
    assert drained.dead == 1
    assert asked[1:] == [["e000005"]], "only the throttled one is sent again"
    assert drained.reports[0].duplicate == 1


def test_a_half_that_was_taken_is_not_sent_again_by_the_next_run() -> None:
    down = [True]

    def answer(lot: Lot) -> Outcome:
        if len(lot) > 3:
            return Split("413")
        if "e000003" in ids_of(lot) and down:
            return Blocked("HTTP 403")
        return OK

    siem, queue = ASiem(answer), MemoryQueue(lots_of(4))
    first = drain(queue, lambda: siem)
    assert "HTTP 403" in first.last_words
    assert queue.waiting == 2
    down.clear()
    assert drain(queue, lambda: siem).done
    assert set(siem.counts.values()) == {1}
    assert len(siem.counts) == 4


def test_a_destination_that_fails_at_once_is_left_to_the_next_attempt() -> None:
    siem, queue = ASiem(lambda lot: Retry("HTTP 503", 7.0)), MemoryQueue(lots_of(300))
    drained = drain(queue, lambda: siem)
    assert len(siem.sent) == 1
    assert queue.waiting == 300
    assert drained.reports[0].error is not None
    assert drained.reports[0].error.retry_after_s == 7.0


def test_one_that_fails_now_and_then_is_asked_again_within_the_run() -> None:
    count = [0]

    def answer(lot: Lot) -> Outcome:
        count[0] += 1
        return Retry("HTTP 500") if count[0] % 5 == 2 else OK

    siem = ASiem(answer)
    drained = drain(MemoryQueue(lots_of(2_000)), lambda: siem)
    assert drained.done
    assert len(drained.reports) == 1
    assert set(siem.counts.values()) == {1}


def test_an_answer_that_was_lost_brings_the_same_request_again() -> None:
    lost = [True, False]

    def answer(lot: Lot) -> Outcome:
        return Ambiguous("no answer") if lost and lost.pop() else OK

    siem, queue = ASiem(answer), MemoryQueue(lots_of(200))
    lost[:] = [True, False]
    assert drain(queue, lambda: siem, runs=3).done
    keys = [lot.key("json") for lot in siem.sent]
    assert keys[1] == keys[2] or keys.count(keys[1]) == 2


def test_a_destination_that_refuses_everything_makes_no_dead_letters() -> None:
    siem, queue = ASiem(lambda lot: Rejected("HTTP 400: no such index")), MemoryQueue(lots_of(100))
    drained = drain(queue, lambda: siem)
    assert "every event, in the same words: HTTP 400: no such index" in drained.last_words
    assert queue.waiting == 100
    assert not drained.letters.kept


def test_events_that_a_destination_can_never_hold_are_not_sent() -> None:
    class Narrow(ASiem):
        def unfit(self, lot: Lot) -> dict[int, str]:
            return {i: "it is wide" for i, event in enumerate(lot.events) if b"wide" in event}

    siem = Narrow(lambda lot: OK)
    queue = MemoryQueue([lot_of([event_of(0), event_of(1, note="wide"), event_of(2)])])
    drained = drain(queue, lambda: siem)
    assert drained.done
    assert drained.delivered == 2
    assert [letter.reason for letter in drained.letters.kept] == ["never sent: it is wide"]
    assert sorted(siem.counts) == ["e000000", "e000002"]


def test_what_the_ledger_knows_is_not_sent() -> None:
    siem, queue, letters = ASiem(lambda lot: OK), MemoryQueue(lots_of(10, size=10)), Letters()
    report = deliver_lane(
        queue, siem, stream="okta", dead_letters=letters, known=lambda lot: [i for i in range(len(lot)) if i % 2]
    )
    assert (report.known, report.delivered) == (5, 5)
    assert not queue.waiting


@pytest.mark.parametrize("each", [False, True], ids=["one answer", "an answer for each event"])
def test_what_was_taken_is_written_down_though_what_was_refused_before_it_cannot_be(each: bool) -> None:
    """Else it would be sent twice."""

    class Full(Letters):
        def add(self, letters: list[DeadLetter]) -> list[str]:
            raise StateError("the store of dead letters is away")

    def answer(lot: Lot) -> Outcome:
        if b"bad" in lot.array:
            return Rejected("HTTP 400: bad")
        return PerItem((OK,) * len(lot)) if each else OK

    siem = ASiem(answer)
    queue = MemoryQueue([lot_of([event_of(0, note="bad")]), lot_of([event_of(1)], seq=1)])
    (report,) = drain(queue, lambda: siem, letters=Full()).reports
    assert isinstance(report.failed, StateError)
    drain(queue, lambda: siem)
    assert siem.counts["e000001"] == 1


def stops_at_the_first(poison: Callable[[str], bool]) -> Answer:
    """A destination that names the event which it refuses, and has read nothing behind it."""

    def answer(lot: Lot) -> Outcome:
        bad = next((i for i, each in enumerate(ids_of(lot)) if poison(each)), None)
        if bad is None:
            return OK
        again = Retry("once more", 0.0)
        return PerItem(tuple(Rejected(f"HTTP 400: number {bad}") if i == bad else again for i in range(len(lot))))

    return answer


@pytest.mark.parametrize("count", [20, 1_000])
def test_what_only_stood_beside_refused_events_goes_at_once_however_many_those_are(count: int) -> None:
    siem = ASiem(stops_at_the_first(lambda each: int(each[1:]) % 10 == 3))
    drained = drain(MemoryQueue(lots_of(count)), lambda: siem)
    assert (drained.delivered, drained.dead, drained.done) == (count * 9 // 10, count // 10, True)
    assert set(siem.counts.values()) == {1}
