"""Splunk's collector as a destination: what it is sent, and how lots drain into it whatever happens on the way."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.destinations.splunk_hec import SplunkHecDestination
from flicker_dagster.config.records import Tls
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Rejected, Split
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.receivers.api import Stored
from flicker_dagster.simulator.receivers.splunk_hec import HecToken, SplunkHecReceiver
from flicker_dagster.simulator.server import Response
from flicker_dagster_tests.deliver.contract import NOW_MS, FakeClock, MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.hec import TOKEN, Scripted, opened
from flicker_dagster_tests.tls import Authority

Collector = Callable[..., SplunkHecReceiver]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Opens collectors that are closed with the test."""
    opened_ones: list[SplunkHecReceiver] = []

    def open_one(**keys: Any) -> SplunkHecReceiver:
        opened_ones.append(SplunkHecReceiver(**{"clock": FakeClock()} | keys))
        return opened_ones[-1]

    yield open_one
    for siem in opened_ones:
        siem.close()


def stored_from(siem: SplunkHecReceiver, lot: Lot, **keys: Any) -> list[Stored]:
    destination = opened(siem.url, siem.clock, **keys)
    assert isinstance(destination.send(lot), Delivered)
    destination.close()
    return siem.stored


# -- what is sent


def test_each_event_goes_byte_for_byte_with_its_id_its_time_and_its_metadata(collector: Collector) -> None:
    lot = lot_of([event_of(0), event_of(1)], times_ms=[1_795_464_000_007, None])
    stored = stored_from(
        collector(),
        lot,
        index="${INDEX}",
        sourcetype="okta:im2",
        host="acme.okta.com",
        indexed_fields={"env": "prod", "team": ["a", "b"]},
        env={"INDEX": "saas"},
    )
    assert [each.event for each in stored] == lot.events
    assert [each.uid for each in stored] == lot.uids
    assert [each.beside["time_ms"] for each in stored] == [1_795_464_000_007, NOW_MS]
    assert stored[0].beside["fields"] == {"event_uid": lot.uids[0], "env": "prod", "team": ["a", "b"]}
    wanted = {"index": "saas", "sourcetype": "okta:im2", "source": "okta", "host": "acme.okta.com"}
    assert {name: stored[0].beside[name] for name in wanted} == wanted


def test_time_is_seconds_with_three_decimals_and_no_rounding() -> None:
    siem = Scripted(Response.json({"text": "Success", "code": 0}))
    times = [1_700_000_000_000, 1_700_000_000_001, 1_795_464_000_999, 946_684_800_050]
    destination = opened(siem.url, compression="none")
    destination.send(lot_of([event_of(n) for n in range(4)], times_ms=times))
    destination.close()
    siem.close()
    begins = [line.split(b",")[0] for line in siem.requests[0].body.split(b"\n")]
    assert begins == [
        b'{"time":1700000000.000',
        b'{"time":1700000000.001',
        b'{"time":1795464000.999',
        b'{"time":946684800.050',
    ]


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_the_same_part_of_a_lot_always_makes_the_same_bytes(compression: str) -> None:
    siem = Scripted(Response.json({"text": "Success", "code": 0}))
    lot = lot_of([event_of(n) for n in range(50)])
    for seconds in (0, 3_600):
        destination = opened(siem.url, FakeClock(NOW_MS / 1000 + seconds), compression=compression)
        destination.send(lot.part(range(10, 20)))
        destination.close()
    siem.close()
    first, second = siem.requests
    assert first.body == second.body
    assert (first.headers.get("content-encoding") == "gzip") is (compression == "gzip")
    assert first.headers["authorization"] == f"Splunk {TOKEN}"
    assert first.headers["x-splunk-request-channel"] != second.headers["x-splunk-request-channel"]


