"""The measured fault table of the declarative pollers: cycles, waits, a page that always fails, late events, secrets."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from flicker_dagster.errors import RateLimited, VendorRefused, VendorUnavailable
from flicker_dagster_tests.conformance.harness import plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.conformance.twists import always_next

rows(
    "peers-fault",
    {
        1: "the same next cursor for ever: 307 requests and 3,051 duplicates in 15 s, and no end",
        2: "a cycle of cursors A-B-A never ends",
        3: "one 429 with Retry-After: 7 is asked again after 1 s",
        4: "a page in the middle that always fails: all pages before it are read again by the next run, or never delivered",
        5: "an event that becomes visible 30 s late is lost without a warning",
        6: "an overlap of 60 s recovers it and delivers 60 duplicates",
        7: "a 401 prints the API key of the query string in the error trace or the debug log",
    },
)


@row("peers-fault-1", "peers-fault-2", behaviour="a cursor seen before in the walk, or a page seen before, ends it")
@pytest.mark.parametrize("cycle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_cycle_of_cursors_ends(tmp_path: Path, cycle: list[str]) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(8)
        always_next(scene, cycle)
        scene.poll()
        assert scene.vendor.requests <= len(cycle) + 2
        scene.assert_each_once()


@row("peers-fault-3", behaviour="the wait is passed on as the vendor said it, and never shortened by a retry policy")
def test_retry_after_is_honoured(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(30)
        scene.vendor.faults.plan("429", after=1, retry_after="7")
        with pytest.raises(RateLimited) as raised:
            scene.poll()
        assert raised.value.retry_after_s == 7
        scene.poll()
        scene.assert_each_once()


@row(
    "peers-fault-4",
    behaviour="pages before it are in the spool with a resume point; the retry asks for the failed page",
)
def test_a_page_that_always_fails_costs_no_page_before_it(tmp_path: Path) -> None:
    with plain_scene(tmp_path, buffer_size=10) as scene:
        scene.emit(100)
        scene.vendor.faults.plan("500", after=5, count=2)
        for _ in range(2):
            with pytest.raises(VendorUnavailable):
                scene.fetch()
        assert scene.vendor.requests == 5 + 2
        scene.deliver()
        assert len(scene.received()) == 50
        scene.poll()
        assert scene.vendor.requests == 5 + 2 + 5
        scene.assert_each_once()


@row("peers-fault-5", "peers-fault-6", behaviour="reads the lookback again and delivers of it what the ledger lacks")
def test_a_late_event_is_delivered_without_the_overlap(tmp_path: Path) -> None:
    with plain_scene(tmp_path, lookback_ms=60_000) as scene:
        scene.emit(60, seconds_ago=40)
        scene.emit(1, seconds_ago=45, visible_in_s=20)
        scene.poll()
        scene.clock.now_s += 21
        report = scene.poll()
        assert (report.tally.late, report.tally.known) == (1, 60)
        scene.assert_each_once()


@row("peers-fault-7", behaviour="secrets are masked by value before a text leaves the HTTP layer")
def test_a_key_in_the_query_string_is_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary/7+secret=="
    caplog.set_level(logging.DEBUG, logger="flicker")
    with plain_scene(tmp_path, query_params={"api_key": canary}) as scene:
        scene.emit(5)
        scene.vendor.faults.plan("401")
        with pytest.raises(VendorRefused) as raised:
            scene.poll()
        shown = str(raised.value) + caplog.text
        assert "api_key=" in str(raised.value)
        for spelling in (canary, "canary%2F7", "canary/7"):
            assert spelling not in shown
        scene.poll()
        scene.assert_each_once()
