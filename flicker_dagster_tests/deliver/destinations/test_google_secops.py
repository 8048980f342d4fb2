"""Google SecOps: logs in base64, byte-identical repetitions, and what its answers stand for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from flicker_dagster.config.destinations.google_secops import GoogleSecopsDestination
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Rejected, Retry, Split
from flicker_dagster_tests.deliver.contract import NOW_MS, MemoryQueue, drain, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.outcome_rows import COMMON, PAGE, Row, check, table
from flicker_dagster_tests.deliver.destinations.scenes import Answering, Scene, google_secops, on, opened

TOKEN = {"type": "bearer", "token": "t"}
KEYS: dict[str, Any] = {
    "type": "google_secops",
    "project": "p",
    "instance": "i",
    "forwarder": "f",
    "log_type": "OKTA",
    "auth": TOKEN,
}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with on(google_secops) as made:
        yield made


def error(code: int, status: str, message: str) -> str:
    return json.dumps({"error": {"code": code, "status": status, "message": message}})


@table(
    *COMMON,
    Row(200, Delivered, "{}"),
    Row(200, Delivered),
    Row(200, Delivered, b'{"err'),
    Row(200, Ambiguous, PAGE, says="HTML"),
    Row(202, Ambiguous),
    Row(204, Ambiguous),
    Row(400, Rejected),
    Row(400, Rejected, PAGE),
    Row(400, Rejected, error(400, "INVALID_ARGUMENT", "Invalid value, Base64 decoding failed"), says="Base64"),
    Row(400, Split, error(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 1000000 bytes.")),
    Row(400, Blocked, error(400, "INVALID_ARGUMENT", "unknown log type FOO"), says="check log_type"),
    Row(400, Blocked, error(400, "INVALID_ARGUMENT", "forwarder does not exist")),
    Row(403, Blocked, error(403, "PERMISSION_DENIED", "Permission denied"), says="Permission denied.*credentials"),
    Row(404, Blocked, error(404, "NOT_FOUND", "Requested entity was not found.")),
    Row(409, Retry, error(409, "ABORTED", "try again")),
    Row(429, Retry, error(429, "RESOURCE_EXHAUSTED", "Quota exceeded")),
    Row(503, Retry, error(503, "UNAVAILABLE", "The service is currently unavailable.")),
)
def test_what_an_answer_stands_for(scene: Scene, answering: Answering, row: Row) -> None:
    check(scene, answering, row)


def sent(siem: Answering, lot: Any, **keys: Any) -> dict[str, Any]:
    siem.says(200, "{}")
    destination = opened({**KEYS, "endpoint": siem.url, **keys})
    assert isinstance(destination.send(lot), Delivered)
    destination.close()
    return json.loads(siem.requests[-1].body)["inline_source"]


@pytest.mark.parametrize("event", [b'{"n":1.10}', b'{\n"a":"\xff\x00"}', b'{"a":"\\ud800"}'])
def test_a_log_holds_the_event_byte_for_byte_with_its_times_and_labels(answering: Answering, event: bytes) -> None:
    lot = lot_of([event], times_ms=[NOW_MS - 1])
    source = sent(answering, lot, namespace="prod", labels={"tenant": "acme"})
    assert source["forwarder"] == "projects/p/locations/us/instances/i/forwarders/f"
    (log,) = source["logs"]
    assert base64.b64decode(log.pop("data")) == event
    assert log == {
        "log_entry_time": "2026-11-23T19:59:59.999Z",
        "collection_time": "2026-11-23T20:00:00.000Z",
        "environment_namespace": "prod",
        "labels": {"event_uid": {"value": lot.uids[0]}, "tenant": {"value": "acme"}},
    }
    assert answering.requests[-1].path == "/v1/projects/p/locations/us/instances/i/logTypes/OKTA/logs:import"


def test_collection_is_never_before_the_event(answering: Answering) -> None:
    (log,) = sent(answering, lot_of([event_of(1)], times_ms=[NOW_MS + 5_000]))["logs"]
    assert log["log_entry_time"] == log["collection_time"] == "2026-11-23T20:00:05.000Z"


def test_a_forwarder_may_be_named_in_full(answering: Answering) -> None:
    name = "projects/q/locations/eu/instances/j/forwarders/g"
    assert sent(answering, lot_of([event_of(1)]), forwarder=name)["forwarder"] == name


def test_an_event_that_is_larger_than_a_request_in_base64_is_not_sent(scene: Scene) -> None:
    lot = lot_of([event_of(1), event_of(2, detail="x" * 760_000), event_of(3, detail="x" * 700_000)])
    assert list(scene.open().unfit(lot)) == [1]


def test_lots_are_kept_to_what_base64_leaves_room_for(scene: Scene) -> None:
    limits = scene.open().limits
    assert limits.events == 1_000
    assert limits.bytes * 4 / 3 < 1_000_000


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"log_types": frozenset()}, "log type"),
        ({"forwarders": frozenset()}, "forwarder"),
        ({"parent": "p"}, "404"),
        ({"permitted": False}, "chronicle.logs.import"),
    ],
)
def test_an_instance_that_is_not_set_up_for_it_costs_no_event(setting: dict[str, Any], says: str) -> None:
    with on(google_secops) as scene:
        for name, value in setting.items():
            setattr(scene.receiver, name, value)
        queue = MemoryQueue([lot_of([event_of(number) for number in range(20)])])
        drained = drain(queue, scene.open, runs=2)
        assert (drained.delivered, drained.dead, queue.waiting) == (0, 0, 20)
        assert says in drained.last_words


@pytest.mark.parametrize(
    ("keys", "url"),
    [
        ({"region": "eu"}, "https://eu-chronicle.googleapis.com/v1/projects/p/locations/eu/instances/i"),
        (
            {"region": "eu", "endpoint": "https://chronicle.eu.rep.googleapis.com/", "api_version": "v1beta"},
            "https://chronicle.eu.rep.googleapis.com/v1beta/projects/p/locations/eu/instances/i",
        ),
    ],
)
def test_a_region_has_a_host_of_its_own(keys: dict[str, Any], url: str) -> None:
    record = GoogleSecopsDestination.model_validate({**KEYS, **keys})
    assert record.import_url == f"{url}/logTypes/OKTA/logs:import"


def test_its_words_name_origin_log_type_and_instance() -> None:
    assert opened(KEYS).describe() == (
        "https://us-chronicle.googleapis.com (log type OKTA of projects/p/locations/us/instances/i)"
    )


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"labels": {"event_uid": "x"}}, "labels.event_uid"),
        ({"forwarder": "forwarders/f"}, "forwarder"),
        ({"auth": {"type": "google_service_account"}}, "auth.key_file"),
    ],
)
def test_keys_that_cannot_be_right_are_faults(keys: dict[str, Any], fault: str) -> None:
    record = GoogleSecopsDestination.model_validate({**KEYS, **keys})
    assert [key for key, _ in record.all_faults()] == [fault]
