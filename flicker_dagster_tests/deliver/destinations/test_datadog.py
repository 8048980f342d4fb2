"""Datadog: what is sent, what is too much for it, and what its answers stand for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from flicker_dagster.config.destinations.datadog import DatadogDestination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Rejected, Split
from flicker_dagster_tests.deliver.contract import NOW_MS, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.outcome_rows import COMMON, PAGE, Row, check, table
from flicker_dagster_tests.deliver.destinations.scenes import Answering, Scene, datadog, on, opened

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with on(datadog) as made:
        yield made


def sent(siem: Answering, lot: Any, **keys: Any) -> list[dict[str, Any]]:
    """The logs of one request."""
    siem.says(202, "{}")
    context = {name: keys.pop(name) for name in ("message_field", "vendor") if name in keys}
    destination = opened({"type": "datadog", "endpoint": siem.url, "api_key": "k", **keys}, **context)
    assert isinstance(destination.send(lot), Delivered)
    destination.close()
    request = siem.requests[-1]
    return json.loads(gzip.decompress(request.body))


@table(
    *COMMON,
    Row(202, Delivered, "{}"),
    Row(202, Delivered),
    Row(202, Delivered, b'{"err'),
    Row(200, Blocked, "{}", says="expected 202"),
    Row(200, Blocked, PAGE, says="HTML"),
    Row(204, Blocked),
    Row(207, Blocked),
    Row(403, Blocked, '{"errors":[{"status":"403","title":"Forbidden"}]}', says="Forbidden.*credentials"),
    Row(400, Rejected, '{"errors":[{"status":"400","title":"Bad Request","detail":"no JSON"}]}', says="no JSON"),
    Row(400, Rejected, PAGE),
    Row(413, Split, '{"errors":[{"status":"413","title":"Request Entity Too Large"}]}'),
)
def test_what_an_answer_stands_for(scene: Scene, answering: Answering, row: Row) -> None:
    check(scene, answering, row)


def test_a_worker_in_between_may_acknowledge_with_another_status(scene: Scene, answering: Answering) -> None:
    check(scene, answering, Row(200, Delivered), success_status=[200, 202])


def test_a_log_says_whose_it_is_and_keeps_the_event_under_one_key(answering: Answering) -> None:
    event = b'{"status":"error","n":1.10,"host":"h","what":"signed in"}'
    lot = lot_of([event])
    (log,) = sent(
        answering, lot, tags={"env": "prod", "beta": ""}, hostname="acme.okta.com", vendor="okta", message_field="what"
    )
    assert json.loads(log.pop("message")) == {"message": "signed in", "event": json.loads(event)}
    assert log == {
        "ddsource": "okta",
        "ddtags": "env:prod,beta",
        "hostname": "acme.okta.com",
        "service": "saas-audit",
        "event_uid": lot.uids[0],
        "event_time": "2026-11-23T19:59:00.000Z",
        "timestamp": NOW_MS - 60_000,
    }


@pytest.mark.parametrize(
    "event", [b'{"n":1.10,"a":"\\ud800"}', b'{"a":"\x01\n"}', b'{"a":"Z\xc3\xbc"}', b'{"a":1,"a":2}', b"[1E999]"]
)
def test_the_event_stands_in_the_message_byte_for_byte(answering: Answering, event: bytes) -> None:
    (log,) = sent(answering, lot_of([event]))
    assert log["message"].encode() == b'{"event":' + event + b"}"


def test_what_is_not_one_value_is_text_in_the_message(answering: Answering) -> None:
    forged = b'1,"message":"forged"'
    (log,) = sent(answering, lot_of([forged]))
    assert json.loads(log["message"]) == {"event": forged.decode()}


def test_bytes_that_are_no_utf_8_come_back_as_python_reads_them(answering: Answering) -> None:
    event = b'{"a":"\xff"}'
    (log,) = sent(answering, lot_of([event]))
    assert log["message"].encode("utf-8", "surrogateescape") == b'{"event":' + event + b"}"


@pytest.mark.parametrize(
    ("age_ms", "stamped"),
    [(0, True), (18 * HOUR_MS, True), (18 * HOUR_MS + 1, False), (-2 * HOUR_MS, True), (-2 * HOUR_MS - 1, False)],
)
def test_a_time_out_of_datadogs_window_stands_beside(answering: Answering, age_ms: int, stamped: bool) -> None:
    (log,) = sent(answering, lot_of([event_of(1)], times_ms=[NOW_MS - age_ms]))
    assert ("timestamp" in log) is stamped
    assert log["event_time"].startswith("2026-11-2")


def test_an_event_that_datadog_would_truncate_is_not_sent(scene: Scene) -> None:
    lot = lot_of([event_of(1), event_of(2, detail="x" * 1_000_000), event_of(3, detail='"' * 400_000)])
    destination = scene.open()
    assert list(destination.unfit(lot)) == [1, 2]
    assert "of one event" in destination.unfit(lot)[1]


def test_a_body_above_the_limit_is_cut_without_being_sent(scene: Scene) -> None:
    before = scene.receiver.requests
    outcome = scene.open(max_batch_bytes=4_096).send(lot_of([event_of(n) for n in range(10)]))
    assert isinstance(outcome, Split)
    assert scene.receiver.requests == before


def test_the_sites_host_is_spoken_to() -> None:
    keys = {"type": "datadog", "api_key": "k", "site": "us5.datadoghq.com"}
    assert opened(keys).describe() == "https://http-intake.logs.us5.datadoghq.com/api/v2/logs"


def test_tags_with_commas_are_faults() -> None:
    record = DatadogDestination(type="datadog", api_key="k", tags={"team": "a,b"})
    assert [key for key, _ in record.faults()] == ["tags.team"]
