"""Answers as some vendors give them: other spellings of times and words, arrays by day, a mark in front, XML."""

from __future__ import annotations

import json

from flicker_dagster.infer.columns import columns_of, format_of, ids_in, times_in
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster_tests.infer.vendor_rows import FIRST_MS, ROWS
from flicker_dagster_tests.infer.worlds import World, number, said, source_of


def test_seconds_with_a_fraction_are_a_time_in_a_text_as_well() -> None:
    assert format_of(["1777712047.123", "1777712048.5"]) == "unix"
    assert format_of(["1.5"]) is None


def test_a_mark_in_front_of_the_json_is_none_of_it(world: World) -> None:
    world.answer = lambda _: Response(200, b"\xef\xbb\xbf" + json.dumps({"logs": ROWS}).encode(), [])
    assert world.lines("/audit")["events"] == len(ROWS)


def test_arrays_whose_names_change_are_no_source(world: World) -> None:
    world.answer = lambda _: Response.json({"days": {"2026-05-01": ROWS[:7], "2026-05-02": ROWS[7:]}})
    told = world.lines("/audit")
    assert not told["whole"]
    assert "arrays whose names change (days.2026-05-0" in said(told)


def test_xml_is_called_by_its_name(world: World) -> None:
    world.answer = lambda _: Response(200, b"<?xml version='1.0'?><events/>", [])
    assert "bytes of XML" in said(world.lines("/audit"))


def test_a_member_that_is_called_like_a_time_and_is_none_is_named(world: World) -> None:
    world.answer = lambda _: Response.json([{"id": row["id"], "createdAt": "/Date(1777712047000)/"} for row in ROWS])
    assert "(createdAt: by name alone" in said(world.lines("/audit"))


def newest_first(request: Request) -> Response:
    begin, rows = number(request, "cursor", 0), ROWS[::-1]
    more = begin + 5 < len(rows)
    return Response.json({"rows": rows[begin : begin + 5], "hasMore": str(more).lower(), "cursor": str(begin + 5)})


def test_a_listing_newest_first_without_a_start_is_read_back_to_where_one_stood(world: World) -> None:
    world.answer = newest_first
    done, block = world.infer("/audit?limit=5&until=2026-06-02T00:00:00Z")
    assert source_of(block)["paging"]["ends_at_start"] is True
    assert "its newest part" in done.output


def test_more_may_be_a_word(world: World) -> None:
    world.answer = newest_first
    assert source_of(world.infer("/audit?limit=5")[1])["paging"]["more"] == {"at": "hasMore"}


def test_a_value_below_its_type_is_called_by_what_is_above() -> None:
    rows = [{"_id": {"$oid": f"{place:024x}"}, "at": {"$date": row["time"]}} for place, row in enumerate(ROWS)]
    columns = columns_of(rows)
    times = times_in(columns, now_ms=FIRST_MS + 86_400_000)
    assert [each.path for each in times] == ["at.$date"]
    assert [each.path for each in ids_in(columns, times)] == ["_id.$oid"]


def test_what_is_not_known_is_said_where_the_inquiry_ends_early_as_well(world: World) -> None:
    """No name of a start that is tried is known to this vendor."""
    world.answer = newest_first
    told = world.lines("/audit?limit=5", "--try")
    assert told["requests"] == 40
    assert "ended early" in said(told)
    assert "No parameter for the start of a span is known" in said(told)
