"""What is kept of a walk helps the next one, and never stops a source."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flicker_dagster.config.groups import Limits
from flicker_dagster.errors import CollectError, VendorRefused
from flicker_dagster.pipeline.resuming import MOST_FAILURES
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.types import Position
from flicker_dagster_tests.conformance.harness import Scene, okta_scene, plain_scene

#: In how many ways vendors say that they no longer take a cursor, a page or an offset.
REFUSALS = [401, 403, 404, 405, 409, 418, 422, 500, 502, "error in a 200", "HTML", "cut"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with plain_scene(tmp_path, buffer_size=10, limits=Limits(run_pages=2)) as scene:
        yield scene


class Refusing:
    """Answers in one way to what `refuses` says, and counts it."""

    def __init__(self, scene: Scene, how: Any, refuses: Any) -> None:
        self.vendor, self.how, self.refuses, self.count = scene.vendor, how, refuses, 0
        self.honest = scene.vendor.answer
        scene.vendor.answer = self.answer  # type: ignore[method-assign]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if not self.refuses(request.query):
            return self.honest(request, expired=expired)
        self.count += 1
        if self.how == "error in a 200":
            return Response.json({"error": "bad cursor"}, 200)
        if self.how in ("HTML", "cut"):
            return Response(200, b"<html>" if self.how == "HTML" else b'{"data": {"ev', [])
        return Response.json({"error": "no"}, self.how)


def poll(scene: Scene) -> str | None:
    """One poll; what it failed with."""
    try:
        scene.poll()
    except CollectError as error:
        return str(error)
    return None


@pytest.mark.parametrize("how", REFUSALS)
@pytest.mark.parametrize("paging", ["cursor", "page", "offset", "link"])
def test_a_refused_resume_point_is_left_after_three_times_whatever_is_said(
    tmp_path: Path, how: Any, paging: str, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(run_pages=2)
    with plain_scene(tmp_path, buffer_size=10, limits=limits, shape=Shape(paging=paging)) as scene:
        scene.emit(45)
        assert poll(scene) is None
        scene.source = scene.source.model_copy(update={"limits": Limits()})
        kept = {"cursor": "after-19", "link": "after-19", "page": "3", "offset": "20"}[paging]
        asked = {"link": "cursor"}.get(paging, paging)
        first: list[bool] = []

        def refuses(query: dict[str, str]) -> bool:
            """The resume point, until a walk by time has begun."""
            if query.get(asked) in (None, "1", "0"):
                first.append(True)
            return query.get(asked) == kept and not first

        refusing = Refusing(scene, how, refuses)
        times = 1 if how == 404 and asked == "cursor" else MOST_FAILURES  # by default a 404 says that a cursor expired
        said = [poll(scene) for _ in range(times)]
        assert None not in said[:-1]
        assert said[-1] is None
        assert refusing.count == times
        scene.assert_each_once()
        told = [record.getMessage() for record in caplog.records if "started again by time" in record.getMessage()]
        assert len(told) == 1
        assert told[0].startswith("plain: GET http")


def test_what_fails_by_time_as_well_costs_no_resume_point(scene: Scene) -> None:
    """A wrong token, an outage: when it is over the walk goes on at its page."""
    scene.emit(45)
    assert poll(scene) is None
    refusing = Refusing(scene, 401, lambda _query: True)
    for number in range(6):
        assert "HTTP 401" in (poll(scene) or "")
        assert refusing.count == number + 1 + max(0, number + 2 - MOST_FAILURES), "no more than one try by time a poll"
    scene.vendor.answer = refusing.honest  # type: ignore[method-assign]
    before = scene.vendor.requests
    assert poll(scene) is None
    assert poll(scene) is None
    assert scene.vendor.requests - before == 3
    scene.assert_each_once()


def test_the_count_of_failures_survives_kills_and_ends_with_a_success(scene: Scene) -> None:
    scene.emit(45)
    assert poll(scene) is None
    Refusing(scene, 422, lambda query: "cursor" in query)
    assert poll(scene) is not None
    with scene.work() as work:  # another process
        state = work.live.state
        assert state is not None
        assert state.failed is not None
        assert state.failed.times == 1
    scene.vendor.answer = type(scene.vendor).answer.__get__(scene.vendor)  # type: ignore[method-assign]
    assert poll(scene) is None
    with scene.work() as work:
        assert work.live.state is not None
        assert work.live.state.failed is None


def test_a_page_that_always_fails_delivers_what_came_before_it_and_holds_the_position(scene: Scene) -> None:
    scene.source = scene.source.model_copy(update={"limits": Limits()})
    scene.emit(45)
    with scene.work() as work, work.spool.lock():
        stood = work.registry.position("plain")
    Refusing(scene, 400, lambda query: query.get("cursor") == "after-29")
    for _ in range(2 * MOST_FAILURES + 1):
        with pytest.raises(VendorRefused):
            scene.fetch()
        report = scene.deliver()
        assert not report.complete
        assert stood is None or report.end == stood
        stood = report.end
    assert len(scene.received()) == 30
    assert set(scene.received().values()) == {1}


@pytest.mark.parametrize(
    "changes",
    [
        {"query_params": {"q": "more"}},
        {"slice_ms": 600_000},
        {"time_filter_format": "unix"},
        {"headers": {"X-Version": "2"}},
        {"pagination": "page_size"},
        {"endpoint": "/"},
    ],
)
def test_a_walk_is_begun_anew_when_what_shaped_it_has_changed(scene: Scene, changes: dict[str, Any]) -> None:
    scene.emit(45)
    assert poll(scene) is None
    if "pagination" in changes:
        changes = {"pagination": scene.source.pagination.model_copy(update={"page_size": 5})}
    if "endpoint" in changes:
        changes = {"endpoint": f"{scene.source.endpoint}?x=1"}
    scene.source = scene.source.model_copy(update=changes | {"limits": Limits()})
    asked = _asked(scene)
    assert poll(scene) is None
    assert "cursor" not in asked[0], "its first request is by time"
    scene.clock.now_s += 2  # in whole seconds the present one cannot be asked for yet
    assert poll(scene) is None
    scene.assert_each_once()


@pytest.mark.parametrize(
    "changes", [{"lookback_ms": 60_000}, {"buffer_size": 3}, {"headers": {"Authorization": "another"}}, {}]
)
def test_a_walk_goes_on_where_nothing_of_its_shape_has_changed(scene: Scene, changes: dict[str, Any]) -> None:
    scene.emit(45)
    assert poll(scene) is None
    scene.source = scene.source.model_copy(update=changes)
    before = scene.vendor.requests
    assert poll(scene) is None
    assert poll(scene) is None
    assert scene.vendor.requests - before == 3
    scene.assert_each_once()


def test_a_walk_of_an_older_flicker_is_begun_anew(scene: Scene) -> None:
    """It says nothing of what shaped it."""
    scene.emit(45)
    assert poll(scene) is None
    with scene.work() as work, work.spool.lock():
        unit = work.live
        assert unit.state is not None
        unit.append([], msgspec.structs.replace(unit.state, shape=None))
    scene.source = scene.source.model_copy(update={"limits": Limits()})
    before = scene.vendor.requests
    assert poll(scene) is None
    assert scene.vendor.requests - before == 5
    scene.assert_each_once()


def test_a_windows_resume_point_is_left_as_well_and_its_count_begins_anew(scene: Scene) -> None:
    scene.source = scene.source.model_copy(update={"limits": Limits()})
    poll(scene)
    window = window_at(scene.source.window, scene.clock.now_ms - 2 * HOUR_MS)
    for number in range(45):
        scene.vendor.emitter.emit(1, at_ms=window.start_ms + number * 1000)
    asked = iter(range(10**6))
    Refusing(scene, 409, lambda query: query.get("cursor") == "after-29" and next(asked) < MOST_FAILURES)
    for _ in range(MOST_FAILURES - 1):
        with pytest.raises(VendorRefused):
            scene.sweep(window.key)
    report = scene.sweep(window.key)
    assert (report.tally.seen, report.tally.new) == (45, 45)
    scene.assert_each_once()


def test_a_durable_cursor_of_another_configuration_is_not_used(tmp_path: Path) -> None:
    with okta_scene(tmp_path) as scene:
        scene.emit(25)
        scene.poll()
        assert scene.cursor is not None
        assert scene.cursor.cursor is not None
        scene.emit(3)
        paging = scene.source.pagination.model_copy(update={"page_size": 7})
        scene.source = scene.source.model_copy(update={"pagination": paging})
        urls = _asked(scene)
        scene.poll()
        assert "after" not in urls[0]
        assert urls[0]["limit"] == "7"
        del urls[:]
        scene.poll()
        assert "after" in urls[0], "the new configuration's own cursor is kept again"
        scene.assert_each_once()


def test_a_refused_durable_cursor_is_left_after_three_polls_and_repeats_nothing(tmp_path: Path) -> None:
    with okta_scene(tmp_path) as scene:
        scene.emit(25)
        scene.poll()
        assert scene.cursor is not None
        dead = (scene.cursor.cursor or "").partition("after=")[2].partition("&")[0]
        assert dead
        scene.emit(3)
        refusing = Refusing(scene, 422, lambda query: query.get("after") == dead)
        said = [poll(scene) for _ in range(MOST_FAILURES)]
        assert said[-1] is None, said
        assert refusing.count == MOST_FAILURES
        scene.assert_each_once()


def test_a_cursor_typed_by_hand_is_used(tmp_path: Path) -> None:
    with okta_scene(tmp_path) as scene:
        scene.emit(25)
        scene.poll()
        assert scene.cursor is not None
        typed = Position(scene.cursor.last_timestamp, f"{scene.source.endpoint}?after=0&limit=5")
        urls = _asked(scene)
        scene.cursor = typed
        poll(scene)
        assert urls[0].get("after") == "0"


def _asked(scene: Scene) -> list[dict[str, str]]:
    """The queries of all requests from now on."""
    queries: list[dict[str, str]] = []
    honest = scene.vendor.answer

    def answer(request: Request, *, expired: bool) -> Response:
        queries.append(request.query)
        return honest(request, expired=expired)

    scene.vendor.answer = answer  # type: ignore[method-assign]
    return queries


def test_pagination_keys_that_shape_no_listing_cost_no_resume_point(scene: Scene) -> None:
    scene.emit(45)
    assert poll(scene) is None
    paging = scene.source.pagination.model_copy(update={"cursor_expired_status": [400, 422]})
    scene.source = scene.source.model_copy(update={"pagination": paging})
    before = scene.vendor.requests
    poll(scene)
    poll(scene)
    assert scene.vendor.requests - before == 3


def test_a_fetch_ends_with_run_seconds_while_an_answer_is_waited_for(tmp_path: Path) -> None:
    """What was read before is kept, the next poll goes on from there, and it counts as no failure."""
    with plain_scene(tmp_path, buffer_size=10, limits=Limits(run_seconds=1)) as scene:
        scene.emit(45)
        scene.vendor.faults.plan("slow", after=2, seconds=20)
        began_s = time.monotonic()
        report = scene.fetch()
        assert time.monotonic() - began_s < 5
        assert not report.complete
        assert "limits.run_seconds (1)" in (report.stopped or "")
        scene.deliver()
        assert len(scene.received()) == 20
        with scene.work() as work:
            assert work.live.state is not None
            assert work.live.state.failed is None
        scene.vendor.faults.clear()
        scene.poll()
        scene.assert_each_once()
