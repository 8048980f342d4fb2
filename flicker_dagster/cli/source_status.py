"""Where one source, or one stream of it, stands: in words, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from flicker_dagster.cli.lags import lag, lag_ms, span
from flicker_dagster.cli.lane_status import LaneStatus
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import Position


@dataclass(frozen=True)
class LastRun:
    """What Dagster knows of a source's newest run."""

    run_id: str
    mode: str
    status: str
    updated_ms: int
    error: str | None

    def words(self, now_ms: int) -> str:
        return f"{self.mode} {self.status} {span(now_ms - self.updated_ms)} ago"


@dataclass(frozen=True)
class SourceStatus:
    """Where a source stands. None: nothing collected yet, or nothing that Dagster could tell of."""

    source: str
    #: The source of which it is a stream, and its name there; one that is its only stream has none.
    source_name: str = ""
    stream: str = ""
    position: Position | None = None
    now_ms: int = 0
    last_run: LastRun | None = None
    waiting_events: int | None = None
    lanes: Sequence[LaneStatus] = ()
    verified: list[str] | None = None
    error: str | None = None

    @property
    def dead_letters(self) -> int | None:
        return sum(lane.dead_letters for lane in self.lanes) if self.lanes else None

    def lanes_to_tell(self) -> list[LaneStatus]:
        """Several destinations, and a single one that was sent something."""
        return [lane for lane in self.lanes if len(self.lanes) > 1 or lane.was_used]

    @property
    def cause(self) -> str | None:
        """Why it cannot be read, or why its last run failed."""
        return self.error or (None if self.last_run is None else self.last_run.error)

    @property
    def stands(self) -> str | None:
        return None if self.position is None else self.position.last_timestamp

    def position_words(self) -> str:
        return self.stands or "nothing collected yet"

    def lag_words(self) -> str:
        return lag(self.stands, self.now_ms)

    def run_words(self, *, dagster_ran: bool) -> str:
        run = self.last_run
        return "" if not dagster_ran else "none yet" if run is None else run.words(self.now_ms)

    def verified_words(self, *, dagster_ran: bool) -> str:
        keys = self.verified
        return "" if not dagster_ran else f"{len(keys)}, newest {max(keys)}" if keys else "none yet"

    def as_json(self) -> dict[str, Any]:
        run, keys = self.last_run, self.verified
        return {
            "source": self.source,
            "position": None if self.position is None else msgspec.to_builtins(self.position),
            "lag_ms": None if self.position is None else lag_ms(self.position.last_timestamp, self.now_ms),
            "last_run": None
            if run is None
            else {
                "run_id": run.run_id,
                "mode": run.mode,
                "status": run.status,
                "updated_at": rfc3339_ms(run.updated_ms),
                "error": run.error,
            },
            "waiting_events": self.waiting_events,
            "dead_letters": self.dead_letters,
            "lanes": [lane.as_json() for lane in self.lanes],
            "verified_windows": None if keys is None else len(keys),
            "newest_verified_window": max(keys) if keys else None,
            "error": self.error,
        }
