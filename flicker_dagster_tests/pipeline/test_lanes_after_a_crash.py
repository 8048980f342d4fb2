"""What a lane's journal knows and its ledger does not, since a run was killed between the two, is in the ledger before the
lots are let go of, also where the lane sends nothing this time."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.pipeline.deliver import deliver_leftovers
from flicker_dagster.pipeline.fetch import fetch_window
from flicker_dagster.pipeline.windows import window_of_key
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.state.ledger import Ledger
from flicker_dagster_tests.conformance.harness import plain_scene


def test_what_was_settled_before_a_kill_is_not_sent_again_after_the_lane_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plain_scene(tmp_path) as scene, closing(Receiver()) as lake:
        scene.source = scene.source.model_copy(
            update={
                "destination": [
                    HttpDestination(type="http", name="siem", endpoint=f"{scene.siem.url}/siem"),
                    HttpDestination(type="http", name="lake", endpoint=f"{lake.url}/siem", required=False),
                ]
            }
        )
        scene.poll()
        key = scene.key_of(scene.clock.now_ms - 3_000_000)
        ids = scene.emit(5, seconds_ago=3_000)
        scene.clock.now_s += 2 * 3_600
        with scene.work() as work, work.exclusive():
            window = window_of_key(scene.source.grid, key)
            fetch_window(work, window, fresh=True)
            with monkeypatch.context() as killed:
                killed.setattr(Ledger, "add", lambda *_: None)
                deliver_leftovers(work)
            assert not work.spool.unit(window.key).lane("lake").waiting_events
        scene.emit(3)
        lake.faults.plan("503", count=None)
        report = scene.poll()
        assert [lane.failed is not None for lane in report.lanes] == [False, True]
        lake.faults.clear()
        scene.clock.now_s += 600
        scene.sweep(key)
        assert [lake.ids("/siem")[each] for each in ids] == [1] * 5
