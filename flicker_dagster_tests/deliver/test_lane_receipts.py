"""A lane whose destination confirms later: receipts are asked about, expire, and settle events."""

from __future__ import annotations

import json

from flicker_dagster.deliver.outcomes import PerItem, Receipt, Rejected, Retry
from flicker_dagster_tests.deliver.a_siem import OK, ASiem
from flicker_dagster_tests.deliver.contract import FakeClock, MemoryQueue, drain, lots_of


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


def test_a_confirmation_may_tell_each_event_apart() -> None:
    siem = ASiem(lambda lot: Receipt("r1", ask_after_s=1, expires_s=60) if len(lot) == 5 else OK)
    siem.confirms["r1"] = PerItem((OK, OK, Rejected("HTTP 400: bad"), Retry("not read"), Retry("not read")))
    queue = MemoryQueue(lots_of(5))
    drained = drain(queue, lambda: siem, runs=3)
    assert drained.done
    assert [len(lot) for lot in siem.sent] == [5, 2]
    assert [json.loads(letter.event)["id"] for letter in drained.letters.kept] == ["e000002"]
