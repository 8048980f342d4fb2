"""A probe gives up long before Dagster gives up its tick."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.config.models import Limits
from flicker_dagster.errors import RateLimited, VendorUnavailable
from flicker_dagster.orchestration import sensor
from flicker_dagster.orchestration.sensor import hurried
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.probe import MAX_PAGES, probe
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.conformance.harness import plain_scene

DAGSTER_TICK_MS = 60_000


def test_two_pages_and_their_waits_fit_into_half_a_tick() -> None:
    limits = hurried(a_source()).limits
    longest_ms = MAX_PAGES * (limits.connect_timeout_ms + limits.read_timeout_ms + limits.max_wait_ms)
    assert longest_ms < DAGSTER_TICK_MS * 0.6


def test_patience_that_is_shorter_already_stays() -> None:
    limits = Limits(connect_timeout_ms=1, read_timeout_ms=2, max_wait_ms=3)
    assert hurried(a_source(limits=limits)).limits == limits


def test_a_vendor_that_does_not_answer_ends_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensor, "PROBE_READ_MS", 200)
    with plain_scene(tmp_path) as scene:
        scene.poll()
        scene.source = hurried(scene.source)
        scene.vendor.faults.plan("slow", seconds=3)
        with scene.work() as work, pytest.raises(VendorUnavailable, match="no answer"):
            probe(work, starting_position(work))


def test_a_used_up_quota_is_not_waited_for_in_a_tick(tmp_path: Path) -> None:
    with plain_scene(tmp_path, vendor_options={}) as scene:
        scene.poll()
        scene.source = hurried(scene.source)
        with scene.work() as work:
            position = starting_position(work)
            work.client._quota._not_before_s = scene.clock() + 30
            work.client._quota._clock = scene.clock
            with pytest.raises(RateLimited):
                probe(work, position)
