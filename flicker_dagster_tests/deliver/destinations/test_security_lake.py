"""Security Lake: OCSF in Parquet, one class and day in each object, as DuckDB reads it back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.config.destinations.security_lake import CLASS_UIDS, SecurityLakeDestination
from flicker_dagster.deliver.destination import Destination, open_destination
from flicker_dagster.deliver.destinations.security_lake import SecurityLake
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, PerItem, Split
from flicker_dagster.deliver.shaping import Shaper
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.receivers.s3 import REGION, S3Receiver
from flicker_dagster_tests.deliver.contract import NOW_MS, MemoryQueue, drain, lot_of
from flicker_dagster_tests.deliver.destinations.stores import DAY_MS, ENV, MONDAY_MS, context
from flicker_dagster_tests.deliver.normalise.events import event_of, types_of
from flicker_dagster_tests.deliver.parquets import Parquets

SOURCES = {"authentication": {"name": "okta-auth"}, "api_activity": {"name": "okta-api"}}


def record(url: str, **keys: Any) -> SecurityLakeDestination:
    given = {
        "type": "security_lake",
        "bucket": "logs",
        "region": REGION,
        "endpoint": url,
        "access_key_id": "${AWS_KEY}",
        "secret_access_key": "${AWS_SECRET}",
        "account_id": "111122223333",
        "sources": SOURCES,
        "timeout_ms": 5_000,
    } | keys
    return destination_adapter().validate_python(given)


def opened(store: S3Receiver, **keys: Any) -> Destination:
    return open_destination(record(store.url, **keys), context())


def ocsf(number: int, *, class_uid: int = 3002, **more: Any) -> bytes:
    event = {
        "class_uid": class_uid,
        "category_uid": class_uid // 1_000,
        "activity_id": 1,
        "type_uid": class_uid * 100 + 1,
        "severity_id": 1,
        "time": NOW_MS,
        "metadata": {"version": "1.8.0", "uid": f"e{number}", "product": {"vendor_name": "Okta"}, "profiles": ["host"]},
        "user": {"name": "Zoë", "groups": [{"name": "admins"}]},
        "raw_data": f'{{"id":"e{number}"}}',
        "unmapped": {"debug": {"deep": [number]}},
    } | more
    return json.dumps(event, ensure_ascii=False).encode()


def normalised(events: list[bytes], *, times_ms: list[int | None] | None = None, seq: int = 0) -> Lot:
    lot = lot_of(events, times_ms=times_ms, seq=seq)
    return lot.with_events(events, shape="ocsf 1", schema="ocsf")


def lots_of(count: int, *, size: int = 50, poison: int = 0) -> list[Lot]:
    """Events of two classes on two days; every `poison`th is none of OCSF."""
    lots = []
    for seq, at in enumerate(range(0, count, size)):
        numbers = range(at, at + size)
        events = [
            ocsf(n, severity_id="high") if poison and n % poison == 7 else ocsf(n, class_uid=(3002, 6003)[n % 2])
            for n in numbers
        ]
        lots.append(normalised(events, times_ms=[MONDAY_MS + DAY_MS * (n // 2 % 2) - n for n in numbers], seq=seq))
    return lots


def files(store: S3Receiver, folder: Path, part: str = "") -> Parquets:
    return Parquets(folder, [stored.body for key, stored in store.objects().items() if part in key])


# -- where it lies, and what it is


def test_each_class_and_day_has_an_object_in_the_folder_of_its_custom_source(store: S3Receiver) -> None:
    events = [ocsf(0), ocsf(1, class_uid=6003), ocsf(2), ocsf(3)]
    times = [MONDAY_MS, MONDAY_MS, MONDAY_MS + DAY_MS, MONDAY_MS + 1]
    assert opened(store).send(normalised(events, times_ms=times)) == Delivered("HTTP 200 OK")
    folders = [key.rpartition("/")[0] for key in store.objects()]
    assert folders == [
        f"ext/okta-api/region={REGION}/accountId=111122223333/eventDay=20261123",
        f"ext/okta-auth/region={REGION}/accountId=111122223333/eventDay=20261123",
        f"ext/okta-auth/region={REGION}/accountId=111122223333/eventDay=20261124",
    ]
    assert all(key.endswith(".parquet") for key in store.objects())


def test_a_location_that_security_lake_gave_is_heeded(store: S3Receiver) -> None:
    sources = {"authentication": {"name": "okta-auth", "location": "ext/okta-auth/1.0/"}}
    opened(store, sources=sources).send(normalised([ocsf(0)]))
    (key,) = store.objects()
    assert key.startswith("ext/okta-auth/1.0/region=")


def test_rows_lie_in_the_order_of_time_with_the_raw_event_and_what_was_not_mapped(
    store: S3Receiver, tmp_path: Path
) -> None:
    events = [ocsf(0), ocsf(1), ocsf(2, time=7)]
    opened(store).send(normalised(events, times_ms=[MONDAY_MS + 5, MONDAY_MS - 5, None]))
    found = files(store, tmp_path)
    assert found.compressions() == {"ZSTD"}
    rows = found.rows('"time", metadata.uid, raw_data, "user".name, "user".groups[1].name, unmapped')
    assert [row[:3] for row in rows] == [
        (MONDAY_MS - 5, "e1", '{"id":"e1"}'),
        (NOW_MS, "e2", '{"id":"e2"}'),  # when it was collected
        (MONDAY_MS + 5, "e0", '{"id":"e0"}'),
    ]
    assert rows[0][3:] == ("Zoë", "admins", '{"debug":{"deep":[1]}}')


def test_the_types_are_those_of_the_schema_whatever_an_event_holds(store: S3Receiver, tmp_path: Path) -> None:
    odd = ocsf(
        1,
        user={"name": 7, "has_mfa": "yes", "nickname": "Z"},
        status_id=2**40,
        status="Failure",
        session="not an object",
        auth_factors=[{"factor_type_id": 3}, "sms"],
        is_mfa=True,
        never_heard_of={"x": 1},
        unmapped="text",
        message="half \ud83d".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    )
    opened(store).send(normalised([ocsf(0)]))
    opened(store).send(normalised([odd]))
    found = files(store, tmp_path)
    assert len(found.schemas()) == 1
    types = found.types()
    assert (types["time"], types["class_uid"], types["type_uid"]) == ("BIGINT", "INTEGER", "BIGINT")
    assert (types["is_mfa"], types["unmapped"], types["raw_data"]) == ("BOOLEAN", "VARCHAR", "VARCHAR")
    assert types["metadata"].startswith('STRUCT("version" VARCHAR, product STRUCT(')
    row = found.rows(
        '"user".name, "user".has_mfa, status_id, status, session.uid, len(auth_factors), is_mfa, unmapped',
        "WHERE metadata.uid = 'e1'",
    )[0]
    assert row[:7] == ("7", None, None, "Failure", None, 1, True)
    assert json.loads(row[7]) == {
        "unmapped": "text",
        "user": {"has_mfa": "yes", "nickname": "Z"},
        "status_id": 2**40,
        "session": "not an object",
        "auth_factors": [{"factor_type_id": 3}, "sms"],
        "never_heard_of": {"x": 1},
    }


def test_columns_follow_the_version_and_so_does_the_name(store: S3Receiver, tmp_path: Path) -> None:
    sources = {"user_management": {"name": "users"}, "group_management": {"name": "groups"}}
    lot = normalised([ocsf(0, class_uid=3006)])
    for version in ("1.8.0", "1.9.0"):
        opened(store, sources=sources, ocsf_version=version).send(lot)
    old, new = (Parquets(tmp_path / str(n), [each.body]) for n, each in enumerate(store.objects().values()))
    assert {"user", "users"} & set(old.types()) ^ {"user", "users"} & set(new.types()) == {"user", "users"}
    users = normalised([ocsf(0, class_uid=3007)])
    assert "3007, which has no columns in OCSF 1.8.0" in opened(store, sources=sources).unfit(users)[0]
    assert opened(store, sources=sources, ocsf_version="1.9.0").unfit(users) == {}


def test_the_same_lot_makes_the_same_objects_and_they_are_found_again(store: S3Receiver) -> None:
    (lot,) = lots_of(50)
    assert isinstance(opened(store).send(lot), Delivered)
    assert isinstance(opened(store).send(lots_of(50)[0]), Duplicate)
    assert {stored.writes for stored in store.objects().values()} == {1}


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.8.0", "1.9.0"])
@pytest.mark.parametrize("vendor", ["okta", "github", "salesforce"])
def test_what_is_normalised_for_it_has_a_column_for_everything(
    store: S3Receiver, tmp_path: Path, vendor: str, version: str
) -> None:
    every = {name: {"name": name[:20]} for name in CLASS_UIDS}
    config = record(store.url, sources=every, ocsf_version=version)
    events = [event_of(vendor, event_type) for event_type in types_of(vendor)]
    lot = Shaper(config, replace(context(), vendor=vendor)).shape(lot_of(events))
    destination = open_destination(config, context())
    assert destination.unfit(lot) == {}
    assert isinstance(destination.send(lot), Delivered)
    bodies = [stored.body for stored in store.objects().values()]
    found: dict[str, str | None] = {}
    for number, body in enumerate(bodies):
        found |= dict(Parquets(tmp_path / str(number), [body]).rows("metadata.uid, unmapped"))
    own = {each["metadata"]["uid"]: each.get("unmapped") for each in map(json.loads, lot.events)}
    assert {uid: json.loads(text) if text else None for uid, text in found.items()} == own


# -- what cannot be sent


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (b'{"id":"e1"}', "it is no event of OCSF"),
        (b"[1]", "it is no event of OCSF"),
        (b"no JSON", "it is no event of OCSF"),
        (ocsf(0, class_uid=4001), "the class 4001, which has no columns"),
        (ocsf(0, severity_id=None), "severity_id"),
        (ocsf(0, metadata="x"), "metadata"),
        (ocsf(0, raw_data="@").replace(b"@", b"\xff"), "UTF-8"),
    ],
)
def test_an_event_that_belongs_to_no_table_is_named_with_the_reason(store: S3Receiver, event: bytes, why: str) -> None:
    lot = normalised([ocsf(1), event])
    unfit = opened(store).unfit(lot)
    assert list(unfit) == [1]
    assert why in unfit[1]


def test_events_that_were_not_normalised_wait(store: S3Receiver) -> None:
    lot = lot_of([b"{}"])
    destination = SecurityLake(record(store.url), context())  # by itself, without what normalises in front of it
    assert destination.unfit(lot) == {}
    outcome = destination.send(lot)
    assert isinstance(outcome, Blocked)
    assert "normalise: ocsf" in outcome.why


def test_a_vendors_events_are_normalised_on_the_way(store: S3Receiver) -> None:
    destination = open_destination(record(store.url), replace(context(), vendor="okta"))
    assert isinstance(destination.send(lot_of([event_of("okta", "user.session.start")])), Delivered)
    destination.close()
    assert [key.split("/")[1] for key in store.objects()] == ["okta-auth"]


def test_a_class_without_a_custom_source_waits_and_the_others_go(store: S3Receiver) -> None:
    outcome = opened(store).send(normalised([ocsf(0), ocsf(1, class_uid=3001), ocsf(2, class_uid=6003)]))
    assert isinstance(outcome, PerItem)
    assert [type(item) for item in outcome.items] == [Delivered, Blocked, Delivered]
    assert "sources.account_change" in outcome.items[1].why  # type: ignore[union-attr]


def test_what_holds_up_one_custom_source_does_not_hold_up_the_other(store: S3Receiver) -> None:
    store.faults.plan("403", after=2)  # the test of the store, for the first source
    times: list[int | None] = [MONDAY_MS, MONDAY_MS, MONDAY_MS + DAY_MS]
    lot = normalised([ocsf(0), ocsf(1, class_uid=6003), ocsf(2)], times_ms=times)
    outcome = opened(store).send(lot)
    assert isinstance(outcome, PerItem)
    assert [type(item) for item in outcome.items] == [Blocked, Delivered, Blocked]
    assert isinstance(opened(store, max_object_bytes=100).send(lot), Split)


# -- the contract


def test_commits_whose_answers_are_cut_end_exactly_once(store: S3Receiver, tmp_path: Path) -> None:
    store.faults.plan("commit_then_cut", count=None, share=0.25)
    queue = MemoryQueue(lots_of(1_000))
    assert drain(queue, lambda: opened(store), runs=300).done
    for source in ("okta-auth", "okta-api"):
        found = files(store, tmp_path / source, source)
        assert found.rows("count(*), count(DISTINCT metadata.uid), count(DISTINCT class_uid)") == [(500, 500, 1)]
    assert {stored.writes for stored in store.objects().values()} == {1}


def test_poison_costs_itself_only(store: S3Receiver, tmp_path: Path) -> None:
    queue = MemoryQueue(lots_of(10_000, size=500, poison=100))
    drained = drain(queue, lambda: opened(store), runs=5)
    assert drained.done
    assert (drained.delivered, drained.dead) == (9_900, 100)
    rows = sum(files(store, tmp_path / s, s).rows("count(*)")[0][0] for s in ("okta-auth", "okta-api"))
    assert rows == 9_900


def test_refused_credentials_keep_everything_until_they_are_mended(store: S3Receiver) -> None:
    queue, env = MemoryQueue(lots_of(200)), ENV | {"AWS_SECRET": "another-secret-of-forty-characters-here"}

    def open_it() -> Destination:
        return open_destination(record(store.url), context(env=env))

    assert "SignatureDoesNotMatch" in drain(queue, open_it, runs=2).last_words
    assert queue.waiting == 200
    env["AWS_SECRET"] = ENV["AWS_SECRET"]
    assert drain(queue, open_it, runs=2).done


def test_a_store_s_own_limit_splits_down_to_the_event_that_is_too_large(store: S3Receiver) -> None:
    store.max_bytes = 60_000
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(30_000))
    lots = [normalised([ocsf(n, raw_data=noise if n == 33 else "x") for n in range(100)])]
    drained = drain(MemoryQueue(lots), lambda: opened(store), runs=20)
    assert drained.done
    assert (drained.delivered, drained.dead) == (99, 1)


# -- configuration


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"sources": {}}, "sources"),
        ({"sources": {"authentication": {"name": "a-name-that-is-too-long-by-far"}}}, "sources.authentication.name"),
        (
            {"sources": {"authentication": {"name": "one"}, "api_activity": {"name": "one"}}},
            "sources.api_activity.name",
        ),
        (
            {"sources": {"authentication": {"name": "one", "location": "s3://b/ext/one"}}},
            "sources.authentication.location",
        ),
        ({"sources": {"user_management": {"name": "users"}}}, "sources.user_management"),
        ({"bucket": "B"}, "bucket"),
    ],
)
def test_a_fault_of_the_configuration_names_its_key(keys: dict[str, Any], key: str) -> None:
    assert [name for name, _ in record("https://store.example", **keys).faults()] == [key]


def test_what_the_guide_says_to_paste_is_valid_and_always_ocsf() -> None:
    block = yaml.safe_load(SecurityLakeDestination.GUIDE.block)["security_lake"]
    found = destination_adapter().validate_python(block)
    assert found.faults() == []
    assert found.normalise == "ocsf"
    with pytest.raises(ValueError, match="normalise"):
        destination_adapter().validate_python(block | {"normalise": "ecs"})
