"""Objects in S3: what lies there, laid out by the events' day, and what cannot be stored."""

from __future__ import annotations

import gzip
import json

import msgspec
import pytest

from flicker_dagster.deliver.outcomes import Delivered, Split
from flicker_dagster.simulator.receivers.s3 import S3Receiver
from flicker_dagster_tests.deliver.contract import event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.stores import DAY_MS, MONDAY_MS, Opens, two_days

# -- what lies there


def test_a_lot_becomes_one_object_of_lines_with_id_and_time_beside_the_untouched_event(
    store: S3Receiver, opened_s3: Opens
) -> None:
    lot = lot_of([event_of(0), b'{ "odd" : 1.50,\n "x":"\\ud800" }'], times_ms=[MONDAY_MS, None])
    assert opened_s3(store, message_field="action").send(lot) == Delivered("HTTP 200 OK")
    (key, stored), *others = store.objects().items()
    assert not others
    assert key.startswith("audit/source=okta/day=2026-11-23/20261123T200000Z-")
    assert key.endswith(".ndjson.gz")
    assert stored.headers["content-type"] == "application/x-ndjson"
    assert "content-encoding" not in stored.headers
    first, second = gzip.decompress(stored.body).splitlines()
    head = f'{{"event_uid":"{lot.uids[0]}","time":"2026-11-23T20:00:00.000Z","source":"okta",'.encode()
    assert first == head + b'"message":"user.session.start","event":' + lot.events[0] + b"}"
    assert second.endswith(b'"event":{"odd":1.50,"x":"\\ud800"}}')


def test_lines_of_the_events_alone_are_the_vendor_s_bytes(store: S3Receiver, opened_s3: Opens) -> None:
    lot = lot_of([event_of(i) for i in range(3)])
    opened_s3(store, format="ndjson").send(lot)
    assert store.lines() == list(lot.events)


def test_the_same_lot_makes_the_same_object_and_another_format_another_name(
    store: S3Receiver, opened_s3: Opens
) -> None:
    lot = lot_of([event_of(i) for i in range(3)])
    for _ in range(2):
        opened_s3(store).send(lot)
    opened_s3(store, format="ndjson").send(lot)
    opened_s3(store, message_field="action").send(lot)
    assert len(store.objects()) == 3
    assert {each.writes for each in store.objects().values()} == {1}


def test_events_of_several_days_become_an_object_for_each_in_one_send(store: S3Receiver, opened_s3: Opens) -> None:
    lot = two_days()
    assert opened_s3(store).send(lot) == Delivered("HTTP 200 OK")
    assert [key.split("/")[2] for key in store.objects()] == ["day=2026-11-23", "day=2026-11-24"]
    assert store.uids() == dict.fromkeys(lot.uids, 1)


@pytest.mark.parametrize(
    ("layout", "folders"),
    [
        ("", [""]),
        ("{vendor}/{source}/", ["okta/okta/"]),
        ("y={year}/m={month}/d={day_of_month}", ["y=2026/m=11/d=23/", "y=2026/m=11/d=24/"]),
        ("dt={day}/hour={hour}/", ["dt=2026-11-23/hour=20/", "dt=2026-11-23/hour=21/", "dt=2026-11-24/hour=20/"]),
        ("hour={hour}", ["hour=20/", "hour=21/"]),
    ],
)
def test_folders_follow_the_layout(store: S3Receiver, opened_s3: Opens, layout: str, folders: list[str]) -> None:
    times = [MONDAY_MS, MONDAY_MS + DAY_MS, MONDAY_MS + 3_600_000]
    lot = lot_of([event_of(i) for i in range(3)], times_ms=times)
    assert isinstance(opened_s3(store, layout=layout).send(lot), Delivered)
    assert [key.removeprefix("audit/").rpartition("/")[0] for key in store.objects()] == [
        f.rstrip("/") for f in folders
    ]
    assert store.uids() == dict.fromkeys(lot.uids, 1)


def test_a_line_s_members_are_read_back_as_they_were(store: S3Receiver, opened_s3: Opens) -> None:
    lot = lots_of(5)[0]
    opened_s3(store).send(lot)
    for line, uid, event in zip(store.lines(), lot.uids, lot.events):
        found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        assert json.loads(bytes(found["event_uid"])) == uid
        assert bytes(found["event"]) == event


# -- what cannot be stored


def test_events_that_are_no_lines_are_named_and_the_others_go(store: S3Receiver, opened_s3: Opens) -> None:
    lot = lot_of([event_of(0), b'{"a":"raw\nbreak"}', b'{"a":"\xff"}', event_of(3)])
    for form in ("envelope", "ndjson"):
        unfit = opened_s3(store, format=form).unfit(lot)
        assert set(unfit) == {1, 2}
        assert "line break" in unfit[1]
        assert "UTF-8" in unfit[2]
    assert set(opened_s3(store, format="parquet").unfit(lot)) == {2}


def test_more_than_an_object_is_to_hold_is_not_sent(store: S3Receiver, opened_s3: Opens) -> None:
    lot = lot_of([event_of(i) for i in range(3)])
    assert isinstance(opened_s3(store, max_object_bytes=500).send(lot), Split)
    assert isinstance(opened_s3(store, max_object_events=2).send(lot), Split)
    assert isinstance(opened_s3(store, max_object_bytes=10).send(lot.part([0])), Delivered)
    assert store.requests["PUT"] == 3  # two of them the test of the store
