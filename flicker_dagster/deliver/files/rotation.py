"""When a file is given another name, which one, and how it is compressed then."""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from isal import igzip

from flicker_dagster.deliver.files.disk import create, sync_directory
from flicker_dagster.times import datetime_of
from flicker_dagster.transport.deadlines import Deadline

log = logging.getLogger("flicker.deliver")

GZIP_LEVEL = 2
CHUNK_BYTES = 1024 * 1024
HOUR_MS = int(timedelta(hours=1).total_seconds() * 1000)
PERIODS_MS = {"hour": HOUR_MS, "day": 24 * HOUR_MS}


@dataclass(frozen=True)
class Rotation:
    """A new file begins beyond `size_bytes`, and with each hour or day of UTC; None for neither."""

    size_bytes: int | None = None
    every: Literal["hour", "day"] | None = None

    def due(self, *, end: int, more: int, began_ms: int, now_ms: int) -> bool:
        """Does a new file begin before `more` bytes are written behind `end`? An empty file is never rotated."""
        if end == 0:
            return False
        if self.size_bytes is not None and end + more > self.size_bytes:
            return True
        if self.every is None:
            return False
        period_ms = PERIODS_MS[self.every]
        return now_ms // period_ms > began_ms // period_ms


def name_for(active: Path, *, began_ms: int) -> str:
    """A name beside the active one that nothing has: `okta-20261129T150732Z.ndjson`, by when the file was begun."""
    stamp = f"{datetime_of(began_ms):%Y%m%dT%H%M%SZ}"
    number = 1
    while True:
        name = f"{active.stem}-{stamp}{'' if number == 1 else f'-{number}'}{active.suffix}"
        if not any(os.path.lexists(active.with_name(each)) for each in (name, f"{name}.gz")):
            return name
        number += 1


def is_there(active: Path, name: str) -> bool:
    """Does a rotated file still exist, compressed or not?"""
    return any(os.path.lexists(active.with_name(each)) for each in (name, f"{name}.gz"))


def compress_rotated(active: Path, *, mode: int, deadline: Deadline | None) -> None:
    """Compress every rotated file beside the active one; what a killed process left half done is done again.

    A file has its whole compressed form, under its name, before it goes. What is not done by the deadline waits for the
    next time. Raises OSError.
    """
    ours = re.compile(rf"{re.escape(active.stem)}-\d{{8}}T\d{{6}}Z(-\d+)?{re.escape(active.suffix)}")
    for name in sorted(os.listdir(active.parent)):
        if not ours.fullmatch(name):
            continue
        path = active.with_name(name)
        if not os.path.lexists(active.with_name(f"{name}.gz")) and not _compress(path, mode=mode, deadline=deadline):
            return
        os.unlink(path)
        sync_directory(path.parent)


def _compress(path: Path, *, mode: int, deadline: Deadline | None) -> bool:
    target, temporary = path.with_name(f"{path.name}.gz"), path.with_name(f".{path.name}.gz.tmp")
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    fd = create(temporary, mode=mode)
    with open(path, "rb") as source, os.fdopen(fd, "wb") as sink:
        with igzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=sink, mtime=0) as packed:
            while chunk := source.read(CHUNK_BYTES):
                if deadline is not None and deadline.left_s <= 0:
                    log.info("%s is compressed later: %s is over", path, deadline.limit)
                    return False
                packed.write(chunk)
        sink.flush()
        os.fsync(sink.fileno())
    os.replace(temporary, target)
    sync_directory(path.parent)
    return True
