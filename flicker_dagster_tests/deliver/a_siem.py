"""A SIEM that answers as a test says and remembers what it took."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from flicker_dagster.deliver.destination import DestinationBase, LotLimits
from flicker_dagster.deliver.outcomes import Delivered, Outcome, PerItem, Receipt
from flicker_dagster.lots import Lot

OK = Delivered("HTTP 200 OK")

Answer = Callable[[Lot], Outcome | Receipt]


class ASiem(DestinationBase):
    """Answers by a rule and remembers what it took: each event with the key it came under."""

    def __init__(self, answer: Answer, *, limits: LotLimits | None = None) -> None:
        self.answer = answer
        self.limits = limits or LotLimits(in_flight=1)
        self.taken: list[tuple[str, str]] = []  # key, id
        self.sent: list[Lot] = []
        self.asked: list[str] = []
        self.confirms: dict[str, Outcome] = {}

    def send(self, lot: Lot) -> Outcome | Receipt:
        self.sent.append(lot)
        outcome = self.answer(lot)
        if isinstance(outcome, Delivered | Receipt):
            self.take(lot, range(len(lot)))
        elif isinstance(outcome, PerItem):
            self.take(lot, [i for i, item in enumerate(outcome.items) if isinstance(item, Delivered)])
        return outcome

    def take(self, lot: Lot, indices: range | list[int]) -> None:
        self.taken += [(lot.key(""), json.loads(lot.events[i])["id"]) for i in indices]

    def confirm(self, receipts: list[Receipt]) -> dict[str, Outcome]:  # type: ignore[override]
        self.asked += [receipt.token for receipt in receipts]
        return {r.token: self.confirms[r.token] for r in receipts if r.token in self.confirms}

    def describe(self) -> str:
        return "a SIEM"

    @property
    def counts(self) -> Counter[str]:
        return Counter(mark for _, mark in self.taken)


def ids_of(lot: Lot) -> list[str]:
    return [json.loads(event)["id"] for event in lot.events]
