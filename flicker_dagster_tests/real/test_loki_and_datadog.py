"""VictoriaLogs takes what `loki` and `datadog` send, and gives every event back byte for byte, under its id, at its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flicker_dagster.lots import Lot
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.deliver.contract import NOW_MS, MemoryQueue, drain, event_of, lot_of
from flicker_dagster_tests.deliver.destinations.scenes import opened
from flicker_dagster_tests.real.victorialogs import VictoriaLogs

AWKWARD = [
    b'{"n":1.10,"big":123456789012345678901234567890,"e":1E400}',
    b'{"a":1,"a":2,"":3}',
    b'{"lone":"\\ud800","nul":"\\u0000","quote":"\\"\\\\"}',
    '{"name":"Zoë Ünal 😀","tab":"\\t"}'.encode(),
    b'{ "spaced" : [ 1 , 2 ] }',
]


def loki(real: VictoriaLogs, **keys: Any) -> dict[str, Any]:
    return {
        "type": "loki",
        "endpoint": real.loki,
        "tenant": "0:0",
        "labels": {"job": "real"},
        "headers": {"VL-Loki-Disable-Message-Parsing": "1"},
        **keys,
    }


def datadog(real: VictoriaLogs, **keys: Any) -> dict[str, Any]:
    return {
        "type": "datadog",
        "endpoint": real.datadog.removesuffix("/api/v2/logs"),
        "api_key": "any",
        "service": "real",
        **keys,
    }


def delivered(keys: dict[str, Any], lots: list[Lot]) -> None:
    drained = drain(MemoryQueue(lots), lambda: opened(keys))
    assert (drained.done, drained.dead) == (True, 0), drained.last_words
    assert drained.delivered == sum(map(len, lots))


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_a_loki_gives_back_every_line_with_its_id_and_time(victorialogs: VictoriaLogs, compression: str) -> None:
    source = f"loki-{compression}"
    lots = [
        lot_of([event_of(number) for number in range(300)], source=source, seq=0),
        lot_of(AWKWARD, source=source, seq=1, times_ms=[NOW_MS - 10**8 - i for i in range(len(AWKWARD))]),
    ]
    delivered(loki(victorialogs, compression=compression), lots)
    rows = {row["event_uid"]: row for row in victorialogs.rows(f"source:{source}")}
    assert len(rows) == 300 + len(AWKWARD)
    for lot in lots:
        for index, uid in enumerate(lot.uids):
            assert rows[uid]["_msg"].encode() == lot.events[index]
            assert rows[uid]["_time"] == rfc3339(lot.time_ms(index))
            assert rows[uid]["_stream"] == f'{{job="real",source="{source}"}}'


def test_a_datadog_gives_back_every_event_with_its_id_and_time(victorialogs: VictoriaLogs) -> None:
    lots = [
        lot_of([event_of(number) for number in range(300)], source="dd", seq=0),
        lot_of(AWKWARD, source="dd", seq=1),
    ]
    delivered(datadog(victorialogs, tags={"env": "test"}), lots)
    rows = {row["event_uid"]: row for row in victorialogs.rows("service:real")}
    assert len(rows) == 300 + len(AWKWARD)
    for lot in lots:
        for index, uid in enumerate(lot.uids):
            assert rows[uid]["_msg"].encode() == b'{"event":' + lot.events[index] + b"}"
            assert rows[uid]["event_time"] == rfc3339_ms(lot.time_ms(index))
            assert rows[uid]["_time"] == rfc3339(lot.time_ms(index))
            assert rows[uid]["env"] == "test"


@pytest.mark.parametrize("build", [loki, datadog])
def test_a_path_that_is_not_there_keeps_everything(
    victorialogs: VictoriaLogs, build: Callable[..., dict[str, Any]]
) -> None:
    queue = MemoryQueue([lot_of([event_of(number) for number in range(20)])])
    drained = drain(queue, lambda: opened(build(victorialogs, endpoint=f"{victorialogs.url}/nowhere")), runs=2)
    assert (drained.delivered, drained.dead, queue.waiting) == (0, 0, 20)


def rfc3339(ms: int) -> str:
    """As VictoriaLogs writes a time: without the zeros at its end."""
    second, _, millis = rfc3339_ms(ms).removesuffix("Z").partition(".")
    fraction = millis.rstrip("0")
    return f"{second}.{fraction}Z" if fraction else f"{second}Z"
