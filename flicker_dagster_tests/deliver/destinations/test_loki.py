"""Loki: what is pushed, what of a push is refused, and what its answers stand for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from flicker_dagster.config.destinations.loki import LokiDestination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, PerItem, Rejected, Retry, Split
from flicker_dagster_tests.deliver.contract import NOW_MS, MemoryQueue, drain, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.outcome_rows import COMMON, PAGE, Row, check, table
from flicker_dagster_tests.deliver.destinations.scenes import Answering, Scene, loki, on, opened

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
STREAM = '{job="flicker", source="okta"}'


@pytest.fixture
def scene() -> Iterator[Scene]:
    with on(loki) as made:
        yield made


def pushed(siem: Answering, lot: Any, **keys: Any) -> tuple[dict[str, str], list[list[Any]], dict[str, str]]:
    """Labels, values and headers of one push."""
    siem.says(204)
    destination = opened({"type": "loki", "endpoint": siem.url, **keys}, env={"TENANT": "acme"})
    assert isinstance(destination.send(lot), Delivered)
    destination.close()
    request = siem.requests[-1]
    (stream,) = json.loads(gzip.decompress(request.body))["streams"]
    return stream["stream"], stream["values"], request.headers


@table(
    *COMMON,
    Row(204, Delivered),
    Row(200, Blocked, says="ingestion is blocked"),
    Row(260, Blocked, "blocked", says="ingestion is blocked"),
    Row(200, Blocked, PAGE, says="HTML"),
    Row(202, Blocked),
    Row(403, Blocked, says="credentials"),
    Row(401, Blocked, "no org id", says="no org id"),
    Row(400, Rejected),
    Row(400, Rejected, PAGE),
    Row(400, Rejected, "loghttp.PushRequest.Streams: decode slice", says="decode slice"),
    Row(
        400, Rejected, f"max entry size '262144' bytes exceeded for stream '{STREAM}' while adding", says="while adding"
    ),
    Row(400, Rejected, f"entry for stream '{STREAM}' has timestamp too old: 2025-01-01T00:00:00Z", says="too old"),
    Row(400, Blocked, f"entry for stream '{STREAM}' has 16 label names; limit 15", says="16 label names.*check labels"),
    Row(400, Blocked, f"stream '{STREAM}' has label value too long: 'x'", says="label value too long"),
    Row(400, Blocked, "error at least one label pair is required per stream"),
    Row(400, Blocked, f"stream '{STREAM}' includes structured metadata, but this feature is disallowed", says="uid_in"),
    Row(429, Retry, "Ingestion rate limit exceeded for user acme (limit: 4194304 bytes/sec)", says="rate limit"),
    Row(429, Retry, "Maximum active stream limit exceeded, reduce the number of active streams"),
    Row(500, Retry, "at least 2 live replicas required, could only find 1"),
    Row(500, Split, "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)"),
    Row(413, Split, "Request entity too large"),
)
def test_what_an_answer_stands_for(scene: Scene, answering: Answering, row: Row) -> None:
    check(scene, answering, row)


def test_lines_are_the_events_in_the_order_of_time_with_their_ids_beside(answering: Answering) -> None:
    events = [b'{"n":1.10, "a":"Z\xc3\xbc"}', b'{\n"b":"\\ud800"}', b"[1]"]
    lot = lot_of(events, times_ms=[NOW_MS + 5, NOW_MS - 1, None])
    labels, values, headers = pushed(answering, lot, labels={"job": "saas", "env": "prod"}, tenant="${TENANT}")
    assert labels == {"job": "saas", "env": "prod", "source": "okta"}
    assert headers["x-scope-orgid"] == "acme"
    assert [(int(at), line.encode(), beside) for at, line, beside in values] == [
        (ms * 1_000_000, events[index], {"event_uid": lot.uids[index]})
        for index, ms in ((1, NOW_MS - 1), (2, NOW_MS), (0, NOW_MS + 5))
    ]


def test_the_id_may_stand_in_the_line(answering: Answering) -> None:
    lot = lot_of([b'{"n":1.10}'])
    labels, values, _ = pushed(answering, lot, uid_in="line", source_label=None)
    assert labels == {"job": "flicker"}
    assert values == [[str((NOW_MS - 60_000) * 1_000_000), f'{{"event_uid":"{lot.uids[0]}","event":{{"n":1.10}}}}']]


def test_what_is_not_one_value_is_text_in_such_a_line(answering: Answering) -> None:
    forged = b'1,"event_uid":"forged"'
    _, values, _ = pushed(answering, lot_of([forged]), uid_in="line")
    assert json.loads(values[0][1])["event"].encode() == forged


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("", "/loki/api/v1/push"),
        ("/", "/loki/api/v1/push"),
        ("/insert", "/insert/loki/api/v1/push"),
        ("/loki/api/v1/push", "/loki/api/v1/push"),
    ],
)
def test_the_address_is_completed(answering: Answering, endpoint: str, path: str) -> None:
    answering.says(204)
    opened({"type": "loki", "endpoint": answering.url + endpoint}).send(lot_of([event_of(1)]))
    assert answering.requests[-1].path == path


def test_a_line_that_loki_would_discard_is_not_sent(scene: Scene) -> None:
    lot = lot_of([event_of(1), event_of(2, detail="x" * 262_144)])
    assert list(scene.open().unfit(lot)) == [1]
    nearly = lot_of([b'"%b"' % (b"x" * 262_142)])
    assert scene.open().unfit(nearly) == {}
    assert list(scene.open(uid_in="line").unfit(nearly)) == [0]


def test_entries_that_are_too_old_are_set_aside_in_lokis_words_and_the_others_are_stored_once(scene: Scene) -> None:
    ages_ms = [1_000, 8 * DAY_MS, 2_000, 9 * DAY_MS, 9 * DAY_MS + 100]
    lot = lot_of([event_of(number) for number in range(5)], times_ms=[NOW_MS - age for age in ages_ms])
    drained = drain(MemoryQueue([lot]), scene.open)
    assert (drained.done, drained.delivered, drained.dead) == (True, 2, 3)
    assert {letter.event for letter in drained.letters.kept} == {lot.events[index] for index in (1, 3, 4)}
    assert all("has timestamp too old: 2026-11-1" in letter.reason for letter in drained.letters.kept)
    assert scene.receiver.counts() == {lot.uids[0]: 1, lot.uids[2]: 1}
    assert scene.receiver.requests == 1


def test_entries_too_far_behind_their_stream_are_set_aside_however_many_loki_names(scene: Scene) -> None:
    newest = lot_of([event_of(0)], times_ms=[NOW_MS - 1_000], seq=0)
    ages_ms = [30_000, *(2 * HOUR_MS + 1_000 * number for number in range(25)), 40_000]
    lot = lot_of([event_of(n + 1) for n in range(27)], times_ms=[NOW_MS - age for age in ages_ms], seq=1)
    drained = drain(MemoryQueue([newest, lot]), lambda: scene.open(max_in_flight=1))
    assert (drained.done, drained.delivered, drained.dead) == (True, 3, 25)
    assert all("too far behind" in letter.reason for letter in drained.letters.kept)
    assert scene.receiver.counts() == {newest.uids[0]: 1, lot.uids[0]: 1, lot.uids[26]: 1}
    assert scene.receiver.requests == 2


def test_what_was_too_much_for_a_stream_goes_again_alone() -> None:
    with on(loki, stream_burst_bytes=1_000) as scene:
        lot = lot_of([event_of(number) for number in range(10)])
        drained = drain(MemoryQueue([lot]), scene.open, runs=5)
        assert (drained.done, drained.delivered, drained.dead) == (True, 10, 0)
        assert scene.receiver.counts() == dict.fromkeys(lot.uids, 1)
        assert scene.receiver.requests == 4
        outcome = scene.open().send(lot)
        assert isinstance(outcome, PerItem)
        assert [type(item) for item in outcome.items] == [Delivered] * 3 + [Retry] * 7


def test_where_the_words_leave_it_open_halves_find_the_guilty(scene: Scene) -> None:
    ages_ms = [1_000, 8 * DAY_MS, 2_000, 3_000]
    lot = lot_of([event_of(number) for number in range(4)], times_ms=[NOW_MS - age for age in ages_ms])
    full = scene.receiver.refusal
    scene.receiver.refusal = lambda status, says: full(status, says if len(says) > 400 else "write operation failed")
    drained = drain(MemoryQueue([lot]), scene.open)
    assert (drained.done, drained.delivered, drained.dead) == (True, 3, 1)
    assert drained.letters.kept[0].event == lot.events[1]
    assert set(scene.receiver.counts()) == {lot.uids[0], lot.uids[2], lot.uids[3]}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"blocked": 260}, "260"),
        ({"blocked": 200}, "expected 204"),
        ({"structured_metadata": False}, "uid_in"),
        ({"max_labels": 1}, "label names"),
    ],
)
def test_a_loki_that_is_not_set_up_for_it_costs_no_event(scene: Scene, setting: dict[str, Any], says: str) -> None:
    for name, value in setting.items():
        setattr(scene.receiver, name, value)
    queue = MemoryQueue([lot_of([event_of(number) for number in range(20)])])
    drained = drain(queue, scene.open, runs=2)
    assert (drained.delivered, drained.dead, queue.waiting) == (0, 0, 20)
    assert says in drained.last_words


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"labels": {"user-id": "x"}}, "labels.user-id"),
        ({"labels": {"job": ""}}, "labels.job"),
        ({"labels": {"job": "x" * 2_049}}, "labels.job"),
        ({"labels": {"source": "x"}}, "source_label"),
        ({"labels": {}, "source_label": None}, "labels"),
        ({"labels": {f"l{number}": "x" for number in range(15)}}, "labels"),
    ],
)
def test_labels_that_loki_would_refuse_are_faults_of_the_configuration(keys: dict[str, Any], fault: str) -> None:
    record = LokiDestination(type="loki", endpoint="http://loki", **keys)
    assert [key for key, _ in record.faults()] == [fault]