@pytest.mark.parametrize(
    ("event", "as_sent"),
    [
        (b'{"a":1}', b'{"a":1}'),
        (b'{"a":1,"a":2}', b'{"a":1,"a":2}'),
        (b'{"n":123456789012345678901234567890}', b'{"n":123456789012345678901234567890}'),
        (b'{\n  "a": 1\n}', b'{\n  "a": 1\n}'),
        (b'"a line of text"', b'"a line of text"'),
        (b"[1,2]", b'"[1,2]"'),
        (b"17", b'"17"'),
        (b'{"a":NaN}', b'"{\\"a\\":NaN}"'),
        (b'{"a":"\xff"}', b'"{\\"a\\":\\"\\\\xff\\"}"'),
        (rb'{"a":"\ud83d"}', rb'"{\"a\":\"\\ud83d\"}"'),
        (b'{"a":"x\x01y"}', rb'"{\"a\":\"x\u0001y\"}"'),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, None),
    ],
)
def test_an_event_that_strict_parsers_refuse_goes_as_text_and_its_neighbours_as_they_are(
    collector: Collector, event: bytes, as_sent: bytes | None
) -> None:
    lot = lot_of([event_of(0), event, event_of(1)])
    stored = stored_from(collector(), lot)
    assert [stored[0].event, stored[2].event] == [event_of(0), event_of(1)]
    assert stored[1].event == as_sent if as_sent else json.loads(stored[1].event) == event.decode()


@pytest.mark.parametrize("event", [b"null", b'""', b'"  "', b'" \\n\\u0020"', b""])
def test_blank_events_are_unfit_and_never_sent(event: bytes) -> None:
    lot = lot_of([event_of(0), event, event_of(1)])
    assert list(opened("http://127.0.0.1:1").unfit(lot)) == [1]


def test_an_event_above_the_largest_is_unfit() -> None:
    lot = lot_of([event_of(0), event_of(1, detail="x" * 5_000)])
    (reason,) = opened("http://127.0.0.1:1", max_event_bytes=5_000).unfit(lot).values()
    assert reason.endswith("and max_event_bytes is 5000")


def test_a_body_above_the_limit_is_split_unsent_and_a_lone_event_above_it_is_tried(collector: Collector) -> None:
    siem = collector()
    destination = opened(siem.url, max_batch_bytes=1_000)
    lot = lot_of([event_of(n, detail="x" * 2_000) for n in range(2)])
    assert isinstance(destination.send(lot), Split)
    assert siem.requests == 0
    assert isinstance(destination.send(lot.part([0])), Delivered)
    destination.close()


def test_lots_within_the_limits_make_bodies_within_the_limit(collector: Collector) -> None:
    siem = collector(max_content_bytes=50_000)
    queue = MemoryQueue(lots_of(2_000, size=1_000))
    drained = drain(queue, lambda: opened(siem.url, compression="none", max_batch_bytes=50_000, max_batch_events=100))
    assert drained.done
    assert list(drained.reports[0].statuses) == ["HTTP 200 OK, received, not indexed"], "none was split or refused"
    assert siem.inflated_bytes / siem.requests > 25_000


@pytest.mark.parametrize(
    ("configured", "path"),
    [
        ("{url}", "/services/collector/event"),
        ("{url}/", "/services/collector/event"),
        ("{url}/services/collector", "/services/collector/event"),
        ("{url}/services/collector/event/1.0", "/services/collector/event"),
        ("{url}/services/collector/raw", "/services/collector/event"),
        ("{url}/insert/splunk", "/insert/splunk/services/collector/event"),
    ],
)
def test_the_address_may_be_the_servers_or_the_collectors(configured: str, path: str) -> None:
    siem = Scripted(Response.json({"text": "Success", "code": 0}))
    destination = opened("${AT}", env={"AT": configured.format(url=siem.url) + "?tenant=1"})
    destination.send(lot_of([event_of(0)]))
    destination.close()
    siem.close()
    assert (siem.requests[0].path, siem.requests[0].query) == (path, {"tenant": "1"})


# -- lines


