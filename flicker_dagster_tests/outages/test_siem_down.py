"""The SIEM is down for long: fetching goes on into the spool, up to its cap; what waited is delivered in order, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flicker_dagster.config.groups import Limits
from flicker_dagster.errors import DestinationUnavailable
from flicker_dagster.pipeline.deliver import waiting_events
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.types import Position
from flicker_dagster_tests.conformance.harness import Scene, plain_scene

POLL_S = 5
OUTAGE_S = 600
EVENTS_PER_POLL = 100  # 20 events/s
SHAPE = Shape(page_size=1000)
IN_ORDER = {"max_in_flight": 1}
HOUR_MS = 3_600_000


def fails_to_deliver(scene: Scene) -> None:
    with pytest.raises(DestinationUnavailable, match="they wait in the spool"):
        scene.deliver()


def registry_position(scene: Scene) -> Position | None:
    with scene.work() as work:
        return work.registry.position(scene.source.name)


def arrivals(journal: Path) -> list[str]:
    """Ids in the order in which the SIEM accepted them."""
    return [event_id for line in journal.read_text().splitlines() for event_id in json.loads(line)["ids"]]


def test_ten_minutes_of_outage_at_rate_are_fetched_all_along_and_delivered_in_order(tmp_path: Path) -> None:
    journal = tmp_path / "siem.jsonl"
    with plain_scene(
        tmp_path, shape=SHAPE, destination=IN_ORDER, siem_options={"journal": journal}, lookback_ms=30_000
    ) as scene:
        emitted = scene.emit(EVENTS_PER_POLL)
        before = scene.poll().end
        scene.siem.faults.plan("503", count=None)
        for number in range(1, OUTAGE_S // POLL_S + 1):
            scene.clock.now_s += POLL_S
            emitted += scene.emit(EVENTS_PER_POLL)
            fetched = scene.fetch()
            assert fetched.complete
            fails_to_deliver(scene)
            with scene.work() as work:
                assert waiting_events(work) == number * EVENTS_PER_POLL
                assert work.registry.position("plain") == before
        scene.siem.faults.clear()
        report = scene.deliver()
        assert report.drained.delivered == OUTAGE_S // POLL_S * EVENTS_PER_POLL
        assert report.start == before
        assert registry_position(scene) == report.end != before
        assert arrivals(journal) == emitted
        scene.poll()
        scene.assert_each_once()
        with scene.work() as work:
            assert work.spool.used_bytes() == 0


@pytest.mark.parametrize("fault", ["cut_before_commit", "429", "500"])
def test_each_way_to_be_down_keeps_everything_and_repeats_nothing(tmp_path: Path, fault: str) -> None:
    with plain_scene(tmp_path, destination=IN_ORDER) as scene:
        scene.emit(25)
        scene.siem.faults.plan(fault, count=None)
        for _ in range(3):
            scene.fetch()
            with pytest.raises(DestinationUnavailable):
                scene.deliver()
            scene.clock.now_s += POLL_S
            scene.emit(5)
        scene.siem.faults.clear()
        scene.poll()
        scene.assert_each_once()


def test_a_siem_that_takes_some_batches_and_fails_again_gets_each_batch_once_and_in_order(tmp_path: Path) -> None:
    journal = tmp_path / "siem.jsonl"
    with plain_scene(tmp_path, destination=IN_ORDER, siem_options={"journal": journal}, buffer_size=7) as scene:
        emitted = scene.emit(100)
        scene.fetch()
        for _ in range(5):  # three batches pass, then it is down again
            scene.siem.faults.plan("503", count=None, after=3)
            fails_to_deliver(scene)
            scene.siem.faults.clear()
            scene.clock.now_s += POLL_S
            emitted += scene.emit(5)
            scene.fetch()
        scene.deliver()
        assert arrivals(journal) == emitted
        assert scene.siem.inbox("/siem").repeated_batches == 0


def test_a_siem_that_fails_once_among_others_is_asked_again_in_the_same_run(tmp_path: Path) -> None:
    journal = tmp_path / "siem.jsonl"
    with plain_scene(tmp_path, destination=IN_ORDER, siem_options={"journal": journal}, buffer_size=7) as scene:
        emitted = scene.emit(100)
        scene.siem.faults.plan("503", count=1, after=3)
        scene.siem.faults.plan("500", count=2, after=6)
        report = scene.poll()
        assert report.drained.delivered == 100
        assert sorted(arrivals(journal)) == sorted(emitted)
        scene.assert_each_once()
        assert scene.siem.inbox("/siem").repeated_batches == 0


def test_at_its_cap_fetching_pauses_and_goes_on_after_the_siem_is_back(tmp_path: Path) -> None:
    journal = tmp_path / "siem.jsonl"
    with plain_scene(
        tmp_path,
        destination=IN_ORDER,
        siem_options={"journal": journal},
        limits=Limits(spool_bytes=20_000),
        buffer_size=10,
    ) as scene:
        scene.poll()
        before = registry_position(scene)
        scene.siem.faults.plan("503", count=None)
        emitted: list[str] = []
        paused = []
        for _ in range(40):
            scene.clock.now_s += POLL_S
            emitted += scene.emit(20)
            fetched = scene.fetch()
            paused.append(not fetched.complete)
            if paused[-1]:
                assert "limits.spool_bytes (20000)" in (fetched.stopped or "")
            fails_to_deliver(scene)
            with scene.work() as work:
                assert work.spool.used_bytes() <= 20_000
                assert work.registry.position("plain") == before
        assert not paused[0]
        assert paused[-1]
        assert scene.received() == {}
        scene.siem.faults.clear()
        for _ in range(20):
            report = scene.deliver()
            if scene.fetch().complete and report.complete:
                break
        scene.deliver()
        scene.assert_each_once()
        assert arrivals(journal) == emitted


def test_a_late_event_that_waits_for_the_siem_in_a_windows_unit_is_not_sent_by_the_live_unit_too(
    tmp_path: Path,
) -> None:
    with plain_scene(tmp_path, lookback_ms=3 * HOUR_MS, start_from="2h") as scene:
        scene.poll()
        hour_ms = scene.clock.now_ms // HOUR_MS * HOUR_MS - HOUR_MS
        key = scene.key_of(hour_ms)
        scene.vendor.emitter.emit(5, at_ms=hour_ms + 60_000)
        scene.siem.faults.plan("503", count=None)
        with pytest.raises(DestinationUnavailable):
            scene.sweep(key)
        scene.fetch()
        fails_to_deliver(scene)
        scene.siem.faults.clear()
        scene.poll()
        scene.assert_each_once()  # whoever drains first drains it all, so that the position never passes what waits
        with scene.work() as work:
            assert work.spool.used_bytes() == 0
        report = scene.sweep(key)
        scene.assert_each_once()
        assert (report.tally.seen, report.tally.new, report.tally.known) == (5, 5, 0)  # found late, by the failed run
        assert report.tally.lateness.max_s > 0
