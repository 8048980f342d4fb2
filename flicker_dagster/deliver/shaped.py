"""A destination whose lane changes events: it gets them shaped, and all around it goes on seeing the vendor's own bytes.

So dead letters hold what the vendor sent, and every attempt at a part makes the same shaped bytes again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.deliver.destination import Destination, LaneContext, LotLimits
from flicker_dagster.deliver.outcomes import Delivered, Duplicate, Outcome, PerItem, Receipt
from flicker_dagster.deliver.shaping import ShapeCounts, Shaped, Shaper, Unshapable
from flicker_dagster.lots import Lot
from flicker_dagster.transport.deadlines import Deadline


class ShapedDestination:
    """Shapes what is sent to another destination. An event that cannot be shaped is unfit for it, and never sent."""

    def __init__(self, destination: Destination, shaper: Shaper) -> None:
        self._destination = destination
        self.deadline: Deadline | None = None
        self._shaper = shaper
        self._lock = threading.Lock()
        self._counts = ShapeCounts()
        self._last = threading.local()  # `unfit` and `send` look at the same lot, one after the other

    @property
    def counts(self) -> ShapeCounts:
        """What was done to the events that were taken since it was opened. An event whose receipt expired and that was sent
        again counts again."""
        with self._lock:
            return self._counts

    @property
    def limits(self) -> LotLimits:
        return self._destination.limits

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        try:
            return self._destination.unfit(self._shaped(lot).lot)
        except Unshapable as error:
            left = [index for index in range(len(lot)) if index not in error.reasons]
            others = self._destination.unfit(self._shaped(lot.part(left)).lot) if left else {}
            return dict(error.reasons) | {left[index]: why for index, why in others.items()}

    def send(self, lot: Lot) -> Outcome | Receipt:
        shaped = self._shaped(lot)
        self._destination.deadline = self.deadline
        outcome = self._destination.send(shaped.lot)
        self._last.of = None
        self._count(lot, shaped, outcome)
        return outcome

    def confirm(self, receipts: Sequence[Receipt]) -> Mapping[str, Outcome]:
        self._destination.deadline = self.deadline
        return self._destination.confirm(receipts)

    def describe(self) -> str:
        return self._destination.describe()

    def close(self) -> None:
        self._destination.close()

    def _shaped(self, lot: Lot) -> Shaped:
        known = getattr(self._last, "of", None)
        if known is not None and known[0] is lot:
            return known[1]
        shaped = self._shaper.shaped(lot)
        self._last.of = (lot, shaped)
        return shaped

    def _count(self, lot: Lot, shaped: Shaped, outcome: Outcome | Receipt) -> None:
        """Each event once: when it is taken."""
        counts = ShapeCounts()
        if isinstance(outcome, Delivered | Duplicate | Receipt):
            counts = shaped.counts
        elif isinstance(outcome, PerItem):
            taken = [index for index, item in enumerate(outcome.items) if isinstance(item, Delivered | Duplicate)]
            if taken:
                counts = self._shaper.shaped(lot.part(taken)).counts
        with self._lock:
            self._counts += counts


def shaped(destination: Destination, config: DestinationRecord, context: LaneContext) -> Destination:
    """The destination behind what its record says of fields and schema; the very same where it says nothing."""
    shaper = Shaper(config, context)
    return destination if shaper.changes_nothing else ShapedDestination(destination, shaper)
