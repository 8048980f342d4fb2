"""Two Flickers on one registry by mistake: both survive, no position is lost, and what is sent twice is said."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flicker_dagster.orchestration.metadata import live_metadata
from flicker_dagster.pipeline.deliver import drain_unit
from flicker_dagster.times import parse_time_ms
from flicker_dagster_tests.conformance.harness import Scene, plain_scene


@contextmanager
def two_scenes(directory: Path) -> Iterator[tuple[Scene, Scene]]:
    """Two installations with one state, one vendor and one SIEM; each has a work directory and a sensor of its own."""
    with plain_scene(directory, buffer_size=10) as first:
        second = Scene(first.vendor, first.siem, first.source, directory / "second", first.clock)
        second.state = first.state
        yield first, second


def registry_ms(scene: Scene) -> int:
    with scene.work() as work:
        position = work.registry.position("plain")
    assert position is not None
    assert position.last_timestamp is not None
    return parse_time_ms(position.last_timestamp) or 0


def test_in_turn_they_share_the_work_and_both_say_that_the_registry_was_moved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with two_scenes(tmp_path) as (first, second):
        moved = []
        for _ in range(4):
            for each in (first, second):
                each.clock.now_s += 5
                each.emit(15)
                report = each.poll()
                moved.append(report.registry_moved)
                assert report.sent_by_another == 0
        first.assert_each_once()  # the ledger is theirs together
        assert moved[2:] == [True] * 6
        assert "another Flicker or somebody moved it" in caplog.text
        shown = live_metadata(report, now_ms=first.clock.now_ms)
        assert shown["registry moved by another Flicker"].value is True


def test_at_the_same_time_what_both_had_fetched_is_sent_twice_and_counted(tmp_path: Path) -> None:
    with two_scenes(tmp_path) as (first, second):
        for each in (first, second):
            each.poll()
        first.clock.now_s += 5
        first.emit(15)
        first.fetch()
        second.fetch()
        assert first.deliver().sent_by_another == 0
        report = second.deliver()
        assert report.sent_by_another == first.siem.inbox("/siem").twice == 15
        shown = live_metadata(report, now_ms=first.clock.now_ms)
        assert shown["events sent by another Flicker too"].value == 15


@pytest.mark.parametrize("seed", range(5))
def test_whatever_their_interleaving_nothing_is_lost_and_every_duplicate_is_counted(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with two_scenes(tmp_path) as (first, second):
        fetched = {first: False, second: False}
        stood_ms, counted, moved = 0, 0, 0
        for _ in range(60):
            first.clock.now_s += chance.choice([0.5, 5, 40])
            first.emit(chance.randrange(4), seconds_ago=chance.choice([1, 60]))
            each = chance.choice([first, second])
            if fetched[each]:
                report = each.deliver()
                counted += report.sent_by_another
                moved += report.registry_moved
                now_ms = registry_ms(each)
                assert now_ms >= stood_ms, "the position went backwards"
                stood_ms = now_ms
            else:
                each.fetch()
            fetched[each] = not fetched[each]
        for each in (first, second):
            counted += each.poll().sent_by_another
        emitted = {event.id for event in first.vendor.emitter.emitted()}
        assert first.received().keys() == emitted
        assert first.siem.inbox("/siem").twice == counted
        assert max(first.received().values()) <= 2  # once by each of them
        assert moved


def test_a_crash_after_the_ledger_is_not_taken_for_another_flicker(tmp_path: Path) -> None:
    with plain_scene(tmp_path, buffer_size=10) as scene:
        scene.poll()
        scene.clock.now_s += 5
        scene.emit(15)
        scene.fetch()
        with scene.work() as work, work.spool.lock():  # what a kill between ledger and registry leaves
            drain_unit(work, work.live)
            work.ledger.add(work.live.digests())
        scene.clock.now_s += 5
        scene.emit(5)
        report = scene.poll()
        assert report.drained.delivered == 5
        assert not report.registry_moved
        assert report.sent_by_another == 0
        scene.assert_each_once()
