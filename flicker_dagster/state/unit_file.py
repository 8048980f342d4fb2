"""`unit.json`: where a unit's fetch stands, and which files of the spool count."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from flicker_dagster.errors import SpoolFull, StateError
from flicker_dagster.state.files import FULL_ERRNOS, make_directory, replace_file
from flicker_dagster.types import Position, WalkState

NAME = "unit.json"


class Failed(msgspec.Struct, frozen=True):
    """A request of a walk that failed so many times in a row; `place` says which one."""

    place: str
    times: int


class UnitState(msgspec.Struct, frozen=True):
    """How far a unit's fetch has come. A window unit has neither `base` nor `frontier`.

    `base` is the position the unit was begun from, `frontier` the one it has reached in whole walks, `walk` the resume
    point inside of a walk. `registry_seen` is the registry's position when the unit was begun. `skew_ms` is how far the
    vendor's clock is ahead of ours. `tally` counts this unit's fetch so far. `began_ms` is when a window's walk began, by
    the vendor's clock. `shape` is the fingerprint of the configuration that made `walk` and the cursor of `frontier`,
    `failed` what failed last at a resume point; `paging_seen` and `cursor_noted` say that the source's notes know of it.
    With `backfill` a person asked for it: lanes get what lies before their start as well.
    """

    base: Position | None
    frontier: Position | None
    walk: WalkState | None = None
    complete: bool = False
    redeliver_until_ms: int | None = None
    redeliver: bool = False
    backfill: bool = False
    registry_seen: Position | None = None
    skew_ms: int = 0
    began_ms: int | None = None
    shape: str | None = None
    failed: Failed | None = None
    paging_seen: bool = False
    cursor_noted: bool = False
    tally: dict[str, Any] = {}

    def begun_again(self) -> UnitState:
        """The same unit before its first page: for when pages it counted are gone."""
        return msgspec.structs.replace(self, frontier=self.base, walk=None, complete=False, tally={})


class UnitFile(msgspec.Struct, frozen=True):
    """All of `unit.json`. Files of another `generation` are leftovers.

    `committed_bytes` of the lots' file are what `state` counts on, `synced_bytes` were on the disk for sure. Lots before
    `delivered_seq` are settled by all lanes that the position waits for, and committed. Version 1 held batches of one
    destination.
    """

    version: int = 2
    generation: int = 0
    first_seq: int = 0
    committed_bytes: int = 0
    synced_bytes: int = 0
    delivered_seq: int = 0
    state: UnitState | None = None


_decode = msgspec.json.Decoder(UnitFile).decode


def read_unit_file(directory: Path) -> UnitFile | None:
    """What `unit.json` says, None if it is not there. Raises ValueError if it is damaged, StateError otherwise."""
    path = directory / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}; check its permissions") from error
    try:
        found = _decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if found.version not in (1, 2):
        raise StateError(f"{path} has version {found.version}, written by a newer Flicker; 2 is the newest known here")
    return found


def write_unit_file(directory: Path, content: UnitFile, *, durable: bool) -> None:
    """Replace `unit.json`. Raises SpoolFull, StateError; the old one then stands."""
    path = directory / NAME
    try:
        make_directory(directory)
        replace_file(path, msgspec.json.encode(content), durable=durable)
    except OSError as error:
        if error.errno in FULL_ERRNOS:
            raise SpoolFull(f"cannot write {path}: the disk is full; free some space") from error
        raise StateError(f"cannot write {path}: {error.strerror}; check its permissions") from error


def present_generations(directory: Path) -> dict[int, list[Path]]:
    """Files of lots, their lanes' journals, and batches of older versions, by generation."""
    found: dict[int, list[Path]] = {}
    with suppress(FileNotFoundError):
        for name in os.listdir(directory):
            stem, _, rest = name.partition(".")
            number = rest.partition("@")[0]
            if stem in ("lots", "batches", "journal") and number.isdigit():
                found.setdefault(int(number), []).append(directory / name)
    return found
