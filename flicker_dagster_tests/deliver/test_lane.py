"""A lane: every event settled once whatever the destination answers, in parts that are named alike whenever they are sent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flicker_dagster.deliver.destination import DestinationBase, LotLimits
from flicker_dagster.deliver.lane import deliver_lane
from flicker_dagster.deliver.learned import LearnedLimits
from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Duplicate,
    Outcome,
    PerItem,
    Receipt,
    Rejected,
    Retry,
    Split,
)
from flicker_dagster.errors import StateError
from flicker_dagster.lots import Lot
from flicker_dagster.types import DeadLetter
from flicker_dagster_tests.deliver.contract import FakeClock, Letters, MemoryQueue, drain, event_of, lot_of, lots_of

OK = Delivered("HTTP 200 OK")

Answer = Callable[[Lot], Outcome | Receipt]


class ASiem(DestinationBase):
    """Answers by a rule and remembers what it took: each event with the key it came under."""

    def __init__(self, answer: Answer, *, limits: LotLimits | None = None) -> None:
        self.answer = answer
        self.limits = limits or LotLimits(in_flight=1)
        self.taken: list[tuple[str, str]] = []  # key, id
        self.sent: list[Lot] = []
        self.asked: list[str] = []
        self.confirms: dict[str, Outcome] = {}

    def send(self, lot: Lot) -> Outcome | Receipt:
        self.sent.append(lot)
        outcome = self.answer(lot)
        if isinstance(outcome, Delivered | Receipt):
            self.take(lot, range(len(lot)))
        elif isinstance(outcome, PerItem):
            self.take(lot, [i for i, item in enumerate(outcome.items) if isinstance(item, Delivered)])
        return outcome

    def take(self, lot: Lot, indices: range | list[int]) -> None:
        self.taken += [(lot.key(""), json.loads(lot.events[i])["id"]) for i in indices]

    def confirm(self, receipts: list[Receipt]) -> dict[str, Outcome]:  # type: ignore[override]
        self.asked += [receipt.token for receipt in receipts]
        return {r.token: self.confirms[r.token] for r in receipts if r.token in self.confirms}

    def describe(self) -> str:
        return "a SIEM"

    @property
    def counts(self) -> Counter[str]:
        return Counter(mark for _, mark in self.taken)


def ids_of(lot: Lot) -> list[str]:
    return [json.loads(event)["id"] for event in lot.events]


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


def test_what_was_refused_as_too_large_goes_in_parts_and_the_limit_is_remembered() -> None:
    siem = ASiem(lambda lot: Split("413") if len(lot) > 30 else OK)
    learned = LearnedLimits()
    drained = drain(MemoryQueue(lots_of(300)), lambda: siem, learned=learned)
    assert drained.done
    assert set(siem.counts.values()) == {1}
    refused = [len(lot) for lot in siem.sent if len(lot) > 30]
    assert refused == [100, 50, 33], "only the first lot was tried whole"
    assert learned.refused


@pytest.mark.parametrize("limit", [26, 30, 33, 49, 70, 99])
def test_parts_become_nearly_as_large_as_what_is_taken(limit: int) -> None:
    siem = ASiem(lambda lot: Split("413") if len(lot) > limit else OK)
    learned = LearnedLimits()
    assert drain(MemoryQueue(lots_of(3_000)), lambda: siem, learned=learned).done
    assert set(siem.counts.values()) == {1}
    siem.sent.clear()
    again = LearnedLimits(learned.refused, taken_bytes=learned.taken_bytes)  # as the next run knows it
    assert drain(MemoryQueue(lots_of(3_000)), lambda: siem, learned=again).done
    fewest = 30 * -(-100 // limit)
    assert fewest <= len(siem.sent) <= 1.35 * fewest, "no more requests than equal parts of a lot need, but for a few"


def test_a_limit_that_became_smaller_is_found_again() -> None:
    most = [60]
    siem = ASiem(lambda lot: Split("413") if len(lot) > most[0] else OK)
    learned = LearnedLimits()
    assert drain(MemoryQueue(lots_of(500)), lambda: siem, learned=learned).done
    most[0] = 20
    siem.sent.clear()
    assert drain(MemoryQueue(lots_of(1_000)), lambda: siem, learned=learned).done
    last = [len(lot) for lot in siem.sent[-20:]]
    assert max(last) <= 20, "larger ones are tried no more"
    assert sum(last) / len(last) > 15, "halves alone would have 12 or 13"


def test_a_limit_that_is_not_one_of_the_events_bytes_is_not_remembered() -> None:
    siem = ASiem(lambda lot: Split("413", teaches=False) if len(lot) > 30 else OK)
    learned = LearnedLimits()
    assert drain(MemoryQueue(lots_of(300)), lambda: siem, learned=learned).done
    assert set(siem.counts.values()) == {1}
    assert [len(lot) for lot in siem.sent if len(lot) > 30] == [100, 50, 50] * 3, "each lot is tried whole"
    assert not learned.refused


def test_one_event_that_is_too_large_becomes_a_dead_letter_and_its_neighbours_are_delivered() -> None:
    guilty = "e000042"
    siem = ASiem(lambda lot: Split("HTTP 413: too large") if guilty in ids_of(lot) else OK)
    drained = drain(MemoryQueue(lots_of(100)), lambda: siem)
    assert drained.done
    assert drained.delivered == 99
    assert [json.loads(letter.event)["id"] for letter in drained.letters.kept] == [guilty]
    assert drained.letters.kept[0].reason == "HTTP 413: too large"


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


def test_a_receipt_is_asked_about_by_the_next_run_and_settles_its_events() -> None:
    siem, queue = ASiem(lambda lot: Receipt(lot.key(""), 10, 300, "HTTP 200 OK")), MemoryQueue(lots_of(200))
    clock = FakeClock()
    first = drain(queue, lambda: siem, clock=clock)
    assert first.reports[0].awaiting == 200
    assert first.reports[0].failed is None
    assert not siem.asked
    siem.confirms = {lot.key(""): OK for lot in siem.sent}
    second = drain(queue, lambda: siem, clock=clock)
    assert second.done
    assert len(siem.sent) == 2, "nothing was sent again"


def test_a_receipt_that_is_never_confirmed_expires_and_the_same_request_goes_again() -> None:
    siem, queue = ASiem(lambda lot: Receipt("t", 10, 300)), MemoryQueue(lots_of(50))
    clock = FakeClock()
    drain(queue, lambda: siem, clock=clock, runs=5)
    assert len(siem.sent) == 1
    clock.sleep(300)
    siem.answer = lambda lot: OK
    assert drain(queue, lambda: siem, clock=clock).done
    assert siem.sent[0].key("x") == siem.sent[1].key("x")


def test_receipts_that_are_due_soon_are_waited_for() -> None:
    siem, queue = ASiem(lambda lot: Receipt(lot.key(""), 0.5, 300)), MemoryQueue(lots_of(50))
    siem.confirms = {lot.key(""): OK for lot in queue.pending()}
    assert drain(queue, lambda: siem).done


def test_a_destination_that_confirms_nothing_is_not_asked_all_the_time() -> None:
    siem, queue, clock = ASiem(lambda lot: Receipt(lot.key(""), 1, 300)), MemoryQueue(lots_of(50)), FakeClock()
    drain(queue, lambda: siem, clock=clock)
    clock.sleep(60)
    before = len(siem.asked)
    drain(queue, lambda: siem, clock=clock)
    assert 1 <= len(siem.asked) - before <= 3, "when the run began, and once a second while it waits"


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


OUTCOMES = st.sampled_from(["ok", "ok", "ok", "retry", "lost", "split", "blocked", "partial", "receipt"])


@pytest.mark.fuzz
@given(
    st.lists(OUTCOMES, max_size=60), st.integers(1, 40), st.integers(1, 12), st.sets(st.integers(0, 39)), st.booleans()
)
@settings(deadline=None)
def test_every_event_is_taken_once_or_dead_whatever_is_answered(
    answers: list[str], count: int, size: int, poison: set[int], several: bool
) -> None:
    """And what comes again after a lost answer comes under the same key."""
    assume(min(set(range(count)) - poison, default=8) < 8)  # what refuses everything is believed to do so, see above
    left = list(answers)
    lost: Counter[tuple[str, str]] = Counter()

    def answer(lot: Lot) -> Outcome | Receipt:
        bad = [i for i, mark in enumerate(ids_of(lot)) if int(mark[1:]) in poison]
        kind = left.pop() if left else "ok"
        if any(key == lot.key("") for key, _ in lost) and kind in ("split", "partial"):
            kind = "ok"  # a steady destination does not refuse what it took
        if kind == "retry":
            return Retry("HTTP 503")
        if kind == "blocked":
            return Blocked("HTTP 401")
        if kind == "split" and len(lot) > 1:
            return Split("HTTP 413")
        if kind == "partial":
            return PerItem(
                tuple(Rejected("bad") if i in bad else (OK if i % 2 else Retry("429")) for i in range(len(lot)))
            )
        if bad:
            return Rejected("bad") if len(lot) == 1 else Rejected("one of them is bad")
        if kind == "lost":
            lost.update((lot.key(""), mark) for mark in ids_of(lot))
            siem.take(lot, range(len(lot)))
            return Ambiguous("no answer")
        return Receipt(lot.key(""), 1, 20) if kind == "receipt" else OK

    siem = ASiem(answer, limits=LotLimits(in_flight=3 if several else 1))
    siem.confirms = _Any()
    queue = MemoryQueue(lots_of(count, size=size))
    drained = drain(queue, lambda: siem, runs=200)
    assert drained.done
    dead = {json.loads(letter.event)["id"] for letter in drained.letters.kept}
    assert dead == {f"e{n:06d}" for n in poison if n < count}
    for mark, times in siem.counts.items():
        again = [key for key, each in siem.taken if each == mark]
        assert times == 1 or len(set(again)) == 1, "it came again under another name"
        assert times <= 1 + sum(lost[key, mark] for key in set(again))
    assert len(siem.counts) + len(dead) == count


class _Any(dict):
    """Confirms everything."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Outcome:
        return OK


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


def test_a_confirmation_may_tell_each_event_apart() -> None:
    siem = ASiem(lambda lot: Receipt("r1", ask_after_s=1, expires_s=60) if len(lot) == 5 else OK)
    siem.confirms["r1"] = PerItem((OK, OK, Rejected("HTTP 400: bad"), Retry("not read"), Retry("not read")))
    queue = MemoryQueue(lots_of(5))
    drained = drain(queue, lambda: siem, runs=3)
    assert drained.done
    assert [len(lot) for lot in siem.sent] == [5, 2]
    assert [json.loads(letter.event)["id"] for letter in drained.letters.kept] == ["e000002"]
