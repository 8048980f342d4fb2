"""How a listing goes on, where that is unusual; and what is said where nothing that was tried leads on."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.times import parse_time_ms
from flicker_dagster_tests.infer.vendor_rows import ROWS
from flicker_dagster_tests.infer.worlds import World, by_cursor, number, said, since, source_of

ASKED = "/audit?since=2026-05-02T00:00:00Z&limit=5"


def line(told: dict[str, Any], key: str) -> dict[str, Any] | None:
    return next((each for each in told["lines"] if each["key"] == key), None)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("X-Next-Cursor", "cursor"),
        ("Next-Page-Token", "page_token"),
        ("X-Continuation-Token", "continuationToken"),
        ("X-Next-Page", "page"),
    ],
)
def test_a_cursor_in_a_header_of_the_answer_leads_on(world: World, header: str, name: str) -> None:
    def answer(request: Request) -> Response:
        begin, rows = number(request, name, 0), since(request, ROWS)
        headers = [(header, str(begin + 5))] if begin + 5 < len(rows) else []
        return Response.json(rows[begin : begin + 5], headers=headers)

    world.answer = answer
    paging = source_of(world.infer(ASKED)[1])["paging"]
    assert paging["following"] == {"of": "header", "at": header}
    assert paging["cursor"] == {"at": name}


def test_a_cursor_that_is_told_and_taken_in_a_header_leads_on(world: World) -> None:
    def answer(request: Request) -> Response:
        begin, rows = int(request.headers.get("x-continuation", "0")), since(request, ROWS)
        return Response.json(rows[begin : begin + 5], headers=[("X-Continuation", str(begin + 5))])

    world.answer = answer
    paging = source_of(world.infer(ASKED)[1])["paging"]
    assert paging["following"] == {"of": "header", "at": "X-Continuation"}
    assert paging["cursor"] == {"into": "header", "at": "X-Continuation"}


@pytest.mark.parametrize(("name", "first"), [("page", 1), ("pageNumber", 0)])
def test_a_page_number_that_only_the_answer_shows_is_counted(world: World, name: str, first: int) -> None:
    def answer(request: Request) -> Response:
        page, rows = number(request, name, first), since(request, ROWS)
        begin = (page - first) * 5
        return Response.json({"paging": {name: page}, "events": rows[begin : begin + 5]})

    world.answer = answer
    paging = source_of(world.infer(ASKED)[1])["paging"]
    assert (paging["page"], paging["first_page"]) == ({"at": name}, first)


def test_an_offset_that_only_the_answer_shows_is_counted(world: World) -> None:
    def answer(request: Request) -> Response:
        skip, rows = number(request, "offset", 0), since(request, ROWS)
        return Response.json({"offset": skip, "total": len(rows), "events": rows[skip : skip + 5]})

    world.answer = answer
    paging = source_of(world.infer(ASKED)[1])["paging"]
    assert (paging["offset"], paging["total"]) == ({"at": "offset"}, {"at": "total"})


def test_a_number_that_comes_again_on_each_page_is_no_id(world: World) -> None:
    def answer(request: Request) -> Response:
        page, rows = number(request, "page", 1), since(request, ROWS)
        rows = rows[(page - 1) * 5 : page * 5]
        return Response.json([{**row, "id": place, "ref": row["id"]} for place, row in enumerate(rows)])

    world.answer = answer
    told = world.lines(f"{ASKED}&page=1")
    assert told["second_page"], told
    assert line(told, "id_field") is None
    assert "known by their content" in said(told)


def test_the_same_events_with_another_number_are_no_second_page(world: World) -> None:
    asked = iter(range(100))

    def answer(_: Request) -> Response:
        return Response.json([{**row, "id": f"{next(asked)}-{row['id']}"} for row in ROWS[:5]])

    world.answer = answer
    assert not world.lines(f"{ASKED}&page=1")["second_page"]


def test_a_larger_page_with_the_same_events_is_no_second_page(world: World) -> None:
    """Asked with the cursor alone, the vendor knows neither cursor nor page size."""

    def answer(request: Request) -> Response:
        rows = ROWS[: number(request, "limit", 15)]
        return Response.json({"events": rows, "has_more": True})

    world.answer = answer
    assert not world.lines("/audit?limit=5")["second_page"]


def test_a_listing_that_is_cut_off_in_silence_is_begun_anew_where_it_was_cut(world: World) -> None:
    world.answer = lambda request: Response.json(since(request, ROWS)[:6])
    told = world.lines("/audit?since=2026-05-02T00:00:00Z")
    most = line(told, "paging.most")
    assert most is not None
    assert (most["value"], most["sure"]) == (6, "sure")
    assert told["whole"]


def test_so_is_one_that_says_that_there_is_more_and_not_where(world: World) -> None:
    def answer(request: Request) -> Response:
        rows = since(request, ROWS)
        return Response.json({"events": rows[:5], "has_more": len(rows) > 5})

    world.answer = answer
    paging = source_of(world.infer(ASKED)[1])["paging"]
    assert paging == {"page_size": 5, "limit": {"at": "limit"}, "most": 5}


def test_events_that_happen_meanwhile_cut_nothing_off(world: World) -> None:
    """Each answer has what came since the last one."""
    there = 6

    def answer(request: Request) -> Response:
        nonlocal there
        there += 1
        return Response.json(since(request, ROWS[:there]))

    world.answer = answer
    assert line(world.lines("/audit?since=2026-05-02T00:00:00Z"), "paging.most") is None


def test_newest_first_without_a_way_to_the_older_ones_is_no_source(world: World) -> None:
    def answer(request: Request) -> Response:
        return Response.json({"events": since(request, ROWS)[::-1][: number(request, "limit", 10)]})

    world.answer = answer
    told = world.lines(ASKED)
    assert not told["whole"]
    assert "nothing that was tried leads to them" in said(told)


def test_more_than_came_is_a_doubt_where_no_way_leads_there(world: World) -> None:
    world.answer = lambda _: Response.json({"events": ROWS[:5], "has_more": True})
    told = world.lines("/audit?limit=5")
    assert not told["whole"]
    assert "has_more says so" in said(told)


def test_a_way_that_no_page_has_shown_is_a_doubt(world: World) -> None:
    world.answer = lambda _: Response.json({"events": ROWS[:5]})
    told = world.lines("/audit?limit=5&page=1")
    assert "No second page was seen" in said(told)


def test_why_the_likeliest_way_was_refused_is_said(world: World) -> None:
    world.answer = lambda _: Response.json({"events": ROWS[:5], "next": "http://internal.invalid/audit?from=5"})
    done, _ = world.infer("/audit?limit=5")
    assert "leads to another host (http://internal.invalid)" in done.stdout
    assert "WARNING" not in done.output


def test_a_first_page_without_events_is_gone_on_from(world: World) -> None:
    def answer(request: Request) -> Response:
        page = number(request, "cursor", 0)
        rows = since(request, ROWS)[(page - 1) * 5 : page * 5] if page else []
        return Response.json({"events": rows, "next_cursor": str(page + 1) if page < 4 else None})

    world.answer = answer
    told = world.lines(ASKED)
    assert told["whole"], told
    empty = line(told, "paging.empty_page_ends")
    assert empty is not None
    assert (empty["value"], empty["sure"]) == (False, "sure")


def test_a_gzip_file_is_read(world: World) -> None:
    packed = gzip.compress(json.dumps({"logs": ROWS}).encode())
    world.answer = lambda _: Response(200, packed, [("Content-Type", "application/gzip")])
    assert world.lines("/audit.json.gz")["events"] == len(ROWS)


def test_microseconds_are_a_start(world: World) -> None:
    rows = [{**row, "time": (parse_time_ms(row["time"]) or 0) * 1000} for row in ROWS]

    def answer(request: Request) -> Response:
        return Response.json([row for row in rows if row["time"] >= int(request.query["begin"])])

    world.answer = answer
    told = world.lines("/audit?begin=1777680000000000")
    start = line(told, "request.start")
    assert start is not None
    assert (start["value"], start["sure"]) == ({"at": "begin"}, "sure")
    assert (line(told, "time_filter_format") or {})["value"] == "unix_us"


@pytest.mark.parametrize("exclusive", [True, False])
def test_whether_the_start_itself_is_listed_is_seen(world: World, exclusive: bool) -> None:
    def answer(request: Request) -> Response:
        start_ms = parse_time_ms(request.query["since"]) or 0
        times = [(parse_time_ms(row["time"]) or 0, row) for row in ROWS]
        return Response.json([row for ms, row in times if ms > start_ms or (ms == start_ms and not exclusive)])

    world.answer = answer
    source = source_of(world.infer("/audit?since=2026-05-02T00:00:00.000Z")[1])
    assert source["request"].get("start_exclusive", False) is exclusive


def test_the_page_size_of_the_question_stays(world: World) -> None:
    """Fewer are asked for to see a next page; whoever collects asks for more."""
    world.answer = by_cursor
    told = world.lines("/audit?limit=50")
    size, limit = line(told, "paging.page_size"), line(told, "paging.limit")
    assert size is not None
    assert limit is not None
    assert (size["value"], size["sure"], limit["sure"]) == (50, "guess", "sure")


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Response(200, b"<!doctype html><title>Sign in</title>", []), "HTML"),
        (Response(200, b"", []), "an empty answer"),
        (Response(204, b"", []), "HTTP 204"),
        (Response.json({"ok": False, "error": "invalid_auth"}), "error: invalid_auth"),
        (Response.json({"errors": [{"message": "Field 'x' not found"}], "data": None}), "Field 'x' not found"),
    ],
)
def test_an_answer_without_events_is_described(world: World, response: Response, words: str) -> None:
    world.answer = lambda _: response
    told = world.lines("/audit")
    assert not told["whole"]
    assert words in said(told)
    assert line(told, "equal_rows") is None


def test_names_that_no_configuration_can_hold_are_told(world: World) -> None:
    world.answer = lambda _: Response.json({"\x1b[31mevents": [{**row, "ti\u202eme": row["time"]} for row in ROWS]})
    done, _ = world.infer("/audit")
    assert done.exit_code == 1
    assert "\u202e" not in done.output
    assert "\x1b" not in done.output
    assert "control characters" in done.output


def test_credentials_that_are_missing_are_asked_for_by_the_options(world: World) -> None:
    world.answer = lambda _: Response.json({"message": "who are you"}, 401)
    done, _ = world.infer("/audit")
    assert "--bearer VAR" in done.output
    assert "`flicker --help`" not in done.output
