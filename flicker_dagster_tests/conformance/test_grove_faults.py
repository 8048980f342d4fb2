"""The measured fault table of Grove: ties, endless pages, refusals, and answers that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.layers import lay_beneath
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import presets
from flicker_dagster.errors import BadAnswer, RateLimited, VendorUnavailable
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendors.okta import PATH, Okta
from flicker_dagster_tests.conformance.harness import Clock, Scene, plain_scene
from flicker_dagster_tests.conformance.rows import row, rows

rows(
    "grove",
    {
        1: "100 equal timestamps lie across a page boundary of one run",
        2: "the same tie is cut between two runs",
        3: "a tie longer than a page, cut between two runs, gives 1,800 duplicates of 2,000",
        4: "a last page followed by an empty one whose next link is itself gives a duplicate at every poll, for ever",
        5: "a 429 with Retry-After on page 3 ends the run with exit code 0; the next one adds a duplicate",
        6: "a 429 with reset headers 8 s away is answered by eight refused requests a second apart",
        7: "a 503 on page 3 ends the run with exit code 0; the next one adds a duplicate",
        8: "HTML in a 200 leaves a stale lock; the next runs do nothing and exit 0",
        9: "a kill between a write and its pointer gives 1,001 duplicates",
        10: "two sources with one identity on two domains share pointer and lock; the second is skipped",
        11: "newest first, a 503 on page 3 of 5: 3,000 of 5,000 events are lost for good",
        12: "newest first, a kill after the third page: 2,000 of 5,000 events are lost for good",
        13: "newest first without any fault: each next run repeats an event",
        14: "offset paging whose start moves with the pointer loses 99 of 350 events for good",
    },
)


@row("grove-1", behaviour="knows events by id and never by their time")
def test_a_tie_across_pages_arrives_once(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.vendor.emitter.emit(100, at_ms=scene.clock.now_ms - 1_000)
        scene.poll()
        scene.assert_each_once()


@row("grove-2", "grove-3", behaviour="asks inclusively; every id of the overlap is in the ledger, however long the tie")
@pytest.mark.parametrize("before", [5, 25])
def test_a_tie_cut_between_two_polls_arrives_once(tmp_path: Path, before: int) -> None:
    with plain_scene(tmp_path) as scene:
        at_ms = scene.clock.now_ms - 1_000
        scene.vendor.emitter.emit(before, at_ms=at_ms)
        scene.poll()
        scene.vendor.emitter.emit(200 - before, at_ms=at_ms)
        scene.poll()
        scene.assert_each_once()


@row("grove-4", behaviour="an empty page ends the walk, its cursor is kept, and the ledger outlives it")
def test_an_endless_empty_last_page_repeats_nothing(tmp_path: Path) -> None:
    clock = Clock()
    vendor, siem = Okta(clock=clock, per_minute=10**6), Receiver(clock=clock)
    destination = HttpDestination(type="http", endpoint=f"{siem.url}/siem")
    scene = Scene(vendor, siem, okta_source(vendor, destination, page_size=10), tmp_path, clock)
    try:
        scene.emit(20, seconds_ago=0)
        clock.now_s += 1
        scene.poll()
        asked = vendor.requests
        for _ in range(5):
            clock.now_s += 30
            scene.poll()
        assert vendor.requests - asked == 5
        scene.assert_each_once()
    finally:
        scene.close()


@row(
    "grove-5", "grove-7", behaviour="the poll fails aloud, says when to come back, and the retry delivers the rest once"
)
@pytest.mark.parametrize(("kind", "error"), [("429", RateLimited), ("503", VendorUnavailable)])
def test_a_refusal_in_the_middle_costs_nothing(tmp_path: Path, kind: str, error: type[Exception]) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(50)
        scene.vendor.faults.plan(kind, after=2, retry_after="3" if kind == "429" else "none")
        with pytest.raises(error) as raised:
            scene.poll()
        assert getattr(raised.value, "retry_after_s", None) == (3 if kind == "429" else None)
        scene.poll()
        scene.assert_each_once()


@row(
    "grove-6",
    behaviour="no refused request: the headers of the answer before say when to go on, and the run ends there",
)
def test_a_reset_header_is_heeded_before_the_refusal(tmp_path: Path) -> None:
    clock = Clock()
    clock.now_s = clock.now_s // 60 * 60 + 52  # the quota is renewed 8 s later
    with plain_scene(tmp_path, clock=clock, limits={"max_wait_ms": 0}) as scene:
        scene.emit(50)
        scene.vendor.per_minute = 2
        report = scene.fetch()
        assert scene.vendor.requests == 2
        assert report.resume_at_ms == pytest.approx(clock.now_ms + 8_000, abs=1_500)
        clock.now_s += 9
        scene.vendor.per_minute = 10**6
        scene.poll()
        assert scene.vendor.requests == 5
        scene.assert_each_once()


@row("grove-8", behaviour="a failed poll that names the HTML; the lock is the kernel's and ends with the run")
def test_html_in_a_200_is_an_error_and_leaves_no_lock(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(30)
        scene.vendor.faults.plan("html", after=1)
        with pytest.raises(BadAnswer, match="HTML"):
            scene.poll()
        scene.poll()
        scene.assert_each_once()


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@row("grove-9", "grove-12", behaviour="page and resume point are one write; the next run goes on behind it")
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("arrow", ["pipeline.reading", "pipeline.deliver_lanes", "pipeline.deliver"])
def test_a_kill_loses_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest_first: bool, arrow: str
) -> None:
    with plain_scene(tmp_path, shape=Shape(newest_first=newest_first), buffer_size=10) as scene:
        scene.emit(50)
        with monkeypatch.context() as patch:
            places = {"fetch.after_page": 3, "commit.after_ledger": 1, "commit.after_registry": 1}
            patch.setattr(f"flicker_dagster.{arrow}.reach", killer(places))
            with pytest.raises(Killed):
                scene.poll()
        scene.cursor = None  # the next process knows what the registry says
        scene.poll()
        scene.assert_each_once()


@row("grove-10", behaviour="positions, locks and ledgers belong to the source's name; addresses play no part")
def test_two_sources_of_one_identity_do_not_meet(tmp_path: Path) -> None:
    with plain_scene(tmp_path, name="one") as one, plain_scene(tmp_path, name="two") as two:
        one.emit(15)
        two.emit(20, seconds_ago=30)
        with one.work() as work, work.spool.lock():
            two.poll()
        one.poll()
        one.assert_each_once()
        two.assert_each_once()


@row(
    "grove-11", behaviour="the position moves once, at the end of the whole walk; the retry goes on at the failed page"
)
def test_newest_first_cut_short_loses_nothing(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(newest_first=True), buffer_size=10) as scene:
        scene.emit(50)
        scene.vendor.faults.plan("503", after=2, retry_after="none")
        with pytest.raises(VendorUnavailable):
            scene.poll()
        scene.emit(7, seconds_ago=0.5)
        scene.poll()
        scene.poll()
        scene.assert_each_once()


@row("grove-13", behaviour="the newest event is asked for again and recognised by its id")
def test_newest_first_repeats_nothing(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(newest_first=True)) as scene:
        scene.emit(50)
        scene.poll()
        batches = scene.siem.inbox("/siem").batches
        scene.poll()
        assert scene.siem.inbox("/siem").batches == batches
        scene.assert_each_once()


@row("grove-14", behaviour="start and end of a walk are frozen while its offset grows")
def test_offsets_count_in_a_frozen_span(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(paging="offset", page_size=100)) as scene:
        scene.emit(350, seconds_ago=60)
        scene.poll()
        scene.assert_each_once()
        scene.emit(350, seconds_ago=5)
        scene.poll()
        scene.assert_each_once()


def killer(left: dict[str, int]) -> Callable[[str], None]:
    """A failpoint that ends the run when a point is reached for the n-th time: `killer({"fetch.after_page": 3})`."""

    def reach(point: str) -> None:
        if point in left:
            left[point] -= 1
            if left[point] == 0:
                raise Killed(point)

    return reach


def okta_source(vendor: Okta, destination: HttpDestination, *, page_size: int) -> SourceConfig:
    raw = {"name": "okta", "endpoint": f"{vendor.url}{PATH}", "start_from": "1h"}
    mapping, _ = lay_beneath(presets()["okta"], raw, name="okta")
    paging = mapping["pagination"] | {"page_size": page_size}
    return SourceConfig(**mapping | {"pagination": paging, "destination": destination, "flush_interval_ms": 10**6})
