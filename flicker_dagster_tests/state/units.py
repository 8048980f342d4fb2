"""Spools and units as tests open them: each call stands for a new process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flicker_dagster.lots import Lot
from flicker_dagster.state.digests import split
from flicker_dagster.state.spool import SourceSpool, SpoolUnit
from flicker_dagster_tests.state.builders import T0_MS, lot, settled, state

BOTH: dict[str, Any] = {"required": ("siem", "lake"), "optional": ("debug",)}


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


def unit_of(tmp_path: Path, **lanes: Any) -> SpoolUnit:
    """The live unit of these lanes, or of two required ones and an optional one."""
    return live(tmp_path, **(lanes or BOTH))


def begun(tmp_path: Path, **lanes: Any) -> SpoolUnit:
    """The same with two lots in it."""
    unit = unit_of(tmp_path, **lanes)
    unit.append([lot("a", events=6), lot("b", events=2)], state(1, 2))
    return unit


def places(unit: SpoolUnit, lane: str = "") -> list[tuple[str, list[int]]]:
    """What waits for a lane: lots, and the places of events in them."""
    return [(each.lot_id, list(each.places)) for each in pending(unit, lane)]
