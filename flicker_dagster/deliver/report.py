"""What a lane's delivery did."""

from __future__ import annotations

from collections import Counter

import msgspec

from flicker_dagster.deliver.shape_counts import ShapeCounts
from flicker_dagster.errors import DeliverError, FlickerError
from flicker_dagster.types import Settled


class LaneReport(msgspec.Struct):
    """One lane, one delivery; in events unless named otherwise. `awaiting` were taken and are not confirmed yet.

    `shaped` is what was done to their fields. `failed` is why it ended before everything was settled, `waiting` what it
    left behind.
    """

    lane: str = ""
    requests: int = 0
    delivered: int = 0
    duplicate: int = 0
    dead: int = 0
    known: int = 0
    dropped: int = 0
    bytes: int = 0
    awaiting: int = 0
    waiting: int = 0
    statuses: Counter[str] = msgspec.field(default_factory=Counter)  # answers by their name, in requests
    last_answer: str | None = None  # by its name
    failed: FlickerError | None = None
    shaped: ShapeCounts = ShapeCounts()

    def note(self, settled: Settled) -> None:
        self.delivered += settled.delivered
        self.duplicate += settled.duplicate
        self.dead += settled.dead
        self.known += settled.known
        self.dropped += settled.dropped

    def add(self, other: LaneReport) -> None:
        """Count another delivery of the same lane in."""
        for name in ("requests", "delivered", "duplicate", "dead", "known", "dropped", "bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.statuses += other.statuses
        self.awaiting, self.waiting = self.awaiting + other.awaiting, self.waiting + other.waiting
        self.last_answer = other.last_answer or self.last_answer
        self.failed = self.failed or other.failed
        self.shaped += other.shaped

    @property
    def done(self) -> bool:
        """Is everything settled?"""
        return self.failed is None and not self.awaiting and not self.waiting

    @property
    def error(self) -> DeliverError | None:
        return self.failed if isinstance(self.failed, DeliverError) else None
