"""Events that a destination refuses by themselves: dead letters, once it is known that it does not refuse everything."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import NamedTuple

from flicker_dagster.lots import Lot
from flicker_dagster.types import DeadLetter

#: So many events refused one by one in the same words, and none taken of all that waits: that is the configuration, not
#: the events. After the second number nothing further is tried.
REFUSES_EVERYTHING = 8
MOST_REFUSED_ALIKE = 200

#: A word with a digit. Gateways number what they refuse (`Reference #18.6f6c1002.17`): the one refusal of everything must not
#: look like one of each event.
_NUMBERED = re.compile(r"\S*\d\S*")

#: What stands in a dead letter in place of a destination's answer.
NEVER_SENT = "never sent"


class Reason(NamedTuple):
    """Why an event is set aside: in words, and as the answer's name."""

    why: str
    status: str


#: By the event's index in its lot.
Reasons = dict[int, Reason]


class RefusesEverything(Exception):
    """All that was tried was refused, in the same words."""


class Refusals:
    """What was refused so far. Thread-safe. `keep` writes dead letters of a lot, and is called once the destination has
    taken something, or at the end."""

    def __init__(self, keep: Callable[[Lot, Reasons], None], *, took_before: bool) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._held: list[tuple[Lot, Reasons]] = []
        self._events = 0  # held so far
        self._words: dict[str, str] = {}  # without numbers: as they were said
        self.took_something = took_before

    def took(self) -> None:
        """The destination has taken something, so what it refuses is not for its configuration."""
        with self._lock:
            self.took_something = True
            held, self._held = self._held, []
        for lot, reasons in held:
            self._keep(lot, reasons)

    def add(self, lot: Lot, reasons: Reasons) -> None:
        """Raises RefusesEverything where that is all the destination does, however the events are cut: a backlog must not
        become dead letters one lot after the other."""
        with self._lock:
            if not self.took_something:
                self._held.append((lot, reasons))
                self._events += len(reasons)
                self._words |= {_NUMBERED.sub("#", reason.why): reason.why for reason in reasons.values()}
                self._refuse_if_alike(MOST_REFUSED_ALIKE)
                return
        self._keep(lot, reasons)

    def finish(self) -> None:
        """Everything that could be sent was sent: what was refused by itself was refused for itself, where there is not too
        much of it. Raises RefusesEverything."""
        with self._lock:
            self._refuse_if_alike(REFUSES_EVERYTHING)
            held, self._held = self._held, []
        for lot, reasons in held:
            self._keep(lot, reasons)

    def _refuse_if_alike(self, at_least: int) -> None:
        if len(self._words) == 1 and self._events >= at_least:
            raise RefusesEverything(next(iter(self._words.values())))


def letters_of(lot: Lot, reasons: Reasons, *, destination: str, at_ms: int) -> list[DeadLetter]:
    """Dead letters of these events of a lot, in their order."""
    return [
        DeadLetter(
            event=bytes(lot.events[index]),
            reason=reason.why,
            status=reason.status,
            lot_id=lot.lot_id,
            digest=lot.digests[index].hex(),
            destination=destination,
            at_ms=at_ms,
            event_time_ms=lot.times_ms[index],
        )
        for index, reason in sorted(reasons.items())
    ]
