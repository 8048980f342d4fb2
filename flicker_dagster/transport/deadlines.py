"""A moment at which something has to be over, by the clock that nobody sets, and what the user calls the limit."""

from __future__ import annotations

import time

import msgspec


class Deadline(msgspec.Struct, frozen=True):
    """`at_s` is a reading of `time.monotonic()`; `limit` names the key behind it, as in `limits.run_seconds (600)`."""

    at_s: float
    limit: str

    @classmethod
    def after(cls, seconds: float, limit: str) -> Deadline:
        return cls(time.monotonic() + seconds, limit)

    @property
    def left_s(self) -> float:
        """Seconds until then; negative once it is over."""
        return self.at_s - time.monotonic()

    def or_earlier(self, other: Deadline | None) -> Deadline:
        return self if other is None or self.at_s <= other.at_s else other
