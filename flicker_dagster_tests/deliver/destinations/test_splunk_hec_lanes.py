"""Lanes into Splunk's collector: how lots drain into it whatever happens on the way."""

from __future__ import annotations

import gzip
import json

import pytest

from flicker_dagster.deliver.outcomes import Blocked, Delivered
from flicker_dagster.simulator.receivers.splunk_hec import HecToken
from flicker_dagster.simulator.server import Response
from flicker_dagster_tests.deliver.contract import (
    FakeClock,
    MemoryQueue,
    assert_nothing_is_lost_at_cuts,
    drain,
    event_of,
    lot_of,
    lots_of,
)
from flicker_dagster_tests.deliver.destinations.hec import TOKEN, Collector, Scripted, opened


def test_a_quarter_of_the_requests_is_taken_and_cut_off_and_no_event_is_lost(collector: Collector) -> None:
    siem = collector()
    assert_nothing_is_lost_at_cuts(siem, lambda: opened(siem.url))


def test_a_refused_token_keeps_everything_until_it_is_right(collector: Collector) -> None:
    siem = collector(tokens={"new-token": HecToken()})
    queue = MemoryQueue(lots_of(200))
    blocked = drain(queue, lambda: opened(siem.url), runs=2)
    assert (blocked.done, blocked.dead, siem.stored) == (False, 0, [])
    assert "Invalid token" in blocked.last_words
    assert "siem.yaml:7: token" in blocked.last_words
    drained = drain(queue, lambda: opened(siem.url, env={"HEC": "new-token"}))
    assert (drained.done, drained.delivered) == (True, 200)
    assert set(siem.counts().values()) == {1}


def test_one_event_that_is_too_large_for_the_server_costs_only_itself(collector: Collector) -> None:
    siem = collector(max_content_bytes=20_000)
    queue = MemoryQueue(lots_of(100, make=lambda n: event_of(n, detail="x" * (30_000 if n == 42 else 100))))
    drained = drain(queue, lambda: opened(siem.url, compression="none"))
    assert (drained.done, drained.delivered, drained.dead) == (True, 99, 1)
    assert json.loads(drained.letters.kept[0].event)["id"] == "e000042"
    assert set(siem.counts().values()) == {1}


@pytest.mark.parametrize(
    ("events", "keeps_before", "ack"), [(10_000, True, True), (2_000, True, False), (2_000, False, False)]
)
def test_each_hundredth_event_is_poison(collector: Collector, events: int, keeps_before: bool, ack: bool) -> None:
    clock = FakeClock()
    siem = collector(
        tokens={TOKEN: HecToken(ack=ack)}, poison="venom", keeps_before=keeps_before, ack_delay_s=1, clock=clock
    )
    lots = lots_of(events, size=500, make=lambda n: event_of(n, action="venom" if n % 100 == 7 else "login"))
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: opened(siem.url, clock), runs=20, clock=clock)
    assert (drained.done, drained.delivered, drained.dead) == (True, events * 99 // 100, events // 100)
    assert len(siem.counts()) == events * 99 // 100
    if ack or not keeps_before:
        assert set(siem.counts().values()) == {1}, "what the indexer confirmed is not sent again"


def test_poison_that_would_cost_the_others_never_leaves(collector: Collector) -> None:
    siem = collector()
    events = [event_of(n) for n in range(10)]
    events[3:3] = [b'""', b'{"broken": "\xff"}']
    drained = drain(MemoryQueue([lot_of(events)]), lambda: opened(siem.url))
    assert (drained.done, drained.delivered, drained.dead) == (True, 11, 1)
    assert siem.requests == 1


def test_a_missing_index_keeps_everything_and_says_what_to_change(collector: Collector) -> None:
    siem = collector(tokens={TOKEN: HecToken(indexes=frozenset({"main"}))})
    queue = MemoryQueue(lots_of(100))
    blocked = drain(queue, lambda: opened(siem.url, index="sass"))
    assert (blocked.done, blocked.dead) == (False, 0)
    assert "change index" in blocked.last_words
    assert drain(queue, lambda: opened(siem.url)).done


def test_a_body_that_something_in_between_refuses_is_no_reason_to_set_events_aside(collector: Collector) -> None:
    siem = Scripted(Response(400, b"<html>The plain HTTP request was sent to HTTPS port</html>"))
    blocked = drain(MemoryQueue(lots_of(10)), lambda: opened(siem.url))
    siem.close()
    assert (blocked.done, blocked.dead) == (False, 0)
    assert "check url" in blocked.last_words


def test_gzip_is_what_it_says() -> None:
    siem = Scripted(Response.json({"text": "Success", "code": 0}))
    destination = opened(siem.url)
    assert isinstance(destination.send(lot_of([event_of(0)])), Delivered)
    destination.close()
    siem.close()
    assert json.loads(gzip.decompress(siem.requests[0].body))["event"]["id"] == "e000000"


def test_a_blocked_answer_is_an_error_of_the_lane() -> None:
    siem = Scripted(Response(302, b"", [("Location", "https://elsewhere.example/login")]))
    destination = opened(siem.url)
    assert isinstance(destination.send(lot_of([event_of(0)])), Blocked)
    destination.close()
    siem.close()
    assert len(siem.requests) == 1, "no redirect is followed"


def test_near_its_capacity_the_collector_gets_fewer_requests_at_a_time_and_later_more_again(
    collector: Collector,
) -> None:
    siem = collector()
    siem.says += [24, 25, 24, 25]
    destination = opened(siem.url, max_in_flight=8)
    seen = [destination.limits.in_flight]
    for number in range(4 + 30):
        assert isinstance(destination.send(lot_of([event_of(number)])), Delivered)
        seen.append(destination.limits.in_flight)
    destination.close()
    assert seen[:5] == [8, 4, 2, 1, 1]
    assert seen[-1] == 4
