"""Paging: the ends that the original sees too early or never, and lists that move while they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.groups import Limits, Pagination
from flicker_dagster.errors import BadAnswer
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster_tests.conformance.harness import okta_scene, plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.conformance.twists import always_next, asked, twist

rows(
    "flicker",
    {
        8: "page numbers with the documented keys stop after the first page",
        9: "a nested results_field is not found, so offset paging stops after the first page",
        10: "a server that caps its pages below page_size ends the walk after the first one",
        11: "a cap on pages or offset ends the walk and the position moves past what was not read",
        12: "rows inserted while a newest-first list is read shift events out of sight",
        25: "an empty results_field, as documented for an array at the root, finds nothing",
        26: "a null or empty next cursor is followed for ever, or fails every poll",
        27: "an API that returns the current page's number is asked for ever",
        33: "cursor paging never sends the page size: ten times the requests",
        47: "answers are read whatever their size, and all pages are held in memory",
    },
)
rows(
    "helr",
    {
        4: "from page two on, the time filter and the query parameters are left out: another query",
        5: "a next link that is always there costs the most pages on every poll",
    },
)


@row(
    "flicker-8",
    "flicker-9",
    "flicker-10",
    behaviour="a walk ends at an empty page or the vendor's own sign, never at a short one",
)
@pytest.mark.parametrize("paging", ["page", "offset", "cursor", "link"])
@pytest.mark.parametrize("most", [1_000, 5])
def test_every_page_is_read_whatever_the_server_caps(tmp_path: Path, paging: str, most: int) -> None:
    with plain_scene(tmp_path, shape=Shape(paging=paging, most=most)) as scene:
        scene.emit(45)
        assert scene.poll().complete
        scene.assert_each_once()


@row("flicker-11", behaviour="a budget keeps a resume point, says so, and the position waits for the whole walk")
@pytest.mark.parametrize("paging", ["page", "offset", "cursor"])
def test_a_backlog_beyond_the_budget_is_read_in_several_polls(tmp_path: Path, paging: str) -> None:
    shape = Shape(paging=paging, newest_first=True)
    with plain_scene(tmp_path, shape=shape, limits=Limits(run_pages=3)) as scene:
        scene.emit(100)
        first = scene.poll()
        assert not first.complete
        assert first.end == first.start, "what was not read yet is not passed"
        assert any(scene.poll().complete for _ in range(5)), "100 events, 10 a page, 3 pages a poll"
        scene.assert_each_once()


@row(
    "flicker-12",
    behaviour="the end of the span is frozen at the walk's start, and ids recognise what shifts into view twice",
)
@pytest.mark.parametrize("paging", ["page", "offset"])
def test_rows_inserted_while_the_list_is_read_cost_nothing(tmp_path: Path, paging: str) -> None:
    with plain_scene(tmp_path, shape=Shape(paging=paging, newest_first=True)) as scene:
        scene.emit(35)
        answer = scene.vendor.answer
        pages = 0

        def inserting(request: Request, *, expired: bool) -> Response:
            nonlocal pages
            pages += 1
            response = answer(request, expired=expired)
            if pages in (1, 2):
                scene.emit(3, seconds_ago=0)
            return response

        scene.vendor.answer = inserting  # type: ignore[method-assign]
        scene.poll()
        scene.clock.now_s += 5
        scene.poll()
        scene.assert_each_once()


@row(
    "flicker-12",
    behaviour="the end of the span is frozen at the walk's start, and ids recognise what shifts into view twice",
)
@pytest.mark.parametrize("paging", ["page", "offset"])
@pytest.mark.parametrize("arriving", [3, 10, 20])
def test_a_list_without_an_upper_bound_may_shift_by_whole_pages(tmp_path: Path, paging: str, arriving: int) -> None:
    """Ten rows or twenty push a page, or two, back into view: a page without news is not the end."""
    shape = Shape(paging=paging, newest_first=True)
    with plain_scene(tmp_path, shape=shape, time_filter_until_param=None) as scene:
        there = scene.emit(35, seconds_ago=5)
        answer = scene.vendor.answer
        pages = 0

        def inserting(request: Request, *, expired: bool) -> Response:
            nonlocal pages
            pages += 1
            response = answer(request, expired=expired)
            if pages == 1:
                scene.emit(arriving, seconds_ago=2)
            return response

        scene.vendor.answer = inserting  # type: ignore[method-assign]
        scene.poll()
        assert set(there) <= scene.received().keys(), "whatever stood in the list when the walk began"
        scene.poll()
        scene.assert_each_once()


@row("flicker-25", behaviour="empty means that the array is the answer")
def test_an_array_at_the_root_is_read(tmp_path: Path) -> None:
    with plain_scene(tmp_path, results_field="", pagination=Pagination(pagination_type="none")) as scene:
        twist(scene, lambda _request, body: body["data"]["events"])
        scene.emit(8)
        scene.poll()
        scene.assert_each_once()


@row("flicker-26", behaviour="null, empty, absent and a repeated one all end the walk")
@pytest.mark.parametrize("last", [None, "", "absent"])
def test_a_last_page_ends_the_walk_however_it_says_so(tmp_path: Path, last: str | None) -> None:
    with plain_scene(tmp_path) as scene:

        def at_the_end(_request: Request, body: dict[str, Any]) -> dict[str, Any]:
            if body["meta"]["next_cursor"] is None:
                body["meta"] = {"has_more": False} if last == "absent" else {"next_cursor": last, "has_more": False}
            return body

        twist(scene, at_the_end)
        scene.emit(25)
        scene.poll()
        assert scene.vendor.requests == 3
        scene.assert_each_once()


@row("flicker-26", behaviour="null, empty, absent and a repeated one all end the walk")
@pytest.mark.parametrize("cursors", [["again"], ["a", "b"]])
def test_a_repeated_cursor_ends_the_walk(tmp_path: Path, cursors: list[str]) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(8)
        always_next(scene, cursors)
        scene.poll()
        assert scene.vendor.requests <= len(cursors) + 2
        scene.assert_each_once()


@row("flicker-27", behaviour="no progress ends the walk: a page number that stays, or pages without a new id")
def test_a_page_number_that_never_moves_ends_the_walk(tmp_path: Path) -> None:
    paging = Pagination(
        pagination_type="page", page_param="page", next_page_field="meta.page", limit_param="limit", page_size=10
    )
    with plain_scene(tmp_path, shape=Shape(paging="page"), pagination=paging) as scene:

        def stuck(_request: Request, body: dict[str, Any]) -> dict[str, Any]:
            body["meta"]["page"] = 1
            return body

        twist(scene, stuck)
        scene.emit(8)
        scene.poll()
        assert scene.vendor.requests <= 5
        scene.assert_each_once()


@row("flicker-33", behaviour="limit_param goes with every kind of paging")
@pytest.mark.parametrize("paging", ["cursor", "page", "offset"])
def test_the_page_size_is_sent(tmp_path: Path, paging: str) -> None:
    with plain_scene(tmp_path, shape=Shape(paging=paging, page_size=50)) as scene:
        seen = asked(scene)
        scene.emit(100)
        scene.poll()
        assert {request.query["limit"] for request in seen} == {"50"}
        assert len(seen) <= 3
        scene.assert_each_once()


@row("flicker-47", behaviour="one page at a time goes to the spool, and an answer has a largest size")
def test_an_answer_beyond_the_largest_size_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(page_size=100)) as scene:
        scene.emit(100)
        fitting = scene.source
        scene.source = fitting.model_copy(update={"limits": Limits(page_bytes=2_000)})
        with pytest.raises(BadAnswer, match=r"larger than limits\.page_bytes"):
            scene.fetch()
        scene.source = fitting
        scene.poll()
        scene.assert_each_once()


@row("helr-4", behaviour="every page is asked for with the time filter and all query parameters")
@pytest.mark.parametrize("paging", ["cursor", "page", "offset"])
def test_every_page_belongs_to_the_same_query(tmp_path: Path, paging: str) -> None:
    with plain_scene(tmp_path, shape=Shape(paging=paging), query_params={"category": "auth"}) as scene:
        seen = asked(scene)
        scene.emit(35)
        scene.poll()
        assert len(seen) >= 4
        assert {(r.query["since"], r.query["until"], r.query["category"]) for r in seen} == {
            (seen[0].query["since"], seen[0].query["until"], "auth")
        }
        scene.assert_each_once()


@row("helr-5", behaviour="an empty page ends the walk, whatever link or cursor it offers")
def test_a_next_cursor_on_an_empty_page_is_not_followed(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        numbers = iter(range(1_000))

        def forever(_request: Request, body: dict[str, Any]) -> dict[str, Any]:
            if body["meta"]["next_cursor"] is None:
                last = body["data"]["events"][-1:] or [{"number": 10_000 + next(numbers)}]
                body["meta"]["next_cursor"] = f"after-{last[0]['number']}"
            return body

        twist(scene, forever)
        scene.emit(25)
        scene.poll()
        assert scene.vendor.requests == 4
        scene.poll()
        scene.assert_each_once()


@row("helr-5", behaviour="an empty page ends the walk, whatever link or cursor it offers")
def test_oktas_endless_next_link_costs_one_request_a_poll(tmp_path: Path) -> None:
    with okta_scene(tmp_path) as scene:
        scene.emit(5, seconds_ago=0)
        scene.clock.now_s += 1
        scene.poll()
        before = scene.vendor.requests
        for _ in range(3):
            scene.clock.now_s += 30
            scene.poll()
        assert scene.vendor.requests - before == 3
        scene.assert_each_once()
