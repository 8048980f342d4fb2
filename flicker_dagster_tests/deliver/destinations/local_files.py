"""Destinations of `type: file`, and what is read back from their files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import msgspec

from flicker_dagster.config.destinations.file import FileDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.file import FileOfLines
from flicker_dagster_tests.deliver.contract import FakeClock


def opened(path: Path, *, clock: FakeClock | None = None, source: str = "okta", **keys: object) -> FileOfLines:
    config = FileDestination.model_validate({"type": "file", "path": str(path), **keys})
    return FileOfLines(config, LaneContext(source, clock=clock or FakeClock()))


def numbers_in(*paths: Path) -> list[str]:
    """Ids of the events in these files, in order; every line must be whole."""
    found: list[str] = []
    for path in paths:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert data == b"" or data.endswith(b"\n")
        found += [msgspec.json.decode(line)["id"] for line in data.splitlines()]
    return found


def rotated(path: Path) -> list[Path]:
    return sorted(each for each in path.parent.glob(f"{path.stem}-*") if each != path)


def failing(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail
