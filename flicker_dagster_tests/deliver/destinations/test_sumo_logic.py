"""Sumo Logic: lines, an address that is secret, and what its answers stand for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from flicker_dagster.config.destinations.sumo_logic import SumoLogicDestination
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Outcome, Rejected, Retry
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.outcome_rows import PAGE, Row, check, table, without
from flicker_dagster_tests.deliver.destinations.scenes import Answering, Scene, on, opened, sumo_logic


@pytest.fixture
def scene() -> Iterator[Scene]:
    with on(sumo_logic) as made:
        yield made


def sent(siem: Answering, lot: Any, **keys: Any) -> tuple[list[bytes], dict[str, str]]:
    """Lines and headers of one request."""
    siem.says(200)
    destination = opened({"type": "sumo_logic", "endpoint": f"{siem.url}/receiver/v1/http/code", **keys})
    assert isinstance(destination.send(lot), Delivered)
    destination.close()
    request = siem.requests[-1]
    body = gzip.decompress(request.body)
    assert body.endswith(b"\n")
    return body.split(b"\n")[:-1], request.headers


@table(
    *without(408),
    Row(200, Delivered),
    Row(200, Delivered, b'{"err'),
    Row(200, Blocked, PAGE, says="HTML"),
    Row(202, Ambiguous),
    Row(204, Ambiguous),
    Row(400, Rejected),
    Row(403, Blocked, says="credentials"),
    Row(408, Ambiguous, '{"message":"Request timed out"}', says="timed out"),
    Row(429, Retry, '{"message":"quota exceeded"}', says="quota"),
)
def test_what_an_answer_stands_for(scene: Scene, answering: Answering, row: Row) -> None:
    check(scene, answering, row)


def test_a_line_begins_with_the_time_and_ends_with_the_event(answering: Answering) -> None:
    lot = lot_of([b'{"n":1.10}', b'{\n  "a": "b c",\r\n "d": "\\n"}'])
    lines, headers = sent(
        answering, lot, category="saas/audit", host="acme", sumo_fields={"tenant": "acme", "env": "prod"}
    )
    begin = b'{"timestamp":"2026-11-23T19:59:00.00%dZ","event_uid":"%b","event":'
    assert lines == [
        begin % (0, lot.uids[0].encode()) + b'{"n":1.10}}',
        begin % (1, lot.uids[1].encode()) + b'{"a":"b c","d":"\\n"}}',
    ]
    assert headers["x-sumo-category"] == "saas/audit"
    assert headers["x-sumo-host"] == "acme"
    assert headers["x-sumo-name"] == "okta"
    assert headers["x-sumo-fields"] == "tenant=acme,env=prod"


@pytest.mark.parametrize("event", [b'{"a":"\n"}', b'{"a":1},"event_uid":"forged"', b"1 2", b"", b'{"a":"\xff\r"}'])
def test_what_is_no_json_of_one_line_stands_there_as_a_string(answering: Answering, event: bytes) -> None:
    lot = lot_of([event_of(1), event])
    lines, _ = sent(answering, lot)
    assert len(lines) == 2
    value = json.loads(lines[1])
    assert value["event"].encode("utf-8", "surrogateescape") == event
    assert value["event_uid"] == lot.uids[1]


def test_a_line_that_sumo_logic_would_cut_is_not_sent(scene: Scene) -> None:
    lot = lot_of([event_of(1), event_of(2, detail="x" * 65_536)])
    assert list(scene.open().unfit(lot)) == [1]
    assert scene.open(max_event_bytes=None).unfit(lot) == {}
    drained = drain(MemoryQueue([lot]), scene.open)
    assert (drained.done, drained.delivered, drained.dead) == (True, 1, 1)


def test_a_request_that_timed_out_there_goes_again_under_the_same_ids(scene: Scene) -> None:
    lot = lot_of([event_of(number) for number in range(10)])
    scene.receiver.times_out = 1
    drained = drain(MemoryQueue([lot]), scene.open, runs=3)
    assert drained.done
    counts = scene.receiver.counts()
    assert set(counts) == set(lot.uids)
    assert counts.total() == 15


def why(outcome: Outcome) -> str:
    return str(outcome)


SECRET = "ZaVnC4dhaV1-nobody-may-see-this=="


@pytest.mark.parametrize("written", ["${SUMO_URL}", "{url}", "{origin}/receiver/v1/http/${CODE}"])
@pytest.mark.parametrize("fault", [None, "cut_before_commit"])
def test_the_address_is_in_no_word(answering: Answering, written: str, fault: str | None) -> None:
    with on(sumo_logic) as scene:
        origin = scene.receiver.url if fault else answering.url
        url = f"{origin}/receiver/v1/http/{SECRET}"
        scene.receiver.code = SECRET
        env = {"SUMO_URL": url, "CODE": SECRET}
        answering.says(400, f'{{"message":"cannot take {url} nor {SECRET}"}}')
        if fault:
            scene.receiver.faults.plan(fault)
        endpoint = written.replace("{url}", url).replace("{origin}", origin)
        destination = scene.open(env=env, endpoint=endpoint)
        assert SECRET not in destination.describe() + why(destination.send(lot_of([event_of(1)])))
        destination.close()
        scene.receiver.close()
        nobody = scene.open(env={**env, "SUMO_URL": f"http://127.0.0.1:1/receiver/v1/http/{SECRET}"})
        assert SECRET not in why(nobody.send(lot_of([event_of(1)])))


def test_its_own_words_name_the_server_only() -> None:
    keys = {"type": "sumo_logic", "endpoint": "https://endpoint4.collection.sumologic.com/receiver/v1/http/abcdefgh"}
    assert opened(keys).describe() == "https://endpoint4.collection.sumologic.com/***"


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"sumo_fields": {"a": "b,c"}}, "sumo_fields.a"),
        ({"sumo_fields": {"a=b": "c"}}, "sumo_fields.a=b"),
        ({"category": "a\nb"}, "category"),
        ({"timeout_ms": 60_000}, "timeout_ms"),
    ],
)
def test_what_sumo_logic_would_not_take_is_a_fault(keys: dict[str, Any], fault: str) -> None:
    record = SumoLogicDestination(type="sumo_logic", endpoint="https://s", **keys)
    assert [key for key, _ in record.faults()] == [fault]


def test_a_line_is_json(answering: Answering) -> None:
    lines, _ = sent(answering, lot_of([event_of(1)]))
    assert json.loads(lines[0])["event"] == json.loads(event_of(1))
