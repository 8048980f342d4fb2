"""Indexer acknowledgement where several indexers stand behind one address, or one counts anew."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flicker_dagster.deliver.destinations.splunk_hec import INDEXED, NOT_STICKY, RECEIVED
from flicker_dagster.deliver.outcomes import Ambiguous, Delivered, Receipt
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster_tests.deliver.contract import FakeClock, MemoryQueue, drain, lots_of
from flicker_dagster_tests.deliver.destinations.hec import LOT, Collector, confirmed, delivered, opened


@pytest.mark.parametrize("renews", [False, True])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_behind_a_sticky_balancer_questions_reach_the_indexer_that_knows(
    acknowledging: Collector, clock: FakeClock, renews: bool, in_flight: int
) -> None:
    siem = acknowledging(indexers=2, cookie="AWSALB", renews_cookie=renews, ack_delay_s=20)
    drained = delivered(siem, clock, max_in_flight=in_flight)
    assert drained.done
    assert set(siem.counts().values()) == {1}
    assert {settled.status for _, settled in drained.queue.history} == {INDEXED}


def test_requests_that_are_sent_before_any_is_answered_may_reach_two_indexers(
    acknowledging: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    siem = acknowledging(indexers=2, cookie="node")
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


def test_ids_that_come_twice_are_never_believed(acknowledging: Collector, clock: FakeClock) -> None:
    """Two indexers count where one was expected: the second 0 might confirm the first."""
    siem = acknowledging(indexers=2, cookie=None)
    destination = opened(siem.url, clock)
    first, second = destination.send(LOT), destination.send(LOT)
    assert isinstance(first, Receipt)
    assert isinstance(second, Ambiguous)
    assert isinstance(destination.confirm([first])[first.token], Ambiguous)
    destination.close()


def test_without_stickiness_auto_goes_on_without_acknowledgement(
    acknowledging: Collector, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    siem = acknowledging(indexers=3, cookie=None)
    with caplog.at_level(logging.INFO, logger="flicker.deliver"):
        drained = delivered(siem, clock, events=1_000)
    assert drained.done
    assert len(siem.counts()) == 1_000
    assert RECEIVED in {settled.status for _, settled in drained.queue.history}
    assert NOT_STICKY in caplog.text


def test_without_stickiness_required_stops_and_says_what_to_do(acknowledging: Collector, clock: FakeClock) -> None:
    siem = acknowledging(indexers=3, cookie=None)
    blocked = delivered(siem, clock, events=1_000, runs=1, ack="required")
    assert not blocked.done
    assert "sticky by cookie" in blocked.last_words
    assert blocked.dead == 0


def test_a_restarted_server_counts_anew_and_nothing_is_lost(acknowledging: Collector, clock: FakeClock) -> None:
    siem = acknowledging(ack_delay_s=5)
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
