"""Indexer acknowledgement: receipts outlive runs, an id leads to the request it was given for, and what nobody confirms
is sent again under the same ids."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.destinations.splunk_hec import INDEXED
from flicker_dagster.deliver.outcomes import Ambiguous, Delivered, PerItem, Receipt, Rejected, Retry
from flicker_dagster.simulator.server import Response
from flicker_dagster_tests.deliver.contract import FakeClock, MemoryQueue, drain, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.hec import (
    LOT,
    TOKEN,
    Collector,
    Scripted,
    confirmed,
    delivered,
    opened,
    receipt_of,
)

# -- receipts


def test_a_receipt_says_when_to_ask_and_until_when_and_holds_no_secret(acknowledging: Collector) -> None:
    receipt = receipt_of(acknowledging(), ack_ask_after_ms=2_500, ack_expires_ms=60_000)
    assert (receipt.ask_after_s, receipt.expires_s) == (2.5, 60.0)
    assert TOKEN not in receipt.token
    assert json.loads(receipt.token)["ack_id"] == 0


def test_a_receipt_holds_no_secret_though_the_server_sets_it_as_a_cookie() -> None:
    answer = Response.json({"text": "Success", "code": 0, "ackId": 1})
    answer.headers += [("Set-Cookie", "node=a"), ("Set-Cookie", f"echo=x{TOKEN}-and-more")]
    siem = Scripted(answer)
    destination = opened(siem.url, masker=Masker([], others=(TOKEN,)))
    try:
        receipt = destination.send(lot_of([event_of(1)]))
    finally:
        destination.close()
        siem.close()
    assert isinstance(receipt, Receipt)
    assert TOKEN not in receipt.token
    assert "node" in receipt.token


def test_another_run_confirms_what_was_indexed_meanwhile(acknowledging: Collector, clock: FakeClock) -> None:
    siem = acknowledging(ack_delay_s=15)
    receipt = receipt_of(siem)
    clock.sleep(10)
    assert confirmed(siem, receipt) == [None]
    clock.sleep(10)
    assert confirmed(siem, receipt) == [Delivered(INDEXED)]


def test_true_is_said_once_so_that_asking_again_confirms_nothing(acknowledging: Collector) -> None:
    siem = acknowledging()
    receipt = receipt_of(siem)
    assert confirmed(siem, receipt, receipt) == [Delivered(INDEXED)] * 2
    assert confirmed(siem, receipt) == [None]


def test_one_question_is_enough_for_one_channel(acknowledging: Collector) -> None:
    siem = acknowledging()
    destination = opened(siem.url, siem.clock)
    receipts = [destination.send(LOT) for _ in range(30)]
    assert set(destination.confirm(receipts).values()) == {Delivered(INDEXED)}  # type: ignore[arg-type]
    destination.close()
    assert siem.ack_requests == 1


def test_a_receipt_that_cannot_be_read_leads_to_sending_again(acknowledging: Collector) -> None:
    siem = acknowledging()
    for token in ("", "{}", '{"channel":1}', "null"):
        (outcome,) = confirmed(siem, Receipt(token, 1, 2))
        assert isinstance(outcome, Ambiguous)


@pytest.mark.parametrize("fault", ["503", "404", "401", "cut_before_commit"])
def test_a_question_that_is_not_answered_decides_nothing(
    acknowledging: Collector, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    siem = acknowledging()
    receipt = receipt_of(siem)
    siem.ack_faults.plan(fault)
    with caplog.at_level(logging.WARNING, logger="flicker.deliver"):
        assert confirmed(siem, receipt) == [None]
    assert "acknowledgements cannot be asked for" in caplog.text
    assert confirmed(siem, receipt) == [Delivered(INDEXED)]


# -- whole deliveries


def test_a_run_does_not_wait_for_what_is_confirmed_later(acknowledging: Collector, clock: FakeClock) -> None:
    siem = acknowledging(ack_delay_s=60)
    began_s, threads = clock.now_s, threading.active_count()
    first = delivered(siem, clock, runs=1)
    assert (first.reports[0].failed, first.reports[0].awaiting, first.delivered) == (None, 200, 0)
    assert clock.now_s - began_s - 30 < 1, "of fake time, beside the pause after a run"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("deliver_")]
    assert threading.active_count() <= threads + 2  # of the receiver's connections


def test_every_event_is_indexed_once_over_as_many_runs_as_that_takes(
    acknowledging: Collector, clock: FakeClock
) -> None:
    siem = acknowledging(ack_delay_s=100)
    drained = delivered(siem, clock)
    assert (drained.done, drained.delivered) == (True, 200)
    assert len(drained.reports) > 3
    assert set(siem.counts().values()) == {1}
    assert {settled.status for _, settled in drained.queue.history} == {INDEXED}


def test_what_was_taken_and_never_indexed_is_sent_again_when_its_receipt_expires(
    acknowledging: Collector, clock: FakeClock
) -> None:
    siem = acknowledging()
    siem.unindexed = 3
    drained = delivered(siem, clock)
    assert drained.done
    assert len(siem.counts()) == 200
    assert set(siem.counts().values()) == {1}


def test_what_was_indexed_and_never_acknowledged_comes_twice_under_the_same_ids(
    acknowledging: Collector, clock: FakeClock
) -> None:
    siem = acknowledging()
    siem.unacknowledged = 3
    assert delivered(siem, clock).done
    assert sorted(siem.counts().values()) == [1] * 140 + [2] * 60


def test_an_acknowledgement_that_was_lost_on_the_way_costs_a_repetition_and_no_event(
    acknowledging: Collector, clock: FakeClock
) -> None:
    siem = acknowledging()
    siem.ack_faults.plan("commit_then_cut")
    assert delivered(siem, clock).done
    assert len(siem.counts()) == 200


def test_a_channel_that_the_server_cleaned_up_costs_a_repetition_and_no_event(
    acknowledging: Collector, clock: FakeClock
) -> None:
    siem = acknowledging(idle_s=5)
    assert delivered(siem, clock, runs=13, ack_ask_after_ms=10_000).delivered == 0, "nothing can be confirmed"
    siem = acknowledging(idle_s=600)
    assert delivered(siem, clock).done


def test_a_quarter_of_all_answers_lost_of_either_kind(acknowledging: Collector, clock: FakeClock) -> None:
    siem = acknowledging(ack_delay_s=20)
    siem.faults.plan("commit_then_cut", count=None, share=0.25)
    siem.ack_faults.plan("commit_then_cut", count=None, share=0.25)
    drained = delivered(siem, clock, events=1_000, runs=400)
    assert (drained.done, drained.delivered, drained.dead) == (True, 1_000, 0)
    assert len(siem.counts()) == 1_000


# -- a request of which one event was refused


def test_what_stood_before_a_refused_event_is_confirmed_and_not_sent_again(acknowledging: Collector) -> None:
    siem = acknowledging(poison="venom")
    lot = lot_of([event_of(n, action="venom" if n == 2 else "login") for n in range(5)])
    destination = opened(siem.url, siem.clock)
    receipt = destination.send(lot)
    assert isinstance(receipt, Receipt)
    outcome = destination.confirm([receipt])[receipt.token]
    destination.close()
    assert isinstance(outcome, PerItem)
    assert [type(item) for item in outcome.items] == [Delivered, Delivered, Rejected, Retry, Retry]


def test_what_stood_before_a_refused_event_is_sent_again_where_nobody_confirms_it(
    acknowledging: Collector, clock: FakeClock
) -> None:
    siem = acknowledging(poison="venom")
    siem.unacknowledged = 1
    lot = lot_of([event_of(n, action="venom" if n == 2 else "login") for n in range(5)])
    destination = opened(siem.url, clock)
    receipt = destination.send(lot)
    assert isinstance(receipt, Receipt)
    assert destination.confirm([receipt]) == {}
    clock.sleep(receipt.expires_s / 2)
    outcome = destination.confirm([receipt])[receipt.token]
    destination.close()
    assert isinstance(outcome, PerItem)
    assert [type(item) for item in outcome.items] == [Retry, Retry, Rejected, Retry, Retry]


def test_poison_ends_as_a_dead_letter_though_the_server_confirms_nothing_of_refused_requests(
    acknowledging: Collector, clock: FakeClock
) -> None:
    siem = acknowledging(poison="venom")
    siem.unacknowledged = 1
    queue = MemoryQueue([lot_of([event_of(n, action="venom" if n == 2 else "login") for n in range(5)])])
    drained = drain(queue, lambda: opened(siem.url, clock), runs=30, clock=clock)
    assert (drained.done, drained.delivered, drained.dead) == (True, 4, 1)
