"""A real server that speaks the collector's protocol (VictoriaLogs) reads what we send it, event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flicker_dagster.deliver.outcomes import Blocked, Delivered
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.hec import opened

if TYPE_CHECKING:
    from flicker_dagster_tests.real.victorialogs import VictoriaLogs

ODD = [b'{"a":1,"a":2}', b'{"a":"\\ud83d"}', b'{"a":NaN}', b'{"a":"\xff"}', b"[1,2]", '{"a":"Zoë 🦊"}'.encode()]


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_every_event_arrives_under_its_id_and_at_its_time(victorialogs: VictoriaLogs, compression: str) -> None:
    lots = lots_of(1_000, source=compression)
    queue = MemoryQueue(lots)
    keys = {"compression": compression, "source": f"hec-{compression}", "index": "saas"}
    assert drain(queue, lambda: opened(victorialogs.splunk, **keys)).done
    rows = victorialogs.rows(f"source:=hec-{compression}")
    times = {uid: ms for lot in lots for uid, ms in zip(lot.uids, lot.times_ms)}
    assert {row["fields.event_uid"] for row in rows} == set(times)
    assert len(rows) == 1_000
    assert {row["index"] for row in rows} == {"saas"}
    one = lots[3]
    row = next(row for row in rows if row["fields.event_uid"] == one.uids[7])
    assert (row["event.id"], row["event.actor.name"]) == ("e000307", "Zoë Ünal")
    assert row["_time"].startswith("2026-11-23T19:59:00.007")


def test_odd_events_cost_their_neighbours_nothing(victorialogs: VictoriaLogs) -> None:
    lot = lot_of([event_of(0), *ODD, event_of(1)], source="odd")
    destination = opened(victorialogs.splunk, source="hec-odd")
    assert isinstance(destination.send(lot), Delivered)
    destination.close()
    rows = {row["fields.event_uid"]: row for row in victorialogs.rows("source:=hec-odd")}
    assert set(rows) == set(lot.uids)
    assert [rows[uid]["_msg"] for uid in lot.uids[2:6]] == ['{"a":"\\ud83d"}', '{"a":NaN}', '{"a":"\\xff"}', "[1,2]"]
    assert rows[lot.uids[6]]["event.a"] == "Zoë 🦊"


def test_a_server_without_acknowledgement_gets_nothing_where_that_is_required(victorialogs: VictoriaLogs) -> None:
    destination = opened(victorialogs.splunk, source="hec-required", ack="required")
    assert isinstance(destination.send(lot_of([event_of(0)])), Blocked)
    destination.close()
    assert victorialogs.rows("source:=hec-required") == []
