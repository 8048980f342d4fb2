"""What a vendor emitted against what the SIEM holds of it, event by event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flicker_dagster.simulator.emitter import Event


@dataclass(frozen=True)
class Row:
    """One stream compared: what the vendor emitted in it and what the SIEM holds of it. `stream` is empty for a source that
    is its only one."""

    source: str
    emitted: int
    in_siem: int
    in_flight: int  # not there yet, and young
    missing: int  # all that is not there yet
    twice: int
    unknown: int  # in the SIEM, but not from this vendor
    backlog: int = 0  # not there yet, and from before the world began, in its first minutes
    stream: str = ""

    @property
    def overdue(self) -> int:
        """Missing without an excuse."""
        return self.missing - self.in_flight - self.backlog

    @property
    def name(self) -> str:
        return f"{self.source}/{self.stream}" if self.stream else self.source


@dataclass(frozen=True)
class Ages:
    """What is young and what is history: times in ms, `catching_up` while history may still be on its way."""

    now_ms: int
    began_ms: int
    in_flight_ms: int
    catching_up: bool


def compared(
    events: Sequence[Event], received: Counter[str], ages: Ages, *, equal_rows: bool, source: str, stream: str = ""
) -> Row:
    """`received` is how often the SIEM has each id. With `equal_rows` events of one id are as many events as there are."""
    wanted = Counter(event.id for event in events)
    if not equal_rows:
        wanted = Counter(dict.fromkeys(wanted, 1))
    outstanding = _outstanding(events, wanted - received)
    old = [event for event in outstanding if ages.now_ms - event.visible_ms >= ages.in_flight_ms]
    twice = sum(max(0, count - max(1, wanted[event_id])) for event_id, count in received.items())
    return Row(
        source=source,
        emitted=wanted.total(),
        in_siem=received.total() - twice,
        in_flight=len(outstanding) - len(old),
        backlog=sum(event.visible_ms < ages.began_ms for event in old) if ages.catching_up else 0,
        missing=len(outstanding),
        twice=twice,
        unknown=len(received.keys() - wanted.keys()),
        stream=stream,
    )


def together(rows: Sequence[Row], source: str) -> Row:
    """The streams of a source as one row."""

    def total(name: str) -> int:
        return sum(getattr(row, name) for row in rows)

    return Row(
        source,
        emitted=total("emitted"),
        in_siem=total("in_siem"),
        in_flight=total("in_flight"),
        missing=total("missing"),
        twice=total("twice"),
        unknown=total("unknown"),
        backlog=total("backlog"),
    )


def _outstanding(events: Iterable[Event], lacking: Counter[str]) -> list[Event]:
    """An event for each that the SIEM lacks; of equal ones the oldest: none is younger than it is."""
    left = Counter(lacking)
    found = []
    for event in events:
        if left[event.id] > 0:
            left[event.id] -= 1
            found.append(event)
    return found
