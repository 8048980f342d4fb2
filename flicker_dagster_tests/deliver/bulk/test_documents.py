"""Documents of `_bulk`: what they hold, and that the event comes back byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flicker_dagster.deliver.bulk.documents import Documents, index_of
from flicker_dagster.deliver.normalise import normaliser_of
from flicker_dagster.deliver.normalise.ecs import EcsTable
from flicker_dagster.deliver.normalise.tables import table
from flicker_dagster.lots import Lot
from flicker_dagster_tests.deliver.contract import NOW_MS, event_of, lot_of

STREAM = {"type": "logs", "dataset": "okta.system", "namespace": "prod"}
HOSTILE = [
    b'{"a":1}',
    b'{"a":"quote \\" backslash \\\\ slash / \\u0000 end"}',
    b'{\n  "a" : [1,\r\n2],\t"b": {}\n}',
    '{"a":"Zoë 日本 😀 \u2028"}'.encode(),
    b'{"cut":"\\ud83d"}',
    b'{"latin":"\xe9\xff"}',
    b'{"surrogate":"\xed\xa0\x80"}',
    b'{"raw":"line\nbreak\x00\x1f\x7f"}',
    b'{"n":123456789012345678901234567890.10,"n":1e999}',
    b"not json at all",
    b"",
]


def documents(**settings: Any) -> Documents:
    return Documents(**({"vendor": "okta", "message_field": None, "data_stream": STREAM} | settings))


def pairs_of(body: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Actions and documents of a body, read as a server does it."""
    assert body.endswith(b"\n")
    lines = [json.loads(line) for line in body[:-1].split(b"\n")]
    return list(zip(lines[::2], lines[1::2]))


def bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def test_each_event_is_created_under_its_uid_and_in_its_place() -> None:
    lot = lot_of(HOSTILE)

    pairs = pairs_of(documents().body(lot))

    assert [action for action, _ in pairs] == [{"create": {"_id": uid}} for uid in lot.uids]
    assert [bytes_of(document["event"]["original"]) for _, document in pairs] == HOSTILE


def test_a_document_says_what_when_and_whence() -> None:
    lot = lot_of([event_of(7)], times_ms=[NOW_MS - 1])

    ((_, document),) = pairs_of(documents(message_field="actor.name").body(lot))

    assert document == {
        "@timestamp": "2026-11-23T19:59:59.999Z",
        "ecs": {"version": table("schemas/ecs", EcsTable)[0].version},
        "data_stream": STREAM,
        "event": {
            "kind": "event",
            "created": "2026-11-23T20:00:00.000Z",
            "provider": "okta",
            "module": "okta",
            "dataset": "okta.system",
            "id": lot.uids[0],
            "original": event_of(7).decode(),
        },
        "message": "Zoë Ünal",
    }


def test_an_event_without_a_time_has_that_of_its_collection() -> None:
    ((_, document),) = pairs_of(documents().body(lot_of([event_of(7)], times_ms=[None])))
    assert document["@timestamp"] == "2026-11-23T20:00:00.000Z"


def test_without_data_stream_and_preset_nothing_claims_one() -> None:
    ((_, document),) = pairs_of(documents(vendor=None, data_stream=None).body(lot_of([event_of(7)])))
    assert "data_stream" not in document
    assert document["event"].keys() == {"kind", "created", "provider", "id", "original"}


@pytest.mark.parametrize(("value", "message"), [(7, "7"), ({"a": ["b"]}, '{"a":["b"]}'), ("\ud83d", "\ud83d")])
def test_a_message_is_text_whatever_the_vendor_has_there(value: object, message: str) -> None:
    event = json.dumps({"said": value}).encode()
    ((_, document),) = pairs_of(documents(message_field="said").body(lot_of([event])))
    assert document["message"] == message


def test_where_there_is_no_message_there_is_no_field() -> None:
    ((_, document),) = pairs_of(documents(message_field="absent").body(lot_of([event_of(1)])))
    assert "message" not in document


def test_the_same_lot_makes_the_same_bytes() -> None:
    def body() -> bytes:
        return documents(message_field="action").body(lot_of([event_of(n) for n in range(5)]))

    assert body() == body()


