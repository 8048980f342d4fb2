"""A Google-like vendor, newest first, a fifth of its events an hour late and some a day late, ends complete."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from flicker_dagster.config.groups import SweepConfig
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.schedule import tick
from flicker_dagster.orchestration.verified import due_windows, gaps
from flicker_dagster.pipeline.windows import HOUR_MS
from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.plain import Shape
from flicker_dagster_tests.conformance.harness import Clock, plain_scene
from flicker_dagster_tests.orchestration.test_late_events import Sweeper

pytestmark = pytest.mark.timeout(300)

EMITTING_HOURS = 6
HOURS = EMITTING_HOURS + 27  # the latest event turns up a day later, and is found at its window's age of a day
POLLS_PER_HOUR = 3
HABITS = Habits(late_share=0.2, late_s=3_600, very_late_share=0.01, very_late_s=86_400)


def test_every_event_ends_in_the_siem_once_and_its_lateness_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.now_s = (clock.now_ms // HOUR_MS - HOURS - 1) * 3600.0
    began_ms = clock.now_ms
    sweep = SweepConfig(settle_ms=600_000, revisit_ms=[HOUR_MS, 24 * HOUR_MS])
    with (
        plain_scene(
            tmp_path,
            shape=Shape(newest_first=True, page_size=100),
            clock=clock,
            vendor_options={"habits": HABITS},
            start_from="now",
            sweep=sweep,
        ) as scene,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        sweeper = Sweeper(scene, instance, monkeypatch)
        scene.poll()
        scene.vendor.emitter.set_rate(1 / 20)
        most_asked = 0
        for step in range(HOURS * POLLS_PER_HOUR):
            clock.now_s += 3600 / POLLS_PER_HOUR
            if step == EMITTING_HOURS * POLLS_PER_HOUR:
                scene.vendor.emitter.stop()
            scene.poll()
            asked = tick(instance, scene.work())
            for request in asked if isinstance(asked, list) else []:
                run = sweeper.job.execute_in_process(
                    instance=instance, partition_key=request.partition_key, tags=request.tags
                )
                assert run.success
            most_asked = max(most_asked, len(asked) if isinstance(asked, list) else 0)
        while due_windows(instance, scene.work()):
            sweeper.run()
        scene.assert_each_once()
        assert len(scene.received()) > EMITTING_HOURS * 150
        assert most_asked <= sweep.max_windows_per_tick
        verified = instance.get_materialized_partitions(dg.AssetKey("plain"))
        assert {scene.key_of(began_ms + hour * HOUR_MS) for hour in range(HOURS - 1)} <= verified
        assert gaps(instance, scene.work()) == []

        records = instance.fetch_materializations(dg.AssetRecordsFilter(dg.AssetKey("plain")), limit=1_000).records
        shown = [r.asset_materialization.metadata for r in records if r.asset_materialization is not None]
        late = [metadata for metadata in shown if metadata[names.NEW_KEY].value]
        for metadata in late:
            p50, p95, most = (float(str(metadata[f"lateness {name} s"].value)) for name in ("p50", "p95", "max"))
            assert 0 < p50 <= p95 <= most
            assert metadata["ids digest"].value != "0"
        assert max(float(str(metadata["lateness max s"].value)) for metadata in late) > 86_400
        checks = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey("plain"), names.CHECK_COMPLETE), limit=1_000
        )
        said = [
            str(getattr(check.event.dagster_event.event_specific_data, "description", ""))
            for check in checks
            if check.event is not None and check.event.dagster_event is not None
        ]
        assert any("were missing and have now been delivered; lookback_ms: " in words for words in said)
        assert any(not metadata[names.NEW_KEY].value for metadata in shown)  # clean looks, and yet …
        assert "were missing" in said[0]  # … no day of these passed without a late one, so the last words still tell
