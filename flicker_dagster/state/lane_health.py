"""How a lane's destination has behaved lately, kept on this machine: what it refused as too large, and until when it rests."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from flicker_dagster.errors import StateError
from flicker_dagster.readers import reader
from flicker_dagster.state.files import make_directory, replace_file
from flicker_dagster.state.names import file_safe

FIRST_REST_MS = 5_000
LONGEST_REST_MS = 300_000

#: How long one answer shows that a destination is configured rightly.
ANSWERS_FOR_MS = 600_000


class LaneHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """`failures` in a row, the last one at `failed_at_ms` because of `why`; nothing is sent before `rests_until_ms`.

    `refused` are requests that were too large: bytes, events, when; `taken_bytes` is the most that was not (see
    `deliver.learned`). `answered_at_ms` is when the
    destination last took something, `answered_as` the fingerprint of how it was configured then. `last_answer` is the name of
    what it said last, at `last_answer_at_ms`.
    """

    failures: int = 0
    failed_at_ms: int | None = None
    why: str | None = None
    rests_until_ms: int | None = None
    answered_at_ms: int | None = None
    answered_as: str | None = None
    refused: list[tuple[int, int, int]] = []
    taken_bytes: int = 0
    last_answer: str | None = None
    last_answer_at_ms: int | None = None

    def after_failure(self, why: str, *, now_ms: int, after_s: float | None) -> LaneHealth:
        """It failed once more: the rest doubles, unless the destination named one."""
        rest_ms = (
            min(FIRST_REST_MS << min(self.failures, 10), LONGEST_REST_MS) if after_s is None else int(after_s * 1000)
        )
        return msgspec.structs.replace(
            self, failures=self.failures + 1, failed_at_ms=now_ms, why=why, rests_until_ms=now_ms + rest_ms
        )

    def after_success(self, *, now_ms: int, configured_as: str) -> LaneHealth:
        return LaneHealth(
            answered_at_ms=now_ms,
            answered_as=configured_as,
            refused=self.refused,
            taken_bytes=self.taken_bytes,
            last_answer=self.last_answer,
            last_answer_at_ms=self.last_answer_at_ms,
        )

    def after_answer(self, name: str, *, now_ms: int) -> LaneHealth:
        return msgspec.structs.replace(self, last_answer=name, last_answer_at_ms=now_ms)

    def answers(self, configured_as: str, *, now_ms: int) -> bool:
        """Has it taken something lately, configured as it is? Then what it refuses is refused for itself."""
        at_ms = self.answered_at_ms
        return at_ms is not None and self.answered_as == configured_as and 0 <= now_ms - at_ms <= ANSWERS_FOR_MS

    def rests(self, now_ms: int) -> bool:
        """A clock that was set back ends a rest rather than making it longer."""
        began_ms, until_ms = self.failed_at_ms, self.rests_until_ms
        return began_ms is not None and until_ms is not None and began_ms <= now_ms < until_ms


_read_health = reader(LaneHealth)


class LaneHealthFile:
    """`.lane@<lane>.json` in the stream's folder of the spool. What cannot be read counts as not known."""

    def __init__(self, directory: Path, lane: str) -> None:
        self._path = directory / f".lane@{file_safe(lane)}.json"
        self._last: LaneHealth | None = None

    def read(self) -> LaneHealth:
        try:
            self._last = _read_health(self._path.read_bytes())
        except (OSError, msgspec.DecodeError):
            self._last = LaneHealth()
        return self._last

    def write(self, health: LaneHealth) -> None:
        """Raises StateError."""
        if health == self._last:
            return
        try:
            make_directory(self._path.parent)
            replace_file(self._path, msgspec.json.encode(health), durable=False)
        except OSError as error:
            raise StateError(
                f"cannot write {self._path}: {error.strerror}; check its permissions and the disk"
            ) from error
        self._last = health

    def forget(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
