"""Edits of a sensor's cursor that could not be used: kept for a day beside the spool, so that commands can tell of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from flicker_dagster.readers import reader
from flicker_dagster.state.files import make_directory, replace_file
from flicker_dagster.state.names import file_safe

#: For so long an edit is told of; by then somebody has seen it, or nobody will.
TOLD_MS = 86_400_000


class RefusedEdit(msgspec.Struct, frozen=True):
    """`why` says what was found, on one line and without secrets; `goes_on_from` where collection went on."""

    source: str
    why: str
    goes_on_from: str | None
    at_ms: int


_read_edit = reader(RefusedEdit)


class RefusedEdits:
    """At `<work_dir>/refused-edits/<source>.json`. Telling of an edit must never stop anything, so no error leaves here."""

    def __init__(self, work_dir: str | Path, *, clock: Callable[[], float] = time.time) -> None:
        self._directory = Path(work_dir) / "refused-edits"
        self._clock = clock

    def note(self, source: str, why: str, *, goes_on_from: str | None) -> None:
        edit = RefusedEdit(source, why, goes_on_from, int(self._clock() * 1000))
        with suppress(OSError):
            make_directory(self._directory)
            replace_file(self._path(source), msgspec.json.encode(edit), durable=False)

    def clear(self, source: str) -> None:
        """Somebody has set the position since."""
        with suppress(OSError):
            self._path(source).unlink(missing_ok=True)

    def standing(self) -> Iterator[RefusedEdit]:
        """Those of the last day."""
        for path in sorted(self._directory.glob("*.json")):
            with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                edit = _read_edit(path.read_bytes())
                if int(self._clock() * 1000) - edit.at_ms < TOLD_MS:
                    yield edit

    def lines(self) -> list[str]:
        """What commands say of them."""
        return [
            f"{edit.source}: the sensor's cursor was edited and cannot be used: {edit.why}. Collection goes on from "
            f"{edit.goes_on_from}; to move it, `flicker position set {edit.source} TIME`"
            for edit in self.standing()
        ]

    def _path(self, source: str) -> Path:
        return self._directory / f"{file_safe(source)}.json"