def test_raw_lines_carry_time_and_id_in_front_and_metadata_in_the_address(collector: Collector) -> None:
    siem = collector()
    lot = lot_of([event_of(0), b'{\n "a": 1\n}'], times_ms=[1_795_464_000_007, None])
    stored = stored_from(siem, lot, format="raw", index="saas", sourcetype="okta:im2")
    assert [each.event for each in stored] == [event_of(0), b'{"a":1}']
    assert [each.uid for each in stored] == lot.uids
    assert [each.beside["stamp"] for each in stored] == ["2026-11-23T20:00:00.007Z", "2026-11-23T20:00:00.000Z"]
    assert (stored[0].beside["index"], stored[0].beside["source"]) == ("saas", "okta")


def test_bare_raw_lines_are_the_events_and_nothing_else(collector: Collector) -> None:
    lot = lot_of([event_of(0), event_of(1)])
    stored = stored_from(collector(), lot, format="raw", raw_lines="bare", compression="none")
    assert [each.event for each in stored] == lot.events


def test_what_is_no_line_is_unfit_for_raw_and_refused_if_sent_all_the_same(collector: Collector) -> None:
    lot = lot_of([event_of(0), b'{"a":"x\ny"}'])
    destination = opened(collector().url, format="raw")
    assert list(destination.unfit(lot)) == [1]
    assert isinstance(destination.send(lot), Rejected)
    destination.close()


# -- the record


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        ({"indexed_fields": {"event_uid": "x"}}, ["indexed_fields"]),
        ({"indexed_fields": {"env": "x"}, "format": "raw"}, ["indexed_fields"]),
        ({"ack_expires_ms": 5_000, "ack_ask_after_ms": 5_000}, ["ack_expires_ms"]),
        ({"indexed_fields": {"env": "x"}}, []),
    ],
)
def test_keys_that_contradict_each_other_are_named(keys: dict[str, Any], at: list[str]) -> None:
    config = SplunkHecDestination(type="splunk_hec", url="https://s", token="t", **keys)
    assert [key for key, _ in config.faults()] == at


def test_nothing_is_resolved_before_the_first_request() -> None:
    destination = opened("http://127.0.0.1:1", token="${NOBODY_SET_THIS}")
    assert destination.describe() == "http://127.0.0.1:1"
    with pytest.raises(SecretUnset, match="NOBODY_SET_THIS"):
        destination.send(lot_of([event_of(0)]))


def test_an_address_that_is_none_blocks() -> None:
    with pytest.raises(DestinationBlocked, match="okta"):
        opened("${AT}", env={"AT": "not an address"}).send(lot_of([event_of(0)]))


def test_tls_trusts_the_configured_authority_and_shows_the_client_certificate(
    collector: Collector, tmp_path: Path
) -> None:
    siem = collector()
    ours, other = Authority.in_directory(tmp_path), Authority.in_directory(tmp_path, "other")
    url = ours.protect(siem.server, demand_client=True)
    client = {"cert_path": ours.client_cert_path, "key_path": ours.client_key_path}
    kinds = []
    for tls in ({"ca_cert_path": ours.ca_path, **client}, {"ca_cert_path": other.ca_path, **client}):
        destination = opened(url, tls=Tls(**tls))
        kinds.append(type(destination.send(lot_of([event_of(0)]))))
        destination.close()
    assert kinds == [Delivered, Blocked]


def test_an_answer_that_never_ends_is_left(collector: Collector) -> None:
    siem = collector()
    siem.faults.plan("endless", count=2)
    destination = opened(siem.url)
    assert isinstance(destination.send(lot_of([event_of(0)])), Ambiguous)
    destination.close()
    destination = opened(siem.url, ack="off")
    assert isinstance(destination.send(lot_of([event_of(0)])), Delivered)
    destination.close()


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


# -- whole deliveries


def test_a_quarter_of_the_requests_is_taken_and_cut_off_and_no_event_is_lost(collector: Collector) -> None:
    siem = collector()
    siem.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(2_000, size=50)
    drained = drain(MemoryQueue(lots), lambda: opened(siem.url), runs=100)
    assert (drained.done, drained.delivered, drained.dead) == (True, 2_000, 0)
    assert set(siem.counts()) == {uid for lot in lots for uid in lot.uids}
    assert len(siem.stored) > 2_000, "what was taken and not answered came again, under the same ids"


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
