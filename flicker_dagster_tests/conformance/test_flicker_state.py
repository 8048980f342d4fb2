"""State: what the original forgets, overwrites or lets run ahead of the delivery."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.groups import Pagination
from flicker_dagster.errors import (
    DestinationUnavailable,
    RegistryUnreadable,
    StateError,
    VendorRefused,
    VendorUnavailable,
)
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.state.registry import Registry
from flicker_dagster.types import Position
from flicker_dagster_tests.conformance.harness import Scene, okta_scene, plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.conformance.twists import asked, twist

rows(
    "flicker",
    {
        13: "a first start is remembered only once an event was shipped: what happens before a restart is lost",
        14: "the position is saved before filtering, buffering and delivery: a kill loses 90 lines",
        19: "a registry that cannot be read is taken for an empty one and then overwritten",
        20: "a save that failed is not tried again",
        28: "a failure on page k throws away the pages before it: with a limit at page 5 there is no progress, ever",
        32: "an expired cursor is sent for ever, also after a restart",
        46: "a hand-written registry without `files` and `containers` is silently taken for empty",
        48: "the registry is said to change every 5 s and does not: the advised check gives false alarms on quiet sources",
    },
)
rows(
    "helr",
    {
        6: "ids are remembered in memory, and marked as seen before they were sent",
        8: "an expired next link has no reset: stuck on 4xx",
    },
)


def _registry_file(scene: Scene) -> Path:
    return scene.directory / "state" / "registry.json"


def _saved(scene: Scene) -> Position | None:
    with scene.work() as work:
        return work.registry.position(scene.source.name)


@row("flicker-13", behaviour="the first position is saved before anything is asked for")
def test_a_restart_after_a_quiet_first_start_misses_nothing(tmp_path: Path) -> None:
    with plain_scene(tmp_path, start_from="now") as scene:
        scene.poll()
        assert _saved(scene) is not None
        scene.clock.now_s += 3600
        scene.emit(3, seconds_ago=600)
        scene.cursor = None  # another instance: nothing is known but the registry
        scene.poll()
        scene.assert_each_once()


@row("flicker-13", behaviour="the first position is saved before anything is asked for")
def test_a_first_start_that_gets_no_answer_is_remembered_too(tmp_path: Path) -> None:
    with plain_scene(tmp_path, start_from="now") as scene:
        scene.vendor.faults.plan("500")
        with pytest.raises(VendorUnavailable):
            scene.poll()
        assert _saved(scene) is not None
        scene.clock.now_s += 3600
        scene.emit(3, seconds_ago=3_000)
        scene.cursor = None
        scene.poll()
        scene.assert_each_once()


@row(
    "flicker-14",
    "helr-6",
    behaviour="journal, ledger, registry, cursor, in this order, each after the SIEM's word",
)
def test_the_position_waits_for_the_delivery_and_the_spool_survives_the_process(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.poll()
        before = _saved(scene)
        scene.emit(90)
        scene.fetch()  # the process dies here; the next one has only the disk
        assert _saved(scene) == before
        assert scene.received() == {}
        scene.siem.faults.plan("503")
        with pytest.raises(DestinationUnavailable):
            scene.deliver()
        assert _saved(scene) == before
        scene.poll()
        assert _saved(scene) != before
        scene.assert_each_once()


@row("flicker-19", behaviour="collection stops with an error that names the object; nothing is written")
@pytest.mark.parametrize("damage", [b"", b"{", b"<html>", b'{"version": 1, "api_sources": []}', b"\x00" * 200])
def test_a_registry_that_cannot_be_read_stops_collection(tmp_path: Path, damage: bytes) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(3)
        scene.poll()
        good = _registry_file(scene).read_bytes()
        _registry_file(scene).write_bytes(damage)
        scene.cursor = None
        scene.emit(3)
        with pytest.raises(RegistryUnreadable, match=r"registry\.json"):
            scene.fetch()
        assert _registry_file(scene).read_bytes() == damage
        _registry_file(scene).write_bytes(good)
        scene.poll()
        scene.assert_each_once()


@row("flicker-20", behaviour="a commit that fails is done again by the next run; what was delivered is recognised")
def test_a_save_that_failed_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with plain_scene(tmp_path) as scene:
        scene.poll()
        scene.emit(5)
        commit = Registry.commit

        def full(self: Registry, *_: object, **__: object) -> Position:
            raise StateError("cannot write the registry")

        monkeypatch.setattr(Registry, "commit", full)
        with pytest.raises(StateError):
            scene.poll()
        monkeypatch.setattr(Registry, "commit", commit)
        report = scene.poll()
        assert _saved(scene) == report.end
        scene.assert_each_once()


@row(
    "flicker-28", behaviour="each page is in the spool with a resume point; the next try asks for the page that failed"
)
def test_a_limit_that_always_strikes_at_page_five_does_not_stop_progress(tmp_path: Path) -> None:
    with plain_scene(tmp_path, buffer_size=10) as scene:
        scene.emit(120)
        for _ in range(5):
            scene.vendor.faults.plan("500", after=4)
            try:
                scene.poll()
                break
            except VendorUnavailable:
                scene.vendor.faults.clear()
        scene.vendor.faults.clear()
        assert scene.vendor.requests <= 12 + 5 + 1, "no page was read twice"
        scene.poll()
        scene.assert_each_once()


@row(
    "flicker-32", "helr-8", behaviour="the walk starts again from the position's time, and ids recognise what is there"
)
@pytest.mark.parametrize("restart", [False, True])
def test_an_expired_cursor_falls_back_to_the_time(tmp_path: Path, restart: bool) -> None:
    paging = Pagination(
        pagination_type="cursor", cursor_param="cursor", next_cursor_field="meta.next_cursor", limit_param="limit",
        page_size=10, durable_cursor=True,
    )  # fmt: skip
    with plain_scene(tmp_path, shape=Shape(), pagination=paging, time_filter_bounded_live=False) as scene:

        def always(_request: object, body: dict) -> dict:
            if "data" not in body:  # the refusal itself
                return body
            events = body["data"]["events"]
            body["meta"]["next_cursor"] = f"after-{events[-1]['number']}" if events else None
            return body

        twist(scene, always)
        scene.emit(25, seconds_ago=30)
        assert scene.poll().end.cursor is not None
        scene.emit(3)
        scene.vendor.faults.plan("expired")
        if restart:
            scene.cursor = None
        report = scene.poll()
        assert report.tally.cursor_resets == 1
        scene.assert_each_once()


@row("flicker-32", behaviour="")
def test_a_walks_cursor_is_not_a_position(tmp_path: Path) -> None:
    """Cursors that live for one walk are gone with it: the next poll asks by time alone."""
    with plain_scene(tmp_path) as scene:
        seen = asked(scene)
        for count in (25, 3):
            before = len(seen)
            scene.emit(count)
            report = scene.poll()
            assert report.end.cursor is None
            assert "cursor" not in seen[before].query
        scene.assert_each_once()


@row("flicker-46", behaviour="the documented example is a whole registry, and what we do not know in it is kept")
@pytest.mark.parametrize("others", [{}, {"files": {"/a": 7}}, {"files": {}, "containers": {"web": 1}}])
def test_a_hand_written_registry_is_a_valid_start(tmp_path: Path, others: dict[str, Any]) -> None:
    with plain_scene(tmp_path, start_from="now") as scene:
        _registry_file(scene).parent.mkdir(parents=True)
        at = "2025-12-17T15:30:00.123Z"
        written = {"version": 1, "api_sources": {"plain": {"last_timestamp": at, "cursor": None}}} | others
        _registry_file(scene).write_text(json.dumps(written))
        scene.emit(3, seconds_ago=3_000)
        assert scene.poll().start.last_timestamp == at
        kept = json.loads(_registry_file(scene).read_text())
        assert {key: kept[key] for key in others} == others
        scene.assert_each_once()


@row(
    "flicker-48",
    behaviour="a quiet poll is a covered one; the sweeps' materialisations are the heartbeat, not the registry",
)
def test_a_quiet_poll_is_complete_and_writes_nothing_it_need_not(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(3)
        scene.poll()
        before = _registry_file(scene).stat().st_mtime_ns
        scene.clock.now_s += 60
        report = scene.poll()
        assert report.complete
        assert _registry_file(scene).stat().st_mtime_ns == before


@row("helr-8", behaviour="the walk starts again from the position's time, and ids recognise what is there")
def test_oktas_expired_next_link_falls_back_to_the_time(tmp_path: Path) -> None:
    with okta_scene(tmp_path) as scene:
        scene.emit(5, seconds_ago=0)
        scene.clock.now_s += 1
        end = scene.poll().end
        assert end.cursor is not None
        assert end.cursor.startswith("http")
        scene.emit(3, seconds_ago=0)
        scene.clock.now_s += 60
        scene.vendor.faults.plan("expired")
        report = scene.poll()
        assert report.tally.cursor_resets == 1
        scene.assert_each_once()


@row("helr-8", behaviour="the walk starts again from the position's time, and ids recognise what is there")
@pytest.mark.parametrize("pages", [1, 2, 4])
def test_an_expired_next_link_falls_back_to_the_time(tmp_path: Path, pages: int) -> None:
    with plain_scene(tmp_path, shape=Shape(paging="link"), buffer_size=10) as scene:
        scene.emit(45, seconds_ago=30)
        scene.vendor.faults.plan("expired", after=pages)
        with pytest.raises(VendorRefused):  # a link of a moment ago has not expired: the poll fails aloud
            scene.poll()
        scene.vendor.faults.plan("expired")  # the same link, kept until the next poll, has
        assert scene.poll().tally.cursor_resets == 1
        scene.assert_each_once()
