"""Events in Parquet in S3, as DuckDB reads them back."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.deliver.destination import Destination, open_destination
from flicker_dagster.deliver.outcomes import Delivered, Duplicate
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.simulator.receivers.s3 import S3Receiver
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.stores import MONDAY_MS, context, record, two_days
from flicker_dagster_tests.deliver.parquets import Parquets

COLUMNS = {
    "event_uid": "VARCHAR",
    "time": "TIMESTAMP WITH TIME ZONE",
    "source": "VARCHAR",
    "collected": "TIMESTAMP WITH TIME ZONE",
    "message": "VARCHAR",
    "raw": "VARCHAR",
}


def opened(store: S3Receiver, *, message_field: str | None = None, **keys: Any) -> Destination:
    return open_destination(record(store.url, format="parquet", **keys), context(message_field=message_field))


def files(store: S3Receiver, folder: Path) -> Parquets:
    return Parquets(folder, [stored.body for stored in store.objects().values()])


def test_an_event_is_a_row_with_its_untouched_text(store: S3Receiver, tmp_path: Path) -> None:
    events = [event_of(0), b'{ "action" : {"of":"two \\ud83d"},\n"x": 1.50 }', b'{"action":"half \\ud83d"}', b'{"a":1}']
    lot = lot_of(events, times_ms=[MONDAY_MS + 1, None, MONDAY_MS + 2, MONDAY_MS + 3])
    assert isinstance(opened(store, message_field="action").send(lot), Delivered)
    found = files(store, tmp_path)
    assert found.types() == COLUMNS
    assert found.compressions() == {"ZSTD"}
    rows = found.rows()
    assert [row[0] for row in rows] == lot.uids
    assert [row[5].encode() for row in rows] == events
    assert [row[4] for row in rows] == ["user.session.start", '{"of":"two ?"}', "half ?", None]
    at = datetime.datetime(2026, 11, 23, 20, tzinfo=datetime.timezone.utc)
    assert [row[1] for row in rows] == [at + datetime.timedelta(milliseconds=ms) for ms in (1, 0, 2, 3)]
    assert {row[2] for row in rows} == {"okta"}
    assert {row[3] for row in rows} == {at}
    (stored,) = store.objects().values()
    assert stored.headers["content-type"] == "application/vnd.apache.parquet"


def test_every_object_has_the_same_schema_whatever_its_events_have(store: S3Receiver, tmp_path: Path) -> None:
    opened(store).send(lot_of([event_of(0)]))
    opened(store, message_field="action").send(lot_of([event_of(1)]))
    opened(store, message_field="action").send(lot_of([b"{}", b"[1]", b'"x"'], times_ms=[None] * 3))
    found = files(store, tmp_path)
    assert len(found.rows()) == 5
    (schema,) = found.schemas()
    assert [(name, kind, converted) for name, kind, converted, _, _ in schema[1:]] == [
        ("event_uid", "BYTE_ARRAY", "UTF8"),
        ("time", "INT64", "TIMESTAMP_MILLIS"),
        ("source", "BYTE_ARRAY", "UTF8"),
        ("collected", "INT64", "TIMESTAMP_MILLIS"),
        ("message", "BYTE_ARRAY", "UTF8"),
        ("raw", "BYTE_ARRAY", "UTF8"),
    ]


def test_the_same_lot_makes_the_same_bytes_and_is_found_again(store: S3Receiver) -> None:
    lot = two_days()
    assert isinstance(opened(store).send(lot), Delivered)
    before = {key: stored.body for key, stored in store.objects().items()}
    assert isinstance(opened(store).send(two_days()), Duplicate)
    store.heeds_conditions = False
    opened(store).send(two_days())
    assert {key: stored.body for key, stored in store.objects().items()} == before
    assert {len(stored.bodies) for stored in store.objects().values()} == {1}


def test_commits_whose_answers_are_cut_end_exactly_once(store: S3Receiver, tmp_path: Path) -> None:
    store.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(2_000, size=50)
    queue = MemoryQueue(lots)
    assert drain(queue, lambda: opened(store), runs=200).done
    found = files(store, tmp_path).rows("event_uid, count(*)", "GROUP BY 1")
    assert dict(found) == {uid: 1 for lot in lots for uid in lot.uids}
    assert len(store.objects()) == len(lots)


def test_poison_costs_itself_only(store: S3Receiver, tmp_path: Path) -> None:
    lots = lots_of(10_000, size=500, make=lambda n: event_of(n)[:-1] + b',"x":"\xff"}' if n % 100 == 7 else event_of(n))
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: opened(store), runs=5)
    assert (drained.delivered, drained.dead) == (9_900, 100)
    assert "UTF-8" in drained.letters.kept[0].reason
    assert files(store, tmp_path).rows("count(*), count(DISTINCT event_uid)") == [(9_900, 9_900)]


def test_without_the_extra_everything_waits_and_one_line_says_what_to_install(
    store: S3Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DestinationBlocked, match=r"pip install 'flicker-dagster\[parquet\]'"):
        opened(store).send(lot_of([event_of(0)]))
