"""Sentinel: rows and their columns, the tokens, what Azure would truncate, and what its answers stand for."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from flicker_dagster.config.destinations.sentinel import SentinelDestination
from flicker_dagster.deliver.destinations.sentinel import pieces_of
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Rejected, Retry, Split
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.outcome_rows import COMMON, PAGE, Row, check, table
from flicker_dagster_tests.deliver.destinations.scenes import Answering, Scene, on, opened, sentinel

KEYS: dict[str, Any] = {
    "type": "sentinel",
    "endpoint": "https://e",
    "rule_id": "dcr-1",
    "stream": "Custom-A",
    "tenant_id": "t",
    "client_id": "c",
    "client_secret": "s",
}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with on(sentinel) as made:
        yield made


def rows(scene: Scene, siem: Answering, lot: Any, **keys: Any) -> list[dict[str, Any]]:
    """The rows of one request."""
    siem.says(204)
    scene.context = {"message_field": "action"}
    destination = scene.open(endpoint=siem.url, **keys)
    assert isinstance(destination.send(lot), Delivered)
    destination.close()
    return json.loads(gzip.decompress(siem.requests[-1].body))


@table(
    *COMMON,
    Row(204, Delivered),
    Row(200, Blocked, "{}", says="expected 204"),
    Row(200, Blocked, PAGE, says="HTML"),
    Row(202, Blocked),
    Row(207, Blocked),
    Row(400, Rejected),
    Row(400, Rejected, PAGE),
    Row(400, Rejected, '{"error":{"code":"InvalidPayload","message":"no array"}}', says="no array"),
    Row(400, Blocked, '{"error":{"code":"UnsupportedApiVersion"}}', says="check rule_id, stream and api_version"),
    Row(400, Blocked, '{"error":{"code":"InvalidStream","message":"not declared"}}'),
    Row(400, Rejected, '{"error":{"code":"InvalidPayload","message":"cannot read the stream"}}'),
    Row(403, Blocked, '{"error":{"code":"OperationFailed"}}', says="Monitoring Metrics Publisher.*30 minutes"),
    Row(404, Blocked, '{"error":{"code":"NotFound","message":"rule not found"}}', says="rule not found"),
    Row(413, Split, '{"error":{"code":"ContentLengthLimitExceeded"}}'),
    Row(500, Split, '{"error":{"message":"ReadyBody_ClientConnectionAbort"}}'),
    Row(429, Retry, '{"error":{"code":"TooManyRequests"}}', {"Retry-After": "11"}, after_s=11.0),
)
def test_what_an_answer_stands_for(scene: Scene, answering: Answering, row: Row) -> None:
    check(scene, answering, row)


def test_a_row_has_the_declared_columns_and_the_event_as_text(scene: Scene, answering: Answering) -> None:
    lot = lot_of([b'{"n":1.10,"action":"signed in"}', b'{"a":"\\ud800"}'], times_ms=[1_795_463_999_120, None])
    first, second = rows(scene, answering, lot, columns={"message": "What"})
    assert first == {
        "EventUid": lot.uids[0],
        "TimeGenerated": "2026-11-23T19:59:59.120Z",
        "EventTime": "2026-11-23T19:59:59.120Z",
        "Source": "okta",
        "What": "signed in",
        "Raw": '{"n":1.10,"action":"signed in"}',
    }
    assert second["TimeGenerated"] == "2026-11-23T20:00:00.000Z"
    assert "What" not in second
    assert second["Raw"] == '{"a":"\\ud800"}'


def test_columns_have_the_names_they_are_given(scene: Scene, answering: Answering) -> None:
    names = {"time": None, "event_time": "At", "uid": "Uid", "source": None, "raw": "Event", "raw_type": "dynamic"}
    lot = lot_of([b'{"n":1}'])
    assert rows(scene, answering, lot, columns=names) == [
        {"Uid": lot.uids[0], "At": "2026-11-23T19:59:00.000Z", "Event": {"n": 1}}
    ]


def test_what_is_not_one_value_is_text_in_a_dynamic_column(scene: Scene, answering: Answering) -> None:
    forged = b'1},{"EventUid":"forged"'
    (row,) = rows(scene, answering, lot_of([forged]), columns={"raw_type": "dynamic"})
    assert row["Raw"].encode() == forged


def test_a_request_has_an_id_of_its_own_that_a_repetition_shares(scene: Scene, answering: Answering) -> None:
    lot = lot_of([event_of(1), event_of(2)])
    for part, keys in ((lot, {}), (lot, {}), (lot.part([1]), {}), (lot, {"columns": {"uid": "Id2"}})):
        rows(scene, answering, part, **keys)
    ids = [request.headers["x-ms-client-request-id"] for request in answering.requests[-4:]]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert [str(uuid.UUID(each)) for each in ids] == ids


def test_an_event_that_azure_would_truncate_is_not_sent(scene: Scene) -> None:
    events = [event_of(1), event_of(2, detail="x" * 64_000), event_of(3, detail="x" * 130_000)]
    assert list(scene.open().unfit(lot_of(events))) == [1, 2]
    assert list(scene.open(columns={"overflow": ["Raw2"]}).unfit(lot_of(events))) == [2]


def test_what_is_beyond_a_column_goes_to_declared_further_ones_and_comes_together_again() -> None:
    streams = {"Custom-SaasAudit": {"EventUid": "string", "Raw": "string", "Raw2": "string", "Raw3": "string"}}
    with on(sentinel, streams=streams) as scene:
        events = [event_of(1), event_of(2, detail="Zoë " * 20_000), event_of(3, detail='"\\' * 40_000)]
        lot = lot_of(events)
        drained = drain(MemoryQueue([lot]), lambda: scene.open(columns={"overflow": ["Raw2", "Raw3"]}))
        assert (drained.done, drained.delivered, drained.dead) == (True, 3, 0)
        stored = {each.uid: each for each in scene.receiver.stored}
        for uid, event in zip(lot.uids, events):
            row = stored[uid].event
            assert "".join(row.get(name, "") for name in ("Raw", "Raw2", "Raw3")).encode() == event
            assert "truncated" not in stored[uid].beside["lost"].values()


@pytest.mark.parametrize("text", ["", "abc", "äöü" * 5, "€" * 9, "😀" * 7, "a😀b€cä" * 3])
@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_pieces_are_cut_between_characters(text: str, size: int) -> None:
    pieces = pieces_of(text.encode(), size)
    assert "".join(piece.decode() for piece in pieces) == text
    assert all(len(piece) <= size for piece in pieces)


def test_a_token_is_asked_for_in_the_clouds_own_way(scene: Scene) -> None:
    scene.context = {}
    assert scene.tokens is not None
    scene.tokens.asked.clear()
    scene.open().send(lot_of([event_of(1)]))
    (form,) = scene.tokens.asked
    assert form["scope"] == "https://monitor.azure.com//.default"
    assert form["grant_type"] == "client_credentials"


@pytest.mark.parametrize(
    ("cloud", "login", "audience"),
    [
        ("public", "https://login.microsoftonline.com", "https://monitor.azure.com"),
        ("us_government", "https://login.microsoftonline.us", "https://monitor.azure.us"),
        ("china", "https://login.partner.microsoftonline.cn", "https://monitor.azure.cn"),
    ],
)
def test_a_sovereign_cloud_has_its_own_tokens(cloud: Any, login: str, audience: str) -> None:
    auth = SentinelDestination(**KEYS, cloud=cloud).auth
    assert auth.token_url == f"{login}/t/oauth2/v2.0/token"
    assert auth.scope == f"{audience}//.default"


def test_a_token_that_was_revoked_is_replaced_within_the_request() -> None:
    with on(sentinel) as scene:
        assert scene.tokens is not None
        destination = scene.open()
        assert isinstance(destination.send(lot_of([event_of(1)])), Delivered)
        scene.tokens.revoke_all()
        assert isinstance(destination.send(lot_of([event_of(2)])), Delivered)
        destination.close()


def test_a_role_that_has_not_reached_everywhere_costs_no_event() -> None:
    with on(sentinel) as scene:
        scene.receiver.granted = False
        queue = MemoryQueue([lot_of([event_of(number) for number in range(20)])])
        assert "30 minutes" in drain(queue, scene.open, runs=2).last_words
        assert queue.waiting == 20
        scene.receiver.granted = True
        assert drain(queue, scene.open).done


def test_its_words_name_endpoint_stream_and_rule() -> None:
    assert opened(KEYS).describe() == "https://e (stream Custom-A of dcr-1)"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"raw": "1Raw"}, "is no column"),
        ({"raw": "R" * 46}, "is no column"),
        ({"raw": 'R"'}, "is no column"),
        ({"raw": "TenantId"}, "Azure's own"),
        ({"raw": "EventUid"}, "twice"),
        ({"raw_type": "dynamic", "overflow": ["Raw2"]}, "no JSON any more"),
    ],
)
def test_columns_that_a_table_cannot_have_are_faults(columns: dict[str, Any], words: str) -> None:
    ((_, told),) = SentinelDestination(**KEYS, columns=columns).faults()
    assert words in told
