"""Two Flickers on one registry, by mistake or as runs that come to either machine: nothing is lost, nothing sent twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flicker_dagster.orchestration.metadata import live_metadata
from flicker_dagster.pipeline.deliver import deliver_leftovers
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
                assert report.drained.known == 0
        first.assert_each_once()  # the ledger is theirs together
        assert moved[2:] == [True] * 6
        assert "another Flicker or somebody moved it" in caplog.text
        shown = live_metadata(report, now_ms=first.clock.now_ms)
        assert shown["registry moved by another Flicker"].value is True


def test_what_both_had_fetched_is_sent_by_one_and_the_other_says_so(tmp_path: Path) -> None:
    with two_scenes(tmp_path) as (first, second):
        for each in (first, second):
            each.poll()
        first.clock.now_s += 5
        first.emit(15)
        first.fetch()
        second.fetch()
        assert first.deliver().drained.known == 0
        report = second.deliver()
        assert (report.drained.known, report.drained.delivered) == (15, 0)
        shown = live_metadata(report, now_ms=first.clock.now_ms)
        assert shown["events delivered elsewhere"].value == 15
        first.assert_each_once()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_their_interleaving_nothing_is_lost_or_sent_twice(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with two_scenes(tmp_path) as (first, second):
        fetched = {first: False, second: False}
        stood_ms, known, moved = 0, 0, 0
        for _ in range(60):
            first.clock.now_s += chance.choice([0.5, 5, 40])
            first.emit(chance.randrange(4), seconds_ago=chance.choice([1, 60]))
            each = chance.choice([first, second])
            if fetched[each]:
                report = each.deliver()
                known += report.drained.known
                moved += report.registry_moved
                now_ms = registry_ms(each)
                assert now_ms >= stood_ms, "the position went backwards"
                stood_ms = now_ms
            else:
                each.fetch()
            fetched[each] = not fetched[each]
        for each in (first, second):
            each.poll()
        first.assert_each_once()
        assert known, "they never had the same events before them"
        assert moved


def test_a_crash_after_the_ledger_is_not_taken_for_another_flicker(tmp_path: Path) -> None:
    with plain_scene(tmp_path, buffer_size=10) as scene:
        scene.poll()
        scene.clock.now_s += 5
        scene.emit(15)
        scene.fetch()
        with scene.work() as work, work.spool.lock():  # what a kill between ledger and registry leaves
            deliver_leftovers(work)
        scene.clock.now_s += 5
        scene.emit(5)
        report = scene.poll()
        assert report.drained.delivered == 5
        assert not report.registry_moved
        assert report.drained.known == 0
        scene.assert_each_once()
