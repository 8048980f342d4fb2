"""What Splunk's collector is sent: events, raw lines, sizes, and the address of both."""

from __future__ import annotations

import json

import pytest

from flicker_dagster.deliver.outcomes import Rejected
from flicker_dagster.simulator.server import Response
from flicker_dagster_tests.deliver.contract import (
    NOW_MS,
    FakeClock,
    MemoryQueue,
    assert_splits_unsent,
    drain,
    event_of,
    lot_of,
    lots_of,
)
from flicker_dagster_tests.deliver.destinations.hec import TOKEN, Collector, Scripted, opened, stored_from

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
    assert_splits_unsent(siem, opened(siem.url, max_batch_bytes=1_000))


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