def test_a_dated_index_is_that_of_the_events_own_day() -> None:
    day_ms = 86_400_000
    lot = lot_of([event_of(1), event_of(2), event_of(3)], times_ms=[NOW_MS, NOW_MS - day_ms, None])

    made = documents(data_stream=None, index=index_of("audit-%Y.%m.%d"))
    pairs = pairs_of(made.body(lot))

    assert [action["create"]["_index"] for action, _ in pairs] == [
        "audit-2026.11.23",
        "audit-2026.11.22",
        "audit-2026.11.23",
    ]


class TestObjects:
    """The event as an object, too."""

    def test_it_stands_beside_the_original_on_one_line(self) -> None:
        event = b'{\n "a": {"b": 1.10}\n}'
        body = documents(object_field="okta").body(lot_of([event]))
        ((_, document),) = pairs_of(body)
        assert document["okta"] == {"a": {"b": 1.1}}
        assert b'"okta":{"a":{"b":1.10}}' in body
        assert bytes_of(document["event"]["original"]) == event

    @pytest.mark.parametrize(
        ("event", "why"),
        [
            (b'{"raw":"line\nbreak"}', "line break"),
            (b"[1]", "no JSON object"),
            (b'{"a":', "not JSON"),
            (b"", "no JSON object"),
            (b'{"a":1},"event":{"id":"forged"}', "not JSON"),
            (b'{"a":1} ]', "not JSON"),
        ],
    )
    def test_what_can_be_no_object_is_unfit(self, event: bytes, why: str) -> None:
        unfit = documents(object_field="okta").unfit(lot_of([event_of(1), event]))
        assert unfit.keys() == {1}
        assert why in unfit[1]

    def test_what_no_strict_decoder_reads_may_be_an_object(self) -> None:
        assert documents(object_field="okta").unfit(lot_of([b'{"raw":"a\x00b"}', b'{"a":NaN}', b'{"b":"\xff"}'])) == {}

    def test_as_a_string_everything_fits(self) -> None:
        assert documents().unfit(lot_of(HOSTILE)) == {}


class TestNormalised:
    """Events that are documents already."""

    def lot(self, *events: bytes, schema: str = "ecs") -> Lot:
        return lot_of([event_of(n) for n in range(len(events))]).with_events(events, shape="ecs", schema=schema)

    @pytest.mark.parametrize("schema", ["ecs", "ocsf"])
    def test_they_get_the_time_and_stream_that_they_lack(self, schema: str) -> None:
        lot = self.lot(b'{"event":{"original":"x"}}', schema=schema)
        ((_, document),) = pairs_of(documents().body(lot))
        assert document == {
            "@timestamp": "2026-11-23T19:59:00.000Z",
            "data_stream": STREAM,
            "event": {"original": "x"},
        }

    @pytest.mark.parametrize("schema", ["ecs", "ocsf"])
    def test_what_the_normalisers_write_is_a_document(self, schema: str) -> None:
        lot = lot_of([event_of(1), event_of(2)])
        normaliser = normaliser_of(schema, vendor="okta", stream="okta", ocsf_version="1.8.0")
        written = [normaliser.document(event, lot, i)[0] for i, event in enumerate(lot.events)]
        lot = lot.with_events(written, shape=normaliser.fingerprint, schema=schema)

        assert documents().unfit(lot) == {}
        for (action, document), uid in zip(pairs_of(documents().body(lot)), lot.uids):
            assert action == {"create": {"_id": uid}}
            assert document["@timestamp"].startswith("2026-11-23T19:59:00.00")
            assert document["data_stream"] == STREAM
            assert uid in json.dumps(document)

    def test_what_they_have_stays(self) -> None:
        own = b'{"@timestamp":"2020-01-01T00:00:00Z","data_stream":{"type":"logs"},"message":"m"}'
        body = documents().body(self.lot(own))
        assert body.split(b"\n")[1] == own

    def test_a_name_deeper_inside_is_not_theirs(self) -> None:
        ((_, document),) = pairs_of(documents().body(self.lot(b'{"a":{"@timestamp":1,"data_stream":2}}')))
        assert document["@timestamp"] == "2026-11-23T19:59:00.000Z"
        assert document["data_stream"] == STREAM

    def test_an_empty_object_becomes_a_document(self) -> None:
        ((_, document),) = pairs_of(documents(data_stream=None).body(self.lot(b"{ }")))
        assert document == {"@timestamp": "2026-11-23T19:59:00.000Z"}

    def test_what_is_no_object_is_unfit(self) -> None:
        assert documents().unfit(self.lot(b"{}", b'"text"')).keys() == {1}
