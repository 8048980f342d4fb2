"""What a vendor's documentation leaves open: presets hold whichever way the simulated API decides it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.vendors import presets
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.catalogue.rows import ROWS
from flicker_dagster_tests.catalogue.scenes import HOUR_MS, scene_of

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("cloudflare", {"inclusive": True}),
    ("cloudflare", {"nested_cursor": True}),
    ("mimecast", {"ends_empty": False}),
    ("proofpoint", {"nothing_is_204": False}),
    ("snyk", {"api_access": 0.5}),
    ("terraform", {"inclusive": True}),
    ("wiz", {"newest_first": False}),
]

#: Vendors that leave out what happened at the very start of the span asked for, and those that take it in.
EDGES = ["cloudflare", "crowdstrike", "terraform", "wiz", "openai", "snyk", "tailscale"]


@pytest.fixture(scope="module")
def siem() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("row", ["plain", "ties", "sweep"])
@pytest.mark.parametrize(("vendor", "options"), VARIANTS)
def test_each_event_arrives_once(
    tmp_path: Path, siem: Receiver, vendor: str, options: dict[str, Any], row: str
) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, _first(vendor), options=options) as scene:
        ROWS[row][0](scene)


@pytest.mark.parametrize("vendor", EDGES)
def test_a_window_holds_what_happened_at_its_start_and_not_at_its_end(
    tmp_path: Path, siem: Receiver, vendor: str
) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, _first(vendor), window={"size": "hour"}) as scene:
        scene.begin()
        window = scene.window_of(scene.clock.now_ms + HOUR_MS)
        scene.clock.now_s = window.end_ms / 1000
        for at_ms in (window.start_ms, window.end_ms - 1000, window.end_ms):
            scene.emitter.emit(1, at_ms=at_ms)
        scene.clock.wait(HOUR_MS / 1000)
        assert scene.sweep_anyhow(window).tally.seen == 2
        scene.drain()
        scene.assert_each_once()


@pytest.mark.parametrize("vendor", ["proofpoint", "terraform", "snyk", "tailscale"])
def test_what_is_still_kept_is_collected_from_its_edge_on(tmp_path: Path, siem: Receiver, vendor: str) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, _first(vendor), start_from="100d") as scene:
        scene.emit(5, seconds_ago=3_600)
        scene.clock.wait(1.7)  # no whole second, as the edge is in none
        assert scene.poll().complete
        scene.assert_each_once()


def test_requests_that_are_recorded_themselves_feed_no_endless_walk(tmp_path: Path, siem: Receiver) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, "anthropic", "", page_size=None, options={"records_reads": True}) as scene:
        scene.begin()
        emitted = scene.emit(11)
        before = scene.vendor.requests
        for _ in range(10):
            assert scene.poll().complete
            scene.clock.wait(60)
        assert scene.vendor.requests == before + 10
        received = scene.received()
        assert {event.id for event in emitted} <= set(received)
        assert set(received.values()) == {1}


def _first(vendor: str) -> str:
    return next(iter(presets()[vendor].streams), "")
