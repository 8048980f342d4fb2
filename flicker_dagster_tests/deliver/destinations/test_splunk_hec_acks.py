"""Indexer acknowledgement: receipts outlive runs, an id leads to the request it was given for, and what nobody confirms
is sent again under the same ids."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.destinations.splunk_hec import INDEXED, NOT_STICKY, RECEIVED
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, PerItem, Receipt, Rejected, Retry
from flicker_dagster.simulator.receivers.splunk_hec import HecToken, SplunkHecReceiver
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster_tests.deliver.contract import Drained, FakeClock, MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.hec import TOKEN, Scripted, opened

LOT = lot_of([event_of(n) for n in range(5)])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def collector(clock: FakeClock) -> Iterator[Callable[..., SplunkHecReceiver]]:
    """Opens collectors whose token has acknowledgement."""
    opened_ones: list[SplunkHecReceiver] = []

    def open_one(**keys: Any) -> SplunkHecReceiver:
        opened_ones.append(SplunkHecReceiver(**{"tokens": {TOKEN: HecToken(ack=True)}, "clock": clock} | keys))
        return opened_ones[-1]

    yield open_one
    for siem in opened_ones:
        siem.close()


Collector = Callable[..., SplunkHecReceiver]


def receipt_of(siem: SplunkHecReceiver, **keys: Any) -> Receipt:
    """Sent by a destination that is closed again, as in an earlier run."""
    destination = opened(siem.url, siem.clock, **keys)
    outcome = destination.send(LOT)
    destination.close()
    assert isinstance(outcome, Receipt)
    return outcome


def confirmed(siem: SplunkHecReceiver, *receipts: Receipt, **keys: Any) -> list[object]:
    """What another run learns of them, in their order; None for what is under way."""
    destination = opened(siem.url, siem.clock, **keys)
    found = destination.confirm(receipts)
    destination.close()
    return [found.get(receipt.token) for receipt in receipts]


def delivered(siem: SplunkHecReceiver, clock: FakeClock, events: int = 200, runs: int = 40, **keys: Any) -> Drained:
    queue = MemoryQueue(lots_of(events, size=20))
    return drain(queue, lambda: opened(siem.url, clock, **keys), runs=runs, clock=clock)


# -- receipts


def test_a_receipt_says_when_to_ask_and_until_when_and_holds_no_secret(collector: Collector) -> None:
    receipt = receipt_of(collector(), ack_ask_after_ms=2_500, ack_expires_ms=60_000)
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


def test_another_run_confirms_what_was_indexed_meanwhile(collector: Collector, clock: FakeClock) -> None:
    siem = collector(ack_delay_s=15)
    receipt = receipt_of(siem)
    clock.sleep(10)
    assert confirmed(siem, receipt) == [None]
    clock.sleep(10)
    assert confirmed(siem, receipt) == [Delivered(INDEXED)]


def test_true_is_said_once_so_that_asking_again_confirms_nothing(collector: Collector) -> None:
    siem = collector()
    receipt = receipt_of(siem)
    assert confirmed(siem, receipt, receipt) == [Delivered(INDEXED)] * 2
    assert confirmed(siem, receipt) == [None]


def test_one_question_is_enough_for_one_channel(collector: Collector) -> None:
    siem = collector()
    destination = opened(siem.url, siem.clock)
    receipts = [destination.send(LOT) for _ in range(30)]
    assert set(destination.confirm(receipts).values()) == {Delivered(INDEXED)}  # type: ignore[arg-type]
    destination.close()
    assert siem.ack_requests == 1


def test_a_receipt_that_cannot_be_read_leads_to_sending_again(collector: Collector) -> None:
    siem = collector()
    for token in ("", "{}", '{"channel":1}', "null"):
        (outcome,) = confirmed(siem, Receipt(token, 1, 2))
        assert isinstance(outcome, Ambiguous)


@pytest.mark.parametrize("fault", ["503", "404", "401", "cut_before_commit"])
def test_a_question_that_is_not_answered_decides_nothing(
    collector: Collector, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    siem = collector()
    receipt = receipt_of(siem)
    siem.ack_faults.plan(fault)
    with caplog.at_level(logging.WARNING, logger="flicker.deliver"):
        assert confirmed(siem, receipt) == [None]
    assert "acknowledgements cannot be asked for" in caplog.text
    assert confirmed(siem, receipt) == [Delivered(INDEXED)]


# -- whole deliveries


def test_a_run_does_not_wait_for_what_is_confirmed_later(collector: Collector, clock: FakeClock) -> None:
    siem = collector(ack_delay_s=60)
    began_s, threads = clock.now_s, threading.active_count()
    first = delivered(siem, clock, runs=1)
    assert (first.reports[0].failed, first.reports[0].awaiting, first.delivered) == (None, 200, 0)
    assert clock.now_s - began_s - 30 < 1, "of fake time, beside the pause after a run"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("deliver_")]
    assert threading.active_count() <= threads + 2  # of the receiver's connections


def test_every_event_is_indexed_once_over_as_many_runs_as_that_takes(collector: Collector, clock: FakeClock) -> None:
    siem = collector(ack_delay_s=100)
    drained = delivered(siem, clock)
    assert (drained.done, drained.delivered) == (True, 200)
    assert len(drained.reports) > 3
    assert set(siem.counts().values()) == {1}
    assert {settled.status for _, settled in drained.queue.history} == {INDEXED}


def test_what_was_taken_and_never_indexed_is_sent_again_when_its_receipt_expires(
    collector: Collector, clock: FakeClock
) -> None:
    siem = collector()
    siem.unindexed = 3
    drained = delivered(siem, clock)
    assert drained.done
    assert len(siem.counts()) == 200
    assert set(siem.counts().values()) == {1}


def test_what_was_indexed_and_never_acknowledged_comes_twice_under_the_same_ids(
    collector: Collector, clock: FakeClock
) -> None:
    siem = collector()
    siem.unacknowledged = 3
    assert delivered(siem, clock).done
    assert sorted(siem.counts().values()) == [1] * 140 + [2] * 60


def test_an_acknowledgement_that_was_lost_on_the_way_costs_a_repetition_and_no_event(
    collector: Collector, clock: FakeClock
) -> None:
    siem = collector()
    siem.ack_faults.plan("commit_then_cut")
    assert delivered(siem, clock).done
    assert len(siem.counts()) == 200


def test_a_channel_that_the_server_cleaned_up_costs_a_repetition_and_no_event(
    collector: Collector, clock: FakeClock
) -> None:
    siem = collector(idle_s=5)
    assert delivered(siem, clock, runs=13, ack_ask_after_ms=10_000).delivered == 0, "nothing can be confirmed"
    siem = collector(idle_s=600)
    assert delivered(siem, clock).done


def test_a_quarter_of_all_answers_lost_of_either_kind(collector: Collector, clock: FakeClock) -> None:
    siem = collector(ack_delay_s=20)
    siem.faults.plan("commit_then_cut", count=None, share=0.25)
    siem.ack_faults.plan("commit_then_cut", count=None, share=0.25)
    drained = delivered(siem, clock, events=1_000, runs=400)
    assert (drained.done, drained.delivered, drained.dead) == (True, 1_000, 0)
    assert len(siem.counts()) == 1_000


# -- several indexers


@pytest.mark.parametrize("renews", [False, True])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_behind_a_sticky_balancer_questions_reach_the_indexer_that_knows(
    collector: Collector, clock: FakeClock, renews: bool, in_flight: int
) -> None:
    siem = collector(indexers=2, cookie="AWSALB", renews_cookie=renews, ack_delay_s=20)
    drained = delivered(siem, clock, max_in_flight=in_flight)
    assert drained.done
    assert set(siem.counts().values()) == {1}
    assert {settled.status for _, settled in drained.queue.history} == {INDEXED}


def test_requests_that_are_sent_before_any_is_answered_may_reach_two_indexers(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    siem = collector(indexers=2, cookie="node")
    both_here, take = threading.Barrier(2, timeout=60), siem.take

    def take_both(request: Request) -> Response:
        both_here.wait()
        return take(request)

    monkeypatch.setattr(siem, "take", take_both)
    destination = opened(siem.url, siem.clock, max_in_flight=2)
    with ThreadPoolExecutor(2) as threads:
        receipts = list(threads.map(destination.send, [LOT, LOT]))
    destination.close()
    assert {each.beside["indexer"] for each in siem.stored} == {0, 1}
    assert confirmed(siem, *receipts) == [Delivered(INDEXED)] * 2


def test_ids_that_come_twice_are_never_believed(collector: Collector, clock: FakeClock) -> None:
    """Two indexers count where one was expected: the second 0 might confirm the first."""
    siem = collector(indexers=2, cookie=None)
    destination = opened(siem.url, clock)
    first, second = destination.send(LOT), destination.send(LOT)
    assert isinstance(first, Receipt)
    assert isinstance(second, Ambiguous)
    assert isinstance(destination.confirm([first])[first.token], Ambiguous)
    destination.close()


def test_without_stickiness_auto_goes_on_without_acknowledgement(
    collector: Collector, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    siem = collector(indexers=3, cookie=None)
    with caplog.at_level(logging.INFO, logger="flicker.deliver"):
        drained = delivered(siem, clock, events=1_000)
    assert drained.done
    assert len(siem.counts()) == 1_000
    assert RECEIVED in {settled.status for _, settled in drained.queue.history}
    assert NOT_STICKY in caplog.text


def test_without_stickiness_required_stops_and_says_what_to_do(collector: Collector, clock: FakeClock) -> None:
    siem = collector(indexers=3, cookie=None)
    blocked = delivered(siem, clock, events=1_000, runs=1, ack="required")
    assert not blocked.done
    assert "sticky by cookie" in blocked.last_words
    assert blocked.dead == 0


def test_a_restarted_server_counts_anew_and_nothing_is_lost(collector: Collector, clock: FakeClock) -> None:
    siem = collector(ack_delay_s=5)
    queue = MemoryQueue(lots_of(200, size=20))
    restarts = iter([siem.restart] * 2)

    def open_and_restart() -> Any:
        destination = opened(siem.url, clock)
        send, sent = destination.send, iter(range(1_000))

        def restart_after_five(lot: Any) -> Any:
            if next(sent) == 5:
                next(restarts, lambda: None)()
            return send(lot)

        destination.send = restart_after_five  # type: ignore[method-assign]
        return destination

    drained = drain(queue, open_and_restart, runs=60, clock=clock)
    assert drained.done
    assert len(siem.counts()) == 200


# -- what the token gives


def test_auto_takes_what_the_token_gives_and_says_so_once(
    collector: Collector, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    siem = collector(tokens={TOKEN: HecToken(ack=False)})
    with caplog.at_level(logging.INFO, logger="flicker.deliver"):
        drained = delivered(siem, clock)
    assert drained.done
    assert caplog.text.count("once they are received, not once they are indexed") == 1
    assert drained.reports[0].statuses == {RECEIVED: 10}


def test_required_sends_nothing_to_a_token_without_acknowledgement(collector: Collector, clock: FakeClock) -> None:
    siem = collector(tokens={TOKEN: HecToken(ack=False)})
    queue = MemoryQueue(lots_of(100))
    blocked = drain(queue, lambda: opened(siem.url, clock, ack="required"), runs=3, clock=clock)
    assert siem.stored == []
    assert "Enable indexer acknowledgement" in blocked.last_words
    siem.tokens[TOKEN].ack = True
    assert drain(queue, lambda: opened(siem.url, clock, ack="required"), runs=3, clock=clock).done
    assert set(siem.counts().values()) == {1}


def test_required_blocks_where_the_id_is_missing_all_the_same(collector: Collector) -> None:
    siem = collector()
    destination = opened(siem.url, siem.clock, ack="required")
    assert isinstance(destination.send(LOT), Receipt)
    siem.tokens[TOKEN].ack = False
    outcome = destination.send(LOT)
    destination.close()
    assert isinstance(outcome, Blocked)
    assert "without an ackId" in outcome.why


@pytest.mark.parametrize(("status", "kind"), [("401", Blocked), ("503", Retry), ("cut_before_commit", Ambiguous)])
def test_required_sends_nothing_while_it_cannot_ask(collector: Collector, status: str, kind: type) -> None:
    siem = collector()
    siem.ack_faults.plan(status)
    destination = opened(siem.url, siem.clock, ack="required")
    assert isinstance(destination.send(LOT), kind)
    assert siem.stored == []
    assert isinstance(destination.send(LOT), Receipt)
    destination.close()


def test_off_towards_a_token_with_acknowledgement_blocks_with_the_fix(collector: Collector) -> None:
    siem = collector()
    destination = opened(siem.url, siem.clock, ack="off")
    outcome = destination.send(LOT)
    destination.close()
    assert isinstance(outcome, Blocked)
    assert "set ack: auto or required" in outcome.why


def test_off_names_no_channel_and_waits_for_nothing(collector: Collector) -> None:
    siem = collector(tokens={TOKEN: HecToken(ack=False)})
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


def test_where_nobody_answers_not_every_question_waits_for_its_time_out(collector: Collector) -> None:
    siem = collector()
    receipts = [receipt_of(siem) for _ in range(5)]
    siem.ack_faults.plan("cut_before_commit", count=None)
    assert confirmed(siem, *receipts) == [None] * 5
    assert siem.ack_requests == 1
    siem.ack_faults.clear()
    assert confirmed(siem, *receipts) == [Delivered(INDEXED)] * 5


def test_acknowledgement_that_was_switched_off_meanwhile(collector: Collector) -> None:
    siem = collector()
    receipt = receipt_of(siem)
    siem.tokens[TOKEN].ack = False
    assert confirmed(siem, receipt) == [Delivered(RECEIVED)]
    (outcome,) = confirmed(siem, receipt, ack="required")
    assert isinstance(outcome, Blocked)
    assert "Enable indexer acknowledgement" in outcome.why


# -- a request of which one event was refused


def test_what_stood_before_a_refused_event_is_confirmed_and_not_sent_again(collector: Collector) -> None:
    siem = collector(poison="venom")
    lot = lot_of([event_of(n, action="venom" if n == 2 else "login") for n in range(5)])
    destination = opened(siem.url, siem.clock)
    receipt = destination.send(lot)
    assert isinstance(receipt, Receipt)
    outcome = destination.confirm([receipt])[receipt.token]
    destination.close()
    assert isinstance(outcome, PerItem)
    assert [type(item) for item in outcome.items] == [Delivered, Delivered, Rejected, Retry, Retry]


def test_what_stood_before_a_refused_event_is_sent_again_where_nobody_confirms_it(
    collector: Collector, clock: FakeClock
) -> None:
    siem = collector(poison="venom")
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
    collector: Collector, clock: FakeClock
) -> None:
    siem = collector(poison="venom")
    siem.unacknowledged = 1
    queue = MemoryQueue([lot_of([event_of(n, action="venom" if n == 2 else "login") for n in range(5)])])
    drained = drain(queue, lambda: opened(siem.url, clock), runs=30, clock=clock)
    assert (drained.done, drained.delivered, drained.dead) == (True, 4, 1)
