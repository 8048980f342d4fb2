"""A vendor's event log: what it recorded, when each event became visible, and the exact bytes it serves.

There is no thread: events that are due by the clock are made when somebody looks. So a simulated vendor knows at any
moment what it has emitted, and a test with a clock of its own knows it in advance.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field

#: From a number, an event time (ms) and a source of chance to the event's id and bytes.
MakeEvent = Callable[[int, int, random.Random], tuple[str, bytes]]


@dataclass(frozen=True, order=True)
class Event:
    """One recorded event. It is listed from `visible_ms` on, the time the vendor stored it."""

    published_ms: int
    number: int
    visible_ms: int = field(compare=False)
    id: str = field(compare=False)
    body: bytes = field(compare=False)
    copies: int = field(default=1, compare=False)  # rows that one listing shows of it


@dataclass
class Habits:
    """How the vendor misbehaves with its events; shares are between 0 and 1."""

    late_share: float = 0.0
    late_s: float = 60.0
    very_late_share: float = 0.0
    very_late_s: float = 86_400.0
    duplicate_share: float = 0.0
    tie_ms: int = 1  # event times are rounded to so many ms: 1000 gives many equal times


class Emitter:
    """Emits `rate` events per second since its start, after `history_s` seconds of history at `history_rate`."""

    def __init__(
        self,
        make_event: MakeEvent,
        *,
        rate: float = 0.0,
        history_s: float = 0.0,
        history_rate: float = 0.05,
        habits: Habits | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._make_event = make_event
        self._rate = rate
        self._random = random.Random(seed)
        self._clock = clock
        self.habits = habits or Habits()
        self._lock = threading.RLock()
        self._stored: list[Event] = []  # in the order in which they became visible
        self._by_time: list[Event] = []  # the same, by event time
        self._hidden: list[tuple[int, Event]] = []  # not visible yet, a heap by visible_ms
        self._count = 0
        self.arriving_ms = 0  # `visible_ms` of the event that is being made
        self._since_s = clock()  # when the present rate began …
        self._made = 0  # … and how many events it has made
        self._begin(history_s, history_rate)

    # -- looking

    def stored(self) -> list[Event]:
        """Visible events in the order the vendor stored them. The list only ever grows."""
        with self._lock:
            self._advance()
            return self._stored

    def between(self, start_ms: int, end_ms: int) -> list[Event]:
        """Visible events with `start_ms <= published_ms <= end_ms`, by event time."""
        with self._lock:
            self._advance()
            first = bisect_left(self._by_time, start_ms, key=lambda event: event.published_ms)
            last = bisect_left(self._by_time, end_ms + 1, key=lambda event: event.published_ms)
            return self._by_time[first:last]

    def emitted(self) -> list[Event]:
        """Everything that is visible now: what a collector can be held to."""
        with self._lock:
            return list(self.stored())

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    # -- emitting

    def emit(
        self, count: int, *, at_ms: int | None = None, visible_ms: int | None = None, copies: int = 1
    ) -> list[Event]:
        """Record events now, or as of another time. Visible at once unless told otherwise; never before now."""
        with self._lock:
            self._advance()
            now_ms = self.now_ms()
            at_ms = now_ms if at_ms is None else at_ms
            visible_ms = max(now_ms, at_ms if visible_ms is None else visible_ms)
            events = [self._record(at_ms, visible_ms, copies) for _ in range(count)]
            self._reveal()
            return events

    def set_rate(self, rate: float) -> None:
        with self._lock:
            self._advance()
            self._rate, self._since_s, self._made = rate, self._clock(), 0

    def stop(self) -> None:
        self.set_rate(0.0)

    def _begin(self, history_s: float, history_rate: float) -> None:
        for number in range(int(history_s * history_rate)):
            at_s = self._since_s - history_s + number / history_rate
            self._record(int(at_s * 1000), int(at_s * 1000), 1)
        self._reveal()

    def _advance(self) -> None:
        now_s = self._clock()
        while self._rate > 0 and (due_s := self._since_s + (self._made + 1) / self._rate) <= now_s:
            self._made += 1
            self._record_by_habit(int(due_s * 1000))
        self._reveal()

    def _reveal(self) -> None:
        """Store what has become visible, in that order: listings search `_stored` by `visible_ms`."""
        now_ms = self.now_ms()
        while self._hidden and self._hidden[0][0] <= now_ms:
            event = heapq.heappop(self._hidden)[1]
            self._stored.append(event)
            insort(self._by_time, event)

    def _record_by_habit(self, due_ms: int) -> None:
        habits, chance = self.habits, self._random.random()
        at_ms = due_ms // habits.tie_ms * habits.tie_ms
        delay_s = 0.0
        if chance < habits.very_late_share:
            delay_s = habits.very_late_s
        elif chance < habits.very_late_share + habits.late_share:
            delay_s = habits.late_s
        copies = 2 if self._random.random() < habits.duplicate_share else 1
        self._record(at_ms, due_ms + int(delay_s * 1000), copies)

    def _record(self, published_ms: int, visible_ms: int, copies: int) -> Event:
        number = self._count
        self._count += 1
        self.arriving_ms = visible_ms
        event_id, body = self._make_event(number, published_ms, self._random)
        event = Event(published_ms, number, visible_ms, event_id, body, copies)
        heapq.heappush(self._hidden, (visible_ms, event))
        return event


def rows(events: list[Event]) -> list[Event]:
    """Events as a listing shows them: some twice, as vendors do."""
    return [event for event in events for _ in range(event.copies)]
