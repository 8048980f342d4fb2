"""What the factory builds for the one source of a scene, as Dagster loads it."""

from __future__ import annotations

import dagster as dg

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.factory import build_source
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.windows import DAY_MS
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.conformance.harness import Scene


def definitions_of(source: SourceConfig, settings: Settings) -> dg.Definitions:
    built = build_source(source, settings)
    return dg.Definitions(
        assets=[built.asset],
        jobs=[built.job],
        sensors=[] if built.sensor is None else [built.sensor],
        schedules=[built.schedule],
    )


def settings_of(scene: Scene) -> Settings:
    return Settings(state_dir=str(scene.directory / "state"), work_dir=str(scene.directory / "work"))


def job_of(scene: Scene) -> dg.JobDefinition:
    """The job over a grid that begins long ago: many scenes play in the past, and definitions are loaded now."""
    window = scene.source.window
    if window.start is None:
        window = window.model_copy(update={"start": rfc3339_ms(scene.clock.now_ms - 60 * DAY_MS)})
    source = scene.source.model_copy(update={"window": window})
    return definitions_of(source, settings_of(scene)).resolve_job_def(names.job_name(source.full_name))
