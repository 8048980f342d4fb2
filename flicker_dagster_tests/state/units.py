"""Spools and units as tests open them: each call stands for a new process."""

from __future__ import annotations

from pathlib import Path

from flicker_dagster.state.digests import split
from flicker_dagster.state.spool import SourceSpool, SpoolUnit
from flicker_dagster.types import Batch
from flicker_dagster_tests.state.builders import T0_MS, ack


def spool_of(tmp_path: Path, **options: object) -> SourceSpool:
    return SourceSpool(tmp_path, "okta", clock=lambda: T0_MS / 1000, **options)  # type: ignore[arg-type]


def live(tmp_path: Path, **options: object) -> SpoolUnit:
    """The live unit as a new process finds it."""
    return spool_of(tmp_path, **options).unit("live")


def ids(unit: SpoolUnit) -> list[str]:
    return [b.batch_id for b in unit.pending()]


def acknowledge_all(unit: SpoolUnit) -> list[Batch]:
    done = list(unit.pending())
    for each in done:
        unit.acknowledge(ack(each))
    return done


def known(unit: SpoolUnit) -> list[bytes]:
    """The digests of every event in a unit, acknowledged or waiting."""
    return split(b"".join(unit.digests().values()))
