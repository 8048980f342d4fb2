"""Lanes of a unit: each has its own progress through the same lots, event by event, and none forgets any of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.lots import Lot, Receipt
from flicker_dagster.state.spool import SpoolUnit
from flicker_dagster.types import Settled
from flicker_dagster_tests.state.builders import T0_MS, digests, lot, settled, state
from flicker_dagster_tests.state.units import BOTH, begun, pending, places, unit_of

RECEIPT = Receipt("r1", ask_after_s=1.5, expires_s=60, status="HTTP 202")


def settle_part(unit: SpoolUnit, lane: str, each: Lot, indices: list[int]) -> None:
    part = each.part(indices)
    unit.lane(lane).settle(part, settled(part))


# -- several lanes


def test_each_lane_goes_its_own_way_through_the_same_lots(tmp_path: Path) -> None:
    unit = begun(tmp_path)
    for each in pending(unit, "siem"):
        unit.lane("siem").settle(each, settled(each))
    first, _ = pending(unit, "lake")
    settle_part(unit, "lake", first, [1, 4])
    for found in (unit, unit_of(tmp_path)):
        assert places(found, "siem") == []
        assert places(found, "lake") == [("a", [0, 2, 3, 5]), ("b", [0, 1])]
        assert places(found, "debug") == [("a", list(range(6))), ("b", [0, 1])]
        assert [found.waiting_of(name).events for name in ("siem", "lake", "debug")] == [0, 6, 8]
        assert found.waiting == found.waiting_of("lake"), "the furthest behind of those that are required"
        assert found.lane("lake").settled_digests() == {"2025-12-17T15": digests(["a/1", "a/4"])}
        assert not found.is_settled


def test_lanes_see_what_is_appended_after_they_were_opened(tmp_path: Path) -> None:
    unit = begun(tmp_path)
    for name in ("siem", "lake"):
        for each in pending(unit, name):
            unit.lane(name).settle(each, settled(each))
    unit.append([lot("c", events=3)], state(1, 3))
    for found in (unit, unit_of(tmp_path)):
        assert places(found, "siem") == places(found, "lake") == [("c", [0, 1, 2])]


def test_a_lane_that_is_added_later_has_everything_before_it(tmp_path: Path) -> None:
    unit = begun(tmp_path, required=("siem",))
    for each in pending(unit, "siem"):
        unit.lane("siem").settle(each, settled(each))
    assert places(unit_of(tmp_path, required=("siem", "new")), "new") == [("a", list(range(6))), ("b", [0, 1])]


def test_a_unit_is_not_cleared_while_a_required_lane_waits_and_the_lane_is_named(tmp_path: Path) -> None:
    unit = begun(tmp_path)
    for each in pending(unit, "siem"):
        unit.lane("siem").settle(each, settled(each))
    for action in (unit.remove, lambda: unit.clear(None)):
        with pytest.raises(StateError, match=r"still holds 8 events .* in lane lake"):
            action()
    assert places(unit_of(tmp_path), "lake") == [("a", list(range(6))), ("b", [0, 1])]


# -- optional lanes


def required_are_settled(tmp_path: Path) -> SpoolUnit:
    unit = begun(tmp_path)
    for name in BOTH["required"]:
        for each in pending(unit, name):
            unit.lane(name).settle(each, settled(each))
    return unit


def test_a_cleared_unit_keeps_the_lots_that_an_optional_lane_waits_for(tmp_path: Path) -> None:
    unit = required_are_settled(tmp_path)
    unit.clear(state(2, 2))
    for found in (unit, unit_of(tmp_path)):
        assert found.state == state(2, 2)
        assert found.waiting.events == 0
        assert places(found, "debug") == [("a", list(range(6))), ("b", [0, 1])]
    unit.append([lot("c", events=1)], state(2, 3))
    assert places(unit_of(tmp_path), "siem") == [("c", [0])]
    assert [name for name, _ in places(unit_of(tmp_path), "debug")] == ["a", "b", "c"]


def test_once_an_optional_lane_has_settled_them_the_next_clearing_lets_them_go(tmp_path: Path) -> None:
    unit = required_are_settled(tmp_path)
    unit.clear(state(2, 2))
    for each in pending(unit, "debug"):
        unit.lane("debug").settle(each, Settled(dropped=len(each), status="dropped"))
    assert unit.is_settled
    unit.clear(state(2, 2))
    for found in (unit, unit_of(tmp_path)):
        assert found.digests() == {}
        assert places(found, "debug") == []
    assert sorted(path.name for path in unit.directory.iterdir() if path.stat().st_size) == ["unit.json"]


def test_a_removed_unit_stays_for_an_optional_lane_without_a_resume_point(tmp_path: Path) -> None:
    unit = required_are_settled(tmp_path)
    unit.remove()
    found = unit_of(tmp_path)
    assert found.state is None
    assert places(found, "debug") == [("a", list(range(6))), ("b", [0, 1])]
    for each in pending(found, "debug"):
        found.lane("debug").settle(each, settled(each))
    found.remove()
    assert not found.directory.exists()


# -- parts


def test_cuts_last_and_what_is_settled_is_left_out_of_the_parts(tmp_path: Path) -> None:
    unit = begun(tmp_path, required=("",))
    first, _ = pending(unit)
    unit.lane("").cut(first, 3)
    left, right, _ = pending(unit)
    unit.lane("").cut(right, 5)
    settle_part(unit, "", left, [1])
    for found in (unit, unit_of(tmp_path, required=("",))):
        assert places(found) == [("a", [0, 2]), ("a", [3, 4]), ("a", [5]), ("b", [0, 1])]
    keys = [[each.key("json") for each in pending(found)] for found in (unit, unit_of(tmp_path, required=("",)))]
    assert keys[0] == keys[1]


def test_a_cut_that_is_made_while_lots_are_handed_out_counts_for_those_behind(tmp_path: Path) -> None:
    unit = begun(tmp_path, required=("",))
    lane = unit.lane("")
    handed = lane.pending()
    first = next(handed)
    behind = pending(unit)[1]
    lane.cut(behind, 1)
    assert [list(each.places) for each in handed] == [[0], [1]]
    assert len(first) == 6


def test_what_goes_whole_or_not_at_all_is_remembered_for_exactly_this_part(tmp_path: Path) -> None:
    unit = begun(tmp_path, required=("",))
    first, second = pending(unit)
    unit.lane("").leave_whole(first.part([1, 2, 4]))
    unit.lane("").leave_whole(second)
    for found in (unit, unit_of(tmp_path, required=("",))):
        lane = found.lane("")
        assert lane.is_left_whole(first.part([1, 2, 4]))
        assert lane.is_left_whole(second)
        assert not lane.is_left_whole(first)
        assert not lane.is_left_whole(first.part([1, 2]))
        assert not lane.is_left_whole(second.part([0]))


def test_counts_of_what_became_of_events_are_in_the_journal(tmp_path: Path) -> None:
    unit = begun(tmp_path, required=("",))
    first, second = pending(unit)
    unit.lane("").settle(first.part([0, 1]), Settled(duplicate=2, status="HTTP 409", attempts=3))
    unit.lane("").settle(second, Settled(dead=2, status="HTTP 400"))
    entries = unit_of(tmp_path, required=("",)).lane("").entries()
    assert [(e.lot_id, [tuple(span) for span in e.spans], e.settled) for e in entries] == [
        ("a", [(0, 2)], Settled(duplicate=2, status="HTTP 409", attempts=3)),
        ("b", [], Settled(dead=2, status="HTTP 400")),
    ]


# -- receipts


def test_events_under_a_receipt_are_not_handed_out_and_not_settled(tmp_path: Path) -> None:
    unit = begun(tmp_path, required=("",))
    first, _ = pending(unit)
    unit.lane("").receive(first.part([0, 3]), RECEIPT, at_ms=T0_MS)
    for found in (unit, unit_of(tmp_path, required=("",))):
        lane = found.lane("")
        assert places(found) == [("a", [1, 2, 4, 5]), ("b", [0, 1])]
        assert (lane.awaiting_events, lane.waiting_events, lane.settled_digests()) == (2, 8, {})
        (awaiting,) = lane.awaiting()
        assert (list(awaiting.lot.places), awaiting.receipt, awaiting.at_ms) == ([0, 3], RECEIPT, T0_MS)
        assert awaiting.lot.key("json") == first.part([0, 3]).key("json")
        with pytest.raises(StateError, match="still holds 8 events"):
            found.clear(None)


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_receipt_ends_by_an_answer_or_expires(tmp_path: Path, confirmed: bool) -> None:
    unit = begun(tmp_path, required=("",))
    first, _ = pending(unit)
    part = first.part([0, 3])
    unit.lane("").receive(part, RECEIPT, at_ms=T0_MS)
    if confirmed:
        unit.lane("").settle(part, settled(part))
    else:
        unit.lane("").expire(part)
    for found in (unit, unit_of(tmp_path, required=("",))):
        assert found.lane("").awaiting() == []
        assert places(found)[0] == ("a", [1, 2, 4, 5] if confirmed else list(range(6)))


def test_a_receipt_of_which_a_part_was_settled_gives_back_the_rest_when_it_ends(tmp_path: Path) -> None:
    """As after an answer that tells each event apart, also where the process died before the rest was given back."""
    unit = begun(tmp_path, required=("",))
    first, _ = pending(unit)
    unit.lane("").receive(first, RECEIPT, at_ms=T0_MS)
    settle_part(unit, "", first, [0, 4])
    found = unit_of(tmp_path, required=("",))
    (awaiting,) = found.lane("").awaiting()
    assert [lot_id for lot_id, _ in places(found)] == ["b"]
    found.lane("").expire(awaiting.lot)
    for again in (found, unit_of(tmp_path, required=("",))):
        assert places(again) == [("a", [1, 2, 3, 5]), ("b", [0, 1])]
        assert again.lane("").waiting_events == 6
