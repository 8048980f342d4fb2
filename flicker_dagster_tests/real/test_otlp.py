"""`type: otlp` against an OpenTelemetry Collector and VictoriaLogs."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from flicker_dagster.config.destinations.otlp import OtlpDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.otlp import Otlp
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Rejected, Split
from flicker_dagster_tests.deliver.contract import NOW_MS, MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.real.collector import Collector
from flicker_dagster_tests.real.victorialogs import VictoriaLogs

HOSTILE = [
    b'{"id":"s","agent":"cut \\ud83d here"}',
    b'{"id":"n","n":1.10,"big":123456789012345678901234567890}',
    '{"id":"u","text":"😀 Zoë"}'.encode(),
    b'{"id":"d","a":1,"a":2,"":3}',
]

encodings = pytest.mark.parametrize("encoding", ["protobuf", "json"])


def opened(endpoint: str, **keys: Any) -> Otlp:
    config = OtlpDestination.model_validate({"type": "otlp", "endpoint": endpoint, **keys})
    return Otlp(config, LaneContext(stream="okta", lane="otlp"))


def attribute(record: dict[str, Any], name: str) -> str:
    return next(each["value"]["stringValue"] for each in record["attributes"] if each["key"] == name)


@encodings
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_the_collector_takes_every_event_byte_for_byte(collector: Collector, encoding: str, compression: str) -> None:
    source = f"{encoding}-{compression}"
    lot = lot_of([*HOSTILE, b'{"raw":"\xff"}'], source=source, times_ms=[NOW_MS, None, 1, NOW_MS, NOW_MS])
    before = len(collector.records())
    destination = opened(collector.otlp, encoding=encoding, compression=compression)
    assert destination.send(lot) == Delivered("HTTP 200 OK")
    destination.close()
    found = collector.wait_for(before + len(lot))[before:]
    bodies = [each["body"] for each in found]
    texts = [
        body["stringValue"].encode() if "stringValue" in body else base64.b64decode(body["bytesValue"])
        for body in bodies
    ]
    assert texts == lot.events
    assert [attribute(each, "log.record.uid") for each in found] == lot.uids
    assert [each.get("timeUnixNano", "0") for each in found[:3]] == [f"{NOW_MS}000000", "0", "1000000"]
    assert {"key": "flicker.stream", "value": {"stringValue": source}} in found[0]["resource"]


def test_the_collectors_limit_comes_down_to_the_one_guilty_event(collector: Collector) -> None:
    guilty = 11
    lots = lots_of(
        40, size=40, source="large", make=lambda n: event_of(n, detail="x" * (1_100_000 if n == guilty else 9))
    )
    before = len(collector.records())
    destination = opened(collector.otlp, max_batch_bytes=8_000_000)
    assert isinstance(destination.send(lots[0]), Split)
    destination.close()
    drained = drain(MemoryQueue(lots), lambda: opened(collector.otlp, max_batch_bytes=8_000_000))
    assert (drained.delivered, drained.dead, drained.done) == (39, 1, True)
    assert json.loads(drained.letters.kept[0].event)["id"] == f"e{guilty:06d}"
    assert len(collector.wait_for(before + 39)) == before + 39


def test_the_collector_elsewhere_is_blocked(collector: Collector) -> None:
    destination = opened(collector.otlp.replace("/v1/logs", "/v1/nothing"))
    assert isinstance(destination.send(lots_of(3)[0]), Blocked)
    destination.close()


def test_victorialogs_takes_protobuf_with_ids_and_times(victorialogs: VictoriaLogs) -> None:
    lots = lots_of(1_000, source="otlp-real", size=250)
    drained = drain(MemoryQueue(lots), lambda: opened(victorialogs.otlp))
    assert drained.done, drained.last_words
    rows = victorialogs.rows('"flicker.stream":="otlp-real"')
    assert sorted(row["_msg"].encode() for row in rows) == sorted(event for lot in lots for event in lot.events)
    assert sorted(row["log.record.uid"] for row in rows) == sorted(uid for lot in lots for uid in lot.uids)


def test_victorialogs_refuses_json_altogether_and_that_costs_no_event(victorialogs: VictoriaLogs) -> None:
    queue = MemoryQueue(lots_of(60, source="otlp-json", size=20))
    destination = opened(victorialogs.otlp, encoding="json")
    assert isinstance(destination.send(lots_of(3)[0]), Rejected)
    destination.close()
    drained = drain(queue, lambda: opened(victorialogs.otlp, encoding="json"), runs=2)
    assert (queue.waiting, drained.dead) == (60, 0)
    assert "every event, in the same words" in drained.last_words
