"""What a lane did to the events that it sent: for the run's metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ShapeCounts:
    """What was done to events: how many were looked at and touched by a rule; fields dropped and masked, by the path of
    the rule; fields that `keep` does not name; events by what they were normalised to."""

    events: int = 0
    touched: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    masked: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    normalised: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: ShapeCounts) -> ShapeCounts:
        return ShapeCounts(
            events=self.events + other.events,
            touched=self.touched + other.touched,
            dropped=_sum(self.dropped, other.dropped),
            masked=_sum(self.masked, other.masked),
            left_out=self.left_out + other.left_out,
            normalised=_sum(self.normalised, other.normalised),
        )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(one) + Counter(other))
