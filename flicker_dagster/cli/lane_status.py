"""How each destination of a source stands, for `flicker status`."""

from __future__ import annotations

from typing import Any

import msgspec

from flicker_dagster.cli.lags import span
from flicker_dagster.pipeline.lanes import LaneWork
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.lane_health import LaneHealth
from flicker_dagster.times import rfc3339_ms

COLUMNS = ("destination", "waiting", "unconfirmed", "dead letters", "last answer", "state")


class LaneStatus(msgspec.Struct, frozen=True):
    """In events: `waiting` are still to be sent, `unconfirmed` were taken, and whether they are safe is still to be asked."""

    source: str
    lane: str
    kind: str
    required: bool
    waiting: int
    unconfirmed: int
    dead_letters: int
    health: LaneHealth
    alone: bool
    now_ms: int

    @property
    def shown(self) -> str:
        return f"{self.source}@{self.lane}" if self.lane else self.source

    @property
    def rests(self) -> bool:
        return not self.alone and self.health.rests(self.now_ms)

    @property
    def was_used(self) -> bool:
        return self.health.last_answer is not None or bool(self.unconfirmed or self.health.failures)

    def row(self) -> tuple[object, ...]:
        return (self.shown, self.waiting, self.unconfirmed, self.dead_letters, self._answer(), self._state())

    def trouble(self) -> str | None:
        """Why it fails, in a line of its own: it would make the table as wide as it is long."""
        why = self.health.why
        return None if why is None else why if why.startswith(f"{self.shown}: ") else f"{self.shown}: {why}"

    def as_json(self) -> dict[str, Any]:
        health = self.health
        return {
            "lane": self.lane or None,
            "type": self.kind,
            "required": self.required,
            "waiting_events": self.waiting,
            "unconfirmed_events": self.unconfirmed,
            "dead_letters": self.dead_letters,
            "failures_in_a_row": health.failures,
            "failed_at": _time(health.failed_at_ms),
            "failing_because": health.why,
            "rests_until": _time(health.rests_until_ms) if self.rests else None,
            "last_answer": health.last_answer,
            "last_answer_at": _time(health.last_answer_at_ms),
        }

    def _answer(self) -> str:
        health = self.health
        if health.last_answer is None:
            return "none yet"
        return f"{health.last_answer}, {span(self.now_ms - (health.last_answer_at_ms or self.now_ms))} ago"

    def _state(self) -> str:
        health = self.health
        found = [] if self.required else ["best effort"]
        if health.failures:
            times = "failed" if health.failures == 1 else f"failed {health.failures} times in a row"
            found.append(times + (f", rests until {_time(health.rests_until_ms)}" if self.rests else ""))
        return ", ".join(found) or "ok"


def statuses_of(work: SourceWork) -> list[LaneStatus]:
    """Every destination of a source, in their order. Nothing is written down. Raises StateError."""
    lanes = work.lanes_to_look_at()
    return [_status(work, lane, alone=len(lanes) == 1) for lane in lanes]


def _status(work: SourceWork, lane: LaneWork, *, alone: bool) -> LaneStatus:
    units = [work.spool.unit(name) for name in work.spool.units()]
    unconfirmed = sum(unit.awaiting_events_of(lane.name) for unit in units)
    return LaneStatus(
        source=work.source.name,
        lane=lane.name,
        kind=lane.record.type,
        required=lane.required,
        waiting=sum(unit.waiting_of(lane.name).events for unit in units) - unconfirmed,
        unconfirmed=unconfirmed,
        dead_letters=lane.dead_letters.count(),
        health=lane.health.read(),
        alone=alone,
        now_ms=work.now_ms(),
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339_ms(at_ms)
