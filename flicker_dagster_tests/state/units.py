"""Spools and units as tests open them: each call stands for a new process."""

from __future__ import annotations

from pathlib import Path

from flicker_dagster.lots import Lot
from flicker_dagster.state.digests import split
from flicker_dagster.state.spool import SourceSpool, SpoolUnit
from flicker_dagster_tests.state.builders import T0_MS, settled


def spool_of(tmp_path: Path, **options: object) -> SourceSpool:
    return SourceSpool(tmp_path, "okta", clock=lambda: T0_MS / 1000, **options)  # type: ignore[arg-type]


def live(tmp_path: Path, **options: object) -> SpoolUnit:
    """The live unit as a new process finds it."""
    return spool_of(tmp_path, **options).unit("live")


def pending(unit: SpoolUnit, lane: str = "") -> list[Lot]:
    return list(unit.lane(lane).pending())


def settle(unit: SpoolUnit, lot: Lot, *, duplicate: bool = False, lane: str = "") -> None:
    unit.lane(lane).settle(lot, settled(lot, duplicate=duplicate))


def ids(unit: SpoolUnit) -> list[str]:
    return [lot.lot_id for lot in pending(unit)]


def settle_all(unit: SpoolUnit) -> list[Lot]:
    done = pending(unit)
    for each in done:
        settle(unit, each)
    return done


def known(unit: SpoolUnit) -> list[bytes]:
    """The digests of every event in a unit, settled or waiting."""
    return split(b"".join(unit.digests().values()))
