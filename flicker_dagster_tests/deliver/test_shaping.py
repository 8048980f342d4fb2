"""What a lane's rules make of its lots: ids, places, counts, the request's name, and what is never shaped."""

from __future__ import annotations

from typing import Any

import pytest

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.destinations.base import FieldRules as RulesRecord
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.shaping import ShapeCounts, Shaper, Unshapable
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster.lots import Lot
from flicker_dagster_tests.deliver.field_edits import KEY, digest

TIME_MS = 1_777_713_247_221


def lot_of(*events: bytes) -> Lot:
    return Lot.of(
        events,
        digests=[bytes([index]) * 16 for index in range(len(events))],
        times_ms=[TIME_MS] * len(events),
        source="okta",
        collected_ms=TIME_MS + 1,
    )


def shaper(*, env: dict[str, str] | None = None, **fields: Any) -> Shaper:
    record = DestinationRecord(type="any", fields=RulesRecord(**fields) if fields else None)
    return Shaper(record, LaneContext("okta", env={"FLICKER_MASK_KEY": KEY} if env is None else env))


def test_a_lane_without_rules_sends_the_very_same_lot() -> None:
    lot = lot_of(b'{"a":1}', b"not json")
    plain = shaper()
    assert plain.shape(lot) is lot
    assert plain.changes_nothing
    assert plain.shaped(lot).counts == ShapeCounts()
    assert shaper(mask_key="x").shape(lot) is lot


def test_ids_times_and_places_stay_and_the_rules_are_in_the_requests_name() -> None:
    lot = lot_of(b'{"a":1,"b":1.10}', b'{"b":2}')
    shaped = shaper(drop=["a"], static={"env": "prod"}).shape(lot)
    assert shaped.events == [b'{"b":1.10,"env":"prod"}', b'{"b":2,"env":"prod"}']
    assert (shaped.digests, shaped.times_ms, shaped.places, shaped.lot_id, shaped.uids, shaped.schema) == (
        lot.digests,
        lot.times_ms,
        lot.places,
        lot.lot_id,
        lot.uids,
        "vendor",
    )
    assert shaped.key("json") == shaper(drop=["a"], static={"env": "prod"}).shape(lot).key("json")


def test_no_two_sets_of_rules_make_the_same_requests_name() -> None:
    lot = lot_of(b'{"a":{"b":"x"}}')
    keys = {
        each.shape(lot).key("json")
        for each in (
            shaper(),
            shaper(drop=["a"]),
            shaper(keep=["a"]),
            shaper(mask=["a"]),
            shaper(mask=["a.b"]),
            shaper(mask=["a"], env={"FLICKER_MASK_KEY": KEY + "!"}),
            shaper(static={"a": "b"}),
            shaper(static={"a": "c"}),
        )
    }
    assert len(keys) == 8


def test_what_was_done_is_counted_by_the_path_of_the_rule() -> None:
    counted = shaper(drop=["a.b", "x"], mask=["who"])
    first = counted.shaped(lot_of(b'{"a":[{"b":1},{"b":2}],"who":"ana"}', b'{"who":["ana","bob"]}', b'{"c":1}')).counts
    assert first == ShapeCounts(events=3, touched=2, dropped={"a.b": 2}, masked={"who": 2})
    both = first + counted.shaped(lot_of(b'{"x":1}')).counts
    assert both == ShapeCounts(events=4, touched=3, dropped={"a.b": 2, "x": 1}, masked={"who": 2})
    kept = shaper(keep=["c"]).shaped(lot_of(b'{"a":1,"b":2,"c":3}')).counts
    assert kept == ShapeCounts(events=1, touched=1, left_out=2)


def test_an_event_that_cannot_be_masked_is_never_shaped_and_its_neighbours_are() -> None:
    lot, masking = lot_of(b'{"who":"ana"}', b'{"who":"bob"', b'["who"]'), shaper(mask=["who"])
    with pytest.raises(Unshapable, match="2 events cannot be shaped") as refused:
        masking.shape(lot)
    assert list(refused.value.reasons) == [1, 2]
    assert "bob" not in str(refused.value) + str(refused.value.reasons)
    shaped = masking.shape(lot.part([0]))
    assert shaped.events == [f'{{"who":"{digest("ana")}"}}'.encode()]
    assert list(shaped.places) == [0]


def test_nothing_is_masked_under_no_key_or_one_that_can_be_tried_out() -> None:
    lot = lot_of(b'{"who":"ana"}')
    with pytest.raises(SecretUnset, match="FLICKER_MASK_KEY"):
        shaper(mask=["who"], env={}).shape(lot)
    with pytest.raises(SecretUnset, match="OTHER"):
        shaper(mask=["who"], mask_key="${OTHER}").shape(lot)
    with pytest.raises(DestinationBlocked, match="mask_key has 5 characters, expected 16 or more"):
        shaper(mask=["who"], mask_key="short").shape(lot)
    assert shaper(mask=["who"], mask_key="${OTHER}", env={"OTHER": KEY}).shape(lot).events == [
        f'{{"who":"{digest("ana")}"}}'.encode()
    ]
    assert shaper(drop=["who"], env={}).shape(lot).events == [b"{}"]
