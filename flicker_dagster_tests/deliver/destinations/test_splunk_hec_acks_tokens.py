"""Indexer acknowledgement as `ack` asks for it and as the token gives it."""

from __future__ import annotations

import logging

import pytest

from flicker_dagster.deliver.destinations.splunk_hec import INDEXED, RECEIVED
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Receipt, Retry
from flicker_dagster.simulator.receivers.splunk_hec import HecToken
from flicker_dagster.simulator.server import Response
from flicker_dagster_tests.deliver.contract import FakeClock, MemoryQueue, drain, lots_of
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


def test_auto_takes_what_the_token_gives_and_says_so_once(
    acknowledging: Collector, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    siem = acknowledging(tokens={TOKEN: HecToken(ack=False)})
    with caplog.at_level(logging.INFO, logger="flicker.deliver"):
        drained = delivered(siem, clock)
    assert drained.done
    assert caplog.text.count("once they are received, not once they are indexed") == 1
    assert drained.reports[0].statuses == {RECEIVED: 10}


def test_required_sends_nothing_to_a_token_without_acknowledgement(acknowledging: Collector, clock: FakeClock) -> None:
    siem = acknowledging(tokens={TOKEN: HecToken(ack=False)})
    queue = MemoryQueue(lots_of(100))
    blocked = drain(queue, lambda: opened(siem.url, clock, ack="required"), runs=3, clock=clock)
    assert siem.stored == []
    assert "Enable indexer acknowledgement" in blocked.last_words
    siem.tokens[TOKEN].ack = True
    assert drain(queue, lambda: opened(siem.url, clock, ack="required"), runs=3, clock=clock).done
    assert set(siem.counts().values()) == {1}


def test_required_blocks_where_the_id_is_missing_all_the_same(acknowledging: Collector) -> None:
    siem = acknowledging()
    destination = opened(siem.url, siem.clock, ack="required")
    assert isinstance(destination.send(LOT), Receipt)
    siem.tokens[TOKEN].ack = False
    outcome = destination.send(LOT)
    destination.close()
    assert isinstance(outcome, Blocked)
    assert "without an ackId" in outcome.why


@pytest.mark.parametrize(("status", "kind"), [("401", Blocked), ("503", Retry), ("cut_before_commit", Ambiguous)])
def test_required_sends_nothing_while_it_cannot_ask(acknowledging: Collector, status: str, kind: type) -> None:
    siem = acknowledging()
    siem.ack_faults.plan(status)
    destination = opened(siem.url, siem.clock, ack="required")
    assert isinstance(destination.send(LOT), kind)
    assert siem.stored == []
    assert isinstance(destination.send(LOT), Receipt)
    destination.close()


def test_off_towards_a_token_with_acknowledgement_blocks_with_the_fix(acknowledging: Collector) -> None:
    siem = acknowledging()
    destination = opened(siem.url, siem.clock, ack="off")
    outcome = destination.send(LOT)
    destination.close()
    assert isinstance(outcome, Blocked)
    assert "set ack: auto or required" in outcome.why


def test_off_names_no_channel_and_waits_for_nothing(acknowledging: Collector) -> None:
    siem = acknowledging(tokens={TOKEN: HecToken(ack=False)})
    destination = opened(siem.url, siem.clock, ack="off")
    assert destination.send(LOT) == Delivered("HTTP 200 OK")
    destination.close()
    assert siem.stored[0].beside["channel"] is None


@pytest.mark.parametrize(("format", "names_channel"), [("event", False), ("raw", True)])
def test_a_collector_that_refuses_the_channel_of_a_token_without_acknowledgement(
    format: str, names_channel: bool
) -> None:
    refused = Response.json({"text": "ACK is disabled", "code": 14}, 400)
    siem = Scripted(refused, Response.json({"text": "Success", "code": 0}))
    destination = opened(siem.url, format=format)
    assert destination.send(LOT) == Delivered(RECEIVED)
    destination.close()
    siem.close()
    assert ["x-splunk-request-channel" in request.headers for request in siem.requests] == [True, names_channel]


def test_where_nobody_answers_not_every_question_waits_for_its_time_out(acknowledging: Collector) -> None:
    siem = acknowledging()
    receipts = [receipt_of(siem) for _ in range(5)]
    siem.ack_faults.plan("cut_before_commit", count=None)
    assert confirmed(siem, *receipts) == [None] * 5
    assert siem.ack_requests == 1
    siem.ack_faults.clear()
    assert confirmed(siem, *receipts) == [Delivered(INDEXED)] * 5


def test_acknowledgement_that_was_switched_off_meanwhile(acknowledging: Collector) -> None:
    siem = acknowledging()
    receipt = receipt_of(siem)
    siem.tokens[TOKEN].ack = False
    assert confirmed(siem, receipt) == [Delivered(RECEIVED)]
    (outcome,) = confirmed(siem, receipt, ack="required")
    assert isinstance(outcome, Blocked)
    assert "Enable indexer acknowledgement" in outcome.why
