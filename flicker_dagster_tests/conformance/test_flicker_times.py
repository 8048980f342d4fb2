"""Times that the original misreads, and what never loses an event here."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.errors import RegistryUnreadable
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster_tests.conformance.harness import Clock, Scene, plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.conformance.twists import accepted, asked, each_event

rows(
    "flicker",
    {
        4: "epoch seconds and milliseconds are taken for another unit: all events lie in 1970 and are dropped",
        5: "a time as a numeric string lands in the year 57,972 and mutes the source for ever",
        6: "only strict RFC 3339 is read: +0000, no zone, a space, a float all drop the event",
        7: "an event without a time is dropped",
        36: "times are asked for with nanoseconds and +00:00, which some APIs refuse",
        39: "the time of shipping replaces the event's own",
    },
)
rows("helr", {7: "the position is compared as text, and moves backwards"})

Spell = Callable[[int], Any]


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=timezone.utc)


SPELLINGS: dict[str, Spell] = {
    "epoch seconds": lambda ms: ms // 1000,
    "epoch milliseconds": lambda ms: ms,
    "epoch as a float": lambda ms: ms / 1000,
    "epoch seconds as text": lambda ms: str(ms // 1000),
    "epoch milliseconds as text": lambda ms: str(ms),
    "Salesforce's offset": lambda ms: _utc(ms).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
    "no zone": lambda ms: _utc(ms).strftime("%Y-%m-%dT%H:%M:%S"),
    "a space and no zone": lambda ms: _utc(ms).strftime("%Y-%m-%d %H:%M:%S"),
}


def _spelled(scene: Scene, spell: Spell) -> None:
    each_event(scene, lambda event: event | {"time": spell(parse_time_ms(event["time"]) or 0)})


@row(
    "flicker-4",
    "flicker-5",
    "flicker-6",
    behaviour="the unit is told or found by plausibility; every usual spelling is read",
)
@pytest.mark.parametrize("how", SPELLINGS)
def test_every_spelling_of_a_time_is_read_and_moves_the_position(tmp_path: Path, how: str) -> None:
    with plain_scene(tmp_path) as scene:
        _spelled(scene, SPELLINGS[how])
        scene.emit(25, seconds_ago=30)
        report = scene.poll()
        assert report.tally.untimed == 0
        reached_ms = parse_time_ms(report.end.last_timestamp)
        assert reached_ms is not None
        assert 0 <= scene.clock.now_ms - reached_ms <= 31_000
        scene.emit(3)
        scene.poll()
        scene.assert_each_once()


@row("flicker-5", behaviour="a time that is no time is none, and an event from the future never moves the position")
@pytest.mark.parametrize(
    "absurd", ["176726886000000000000", 10**30, "2999-01-01T00:00:00Z", "yesterday", {"at": 1}, True]
)
def test_an_absurd_time_mutes_nothing(tmp_path: Path, absurd: Any) -> None:
    with plain_scene(tmp_path) as scene:
        each_event(scene, lambda event: event | {"time": absurd} if event["number"] == 1 else event)
        scene.emit(3, seconds_ago=5)
        report = scene.poll()
        reached_ms = parse_time_ms(report.end.last_timestamp)
        assert reached_ms is not None
        assert reached_ms <= scene.clock.now_ms
        scene.emit(3)
        scene.poll()
        scene.assert_each_once()


@row("flicker-7", behaviour="delivered with the time of collection, and counted as without a time")
@pytest.mark.parametrize("how", ["absent", "null"])
def test_an_event_without_a_time_arrives(tmp_path: Path, how: str) -> None:
    with plain_scene(tmp_path) as scene:

        def timeless(event: dict[str, Any]) -> dict[str, Any]:
            kept = {key: value for key, value in event.items() if key != "time"}
            return kept if how == "absent" else kept | {"time": None}

        each_event(scene, timeless)
        scene.emit(5)
        assert scene.poll().tally.untimed == 5
        scene.emit(2)
        scene.poll()
        scene.assert_each_once()


@row("flicker-36", behaviour="the format of the request's times is told, and bounds are widened to its resolution")
@pytest.mark.parametrize(
    ("fmt", "length"), [("unix", 10), ("unix_ms", 13), ("%Y-%m-%dT%H:%M:%SZ", 20), ("rfc3339", 24), ("iso8601", 24)]
)
def test_times_are_asked_for_as_the_api_wants_them(tmp_path: Path, fmt: str, length: int) -> None:
    with plain_scene(tmp_path, time_filter_format=fmt) as scene:
        seen = asked(scene)
        scene.emit(5)
        scene.poll()
        assert {len(request.query["since"]) for request in seen} == {length}
        assert not any("+" in request.query["since"] for request in seen)
        scene.assert_each_once()


@row("flicker-39", behaviour="an event leaves with the bytes it came with, its own time among them")
def test_yesterdays_event_arrives_with_yesterdays_time(tmp_path: Path) -> None:
    with plain_scene(tmp_path, start_from="2d") as scene:
        bodies = accepted(scene)
        scene.emit(2, seconds_ago=86_400)
        scene.poll()
        sent = [event.body for event in scene.vendor.emitter.emitted()]
        assert bodies[0][1] == b"[" + b",".join(sent) + b"]"
        scene.assert_each_once()


@row("helr-7", behaviour="positions are instants: compared as such, and never moved backwards by an answer")
def test_a_position_is_an_instant_and_never_goes_back(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(newest_first=True)) as scene:
        at_ms = scene.clock.now_ms - 60_000
        each_event(scene, lambda event: event | {"time": _in_zone(event)})
        for number in range(6):
            scene.vendor.emitter.emit(1, at_ms=at_ms + number * 1_000)
        first = scene.poll().end
        assert parse_time_ms(first.last_timestamp) == at_ms + 5_000, "the newest instant, not the greatest text"
        scene.emit(5, seconds_ago=90)
        second = scene.poll().end
        assert parse_time_ms(second.last_timestamp) == at_ms + 5_000
        scene.assert_each_once()


def _in_zone(event: dict[str, Any]) -> str:
    """The event's time as its clock on the wall had it: even ones nine hours east, odd ones eight hours west."""
    hours = -8 if event["number"] % 2 else 9
    at = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    return at.astimezone(timezone(timedelta(hours=hours))).isoformat(timespec="milliseconds")


