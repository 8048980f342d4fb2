"""Whatever happens in between, each event is in the SIEM exactly once in the end.

A script of events, polls, faults and kills is drawn and played in process. A kill is an exception that nothing catches,
at a place where the crash suite kills for real; what comes after opens everything anew from the disk.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flicker_dagster import failpoints
from flicker_dagster.config.groups import Limits
from flicker_dagster.errors import CollectError, DeliverError
from flicker_dagster.simulator.plain import Plain, Shape
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster_tests.conformance.harness import Scene, plain_scene

LOOKBACK_S = 120
VENDOR_FAULTS = ["500", "503", "429", "cut", "truncated", "html", "expired"]
SIEM_FAULTS = ["500", "503", "429", "401", "cut_before_commit", "commit_then_cut"]

#: A script that does not end in so many polls has not understood that everything was delivered.
MOST_POLLS = 400


class Killed(BaseException):
    """The process is gone."""


Step = Callable[[Scene], None]


def _some_events(count: int, age_s: int, hidden_s: int, tied: bool) -> Step:
    """Events that happened `age_s` ago and are listed within the lookback, all at one instant or one ms apart."""

    def step(scene: Scene) -> None:
        at_ms, visible_ms = scene.clock.now_ms - age_s * 1000, scene.clock.now_ms + hidden_s * 1000
        for number in range(count):
            scene.vendor.emitter.emit(1, at_ms=at_ms + (0 if tied else number), visible_ms=visible_ms)

    return step


def _row_twice(count: int) -> Step:
    """Events that a listing shows twice. The simulated vendor counts its pages in events, so where that is all that tells
    a last page from a full one it shows them once."""

    def step(scene: Scene) -> None:
        assert isinstance(scene.vendor, Plain)
        copies = 1 if scene.vendor.shape.paging in ("offset", "link") else 2
        scene.vendor.emitter.emit(count, at_ms=scene.clock.now_ms - 1_000, copies=copies)

    return step


def _wait(seconds: int) -> Step:
    def step(scene: Scene) -> None:
        scene.clock.now_s += seconds

    return step


def _vendor_fails(kind: str, after: int) -> Step:
    return lambda scene: scene.vendor.faults.plan(kind, after=after)


def _siem_fails(kind: str, after: int) -> Step:
    return lambda scene: scene.siem.faults.plan(kind, after=after)


def _poll(scene: Scene) -> None:
    try:
        scene.fetch()
    except CollectError:
        if scene.work().live.state is None:  # nothing to deliver: the first page never came
            return
    try:
        scene.deliver()
    except DeliverError:
        return


def _fetch_only(scene: Scene) -> None:
    try:
        scene.fetch()
    except CollectError:
        return


def _killed_poll(name: str, times: int) -> Step:
    def step(scene: Scene) -> None:
        with _kill_at(name, times):
            try:
                _poll(scene)
            except Killed:
                return

    return step


@contextmanager
def _kill_at(name: str, times: int) -> Iterator[None]:
    def kill(*_: Any) -> None:
        raise Killed

    with patch.object(failpoints, "_ARMED", [name, times]), patch.object(failpoints.os, "kill", kill):
        yield


def _edited(**changes: Any) -> Step:
    """Somebody changes the configuration between two polls; what is kept of a walk was made for the former one."""

    def step(scene: Scene) -> None:
        edits = dict(changes)
        size = edits.pop("page_size", None)
        if size is not None:
            edits["pagination"] = scene.source.pagination.model_copy(update={"page_size": size})
        scene.source = scene.source.model_copy(update=edits)

    return step


def _refused_for_good(kind: str) -> Step:
    """Whatever rests on an earlier answer is refused until the end of the script: no kept cursor, page or offset works."""

    def step(scene: Scene) -> None:
        honest = scene.vendor.answer

        def answer(request: Request, *, expired: bool) -> Response:
            query = request.query
            further = "cursor" in query or query.get("page", "1") != "1" or query.get("offset", "0") != "0"
            if further and scene.refusing:
                return Response.json({"error": "no longer"}, int(kind))
            return honest(request, expired=expired)

        scene.refusing = True
        scene.vendor.answer = answer  # type: ignore[method-assign]

    return step


def _lose_the_spool(scene: Scene) -> None:
    """An ephemeral disk: a re-fetch from the position, never an event. With it goes what the SIEM had taken and nobody
    had committed yet, with its answer (journalled) or without (it has the events), which is sent twice; so not then."""
    with scene.work() as work, work.spool.lock():
        lane = work.live.lane("")
        waiting = {json.loads(event)["id"] for lot in lane.pending() for event in lot.events}
        taken = lane.settled_digests() or waiting & scene.received().keys()
    if not taken:
        shutil.rmtree(scene.directory / "work", ignore_errors=True)


steps = st.one_of(
    st.builds(_some_events, st.integers(1, 12), st.integers(0, 60), st.integers(0, LOOKBACK_S - 70), st.booleans()),
    st.builds(_row_twice, st.integers(1, 5)),
    st.builds(_wait, st.integers(1, 50)),
    st.just(_poll),
    st.just(_fetch_only),
    st.builds(_vendor_fails, st.sampled_from(VENDOR_FAULTS), st.integers(0, 4)),
    st.builds(_siem_fails, st.sampled_from(SIEM_FAULTS), st.integers(0, 3)),
    st.builds(_killed_poll, st.sampled_from(failpoints.NAMES), st.integers(1, 4)),
    st.just(_lose_the_spool),
    st.builds(lambda size: _edited(page_size=size), st.integers(1, 8)),
    st.builds(lambda slice_ms: _edited(slice_ms=slice_ms), st.sampled_from([None, 3 * LOOKBACK_S * 1000, 3_600_000])),
    st.builds(lambda text: _edited(query_params={"q": text}), st.sampled_from(["a", "b"])),
    st.builds(_refused_for_good, st.sampled_from(["400", "404", "409", "422", "500"])),
)
shapes = st.builds(
    Shape,
    newest_first=st.booleans(),
    paging=st.sampled_from(["cursor", "page", "offset", "link"]),
    page_size=st.integers(1, 8),
    most=st.integers(1, 10),
)


def _play(script: list[Step], **scene_options: Any) -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        plain_scene(Path(directory), siem_options={"dedupe_by_key": True}, **scene_options) as scene,
    ):
        scene.fetch()  # collection begins: what happens from here on counts
        scene.deliver()
        for step in script:
            step(scene)
        scene.vendor.faults.clear()
        scene.siem.faults.clear()
        scene.refusing = False
        scene.clock.now_s += LOOKBACK_S
        quiet = 0
        for _ in range(MOST_POLLS):
            report = scene.poll()
            scene.clock.now_s += 1
            quiet = 0 if report.tally.new else quiet + report.complete
            if quiet == 2:  # the first may have ended a walk that began before the last event was listed
                break
        else:
            raise AssertionError("polls go on and on")
        scene.assert_each_once()


@pytest.mark.fuzz
@settings(max_examples=settings().max_examples // 4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(steps, min_size=1, max_size=14),
    shapes,
    st.integers(1, 7),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 2, 10_000]),
    st.sampled_from(["id", None]),
)
def test_each_event_arrives_exactly_once(
    script: list[Step], shape: Shape, buffer_size: int, in_flight: int, run_pages: int, id_field: str | None
) -> None:
    _play(
        script,
        shape=shape,
        buffer_size=buffer_size,
        destination={"max_in_flight": in_flight},
        limits=Limits(run_pages=run_pages),
        id_field=id_field,
        lookback_ms=LOOKBACK_S * 1000,
    )