@row("helr-7", behaviour="positions are instants: compared as such, and never moved backwards by an answer")
def test_a_position_of_one_more_digit_is_later(tmp_path: Path) -> None:
    """As text "999…" beats "1000…"; the tenth digit of epoch seconds came in September 2001."""
    assert (parse_time_ms("999999999") or 0) < (parse_time_ms("1000000000") or 0)
    clock = Clock()
    clock.now_s = 1_000_000_010.0
    with plain_scene(tmp_path, clock=clock, timestamp_format="unix", time_filter_format="unix") as scene:
        _spelled(scene, lambda ms: str(ms // 1000))
        scene.emit(2, seconds_ago=15)
        first = scene.poll().end
        scene.emit(2, seconds_ago=5)
        second = scene.poll().end
        assert parse_time_ms(first.last_timestamp) == 999_999_995_000
        assert parse_time_ms(second.last_timestamp) == 1_000_000_005_000
        scene.assert_each_once()


@row("flicker-5", behaviour="a time that is no time is none, and an event from the future never moves the position")
def test_a_position_from_the_future_is_no_place_to_stand(tmp_path: Path) -> None:
    with plain_scene(tmp_path, start_from="now") as scene:
        _write_registry(scene, "2099-01-01T00:00:00Z")
        reached_ms = parse_time_ms(scene.poll().end.last_timestamp)
        assert reached_ms is not None
        assert reached_ms <= scene.clock.now_ms + 1_000
        scene.clock.now_s += 30
        scene.emit(5, seconds_ago=10)
        scene.poll()
        scene.assert_each_once()


@row("flicker-5", behaviour="a time that is no time is none, and an event from the future never moves the position")
def test_the_originals_position_in_the_year_57972_is_an_error_that_shows_it(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        _write_registry(scene, "+57972-10-09T04:00:00Z")
        with pytest.raises(RegistryUnreadable, match="57972"):
            scene.poll()
        _write_registry(scene, rfc3339_ms(scene.clock.now_ms - 600_000))
        scene.emit(5, seconds_ago=60)
        scene.poll()
        scene.assert_each_once()


def _write_registry(scene: Scene, last_timestamp: str) -> None:
    """A registry as the original Flicker, or somebody by hand, may have left it."""
    entry = {"last_timestamp": last_timestamp, "cursor": None}
    directory = scene.directory / "state"
    directory.mkdir(exist_ok=True)
    written = {"version": 1, "api_sources": {scene.source.name: entry}, "files": {}, "containers": {}}
    (directory / "registry.json").write_text(json.dumps(written))
