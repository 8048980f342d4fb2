"""Content blobs of a Microsoft 365 tenant: what became available together, in no order, and some of it twice."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from flicker_dagster.simulator.emitter import Emitter, Event

SECOND_MS = 1_000
#: So much becomes available at once.
MOST_EVENTS = 25
#: Content of one blob arrived within so long.
TOGETHER_MS = 60_000


@dataclass(frozen=True)
class Blob:
    """Records that are listed under one id. It became available at `created_ms`, a full second."""

    content_id: str
    created_ms: int
    bodies: tuple[bytes, ...]


class Blobs:
    """Those of one content type. What arrives is cut into blobs when somebody looks, and stays as it was cut. A record that
    the log shows twice comes again in a blob of its own. What arrived before the present second is not made to wait for
    what arrives within it: who asks until this second has all of it.

    What arrives while the subscription is stopped is in none, and its ids are in `lost`.
    """

    def __init__(self, content_type: str) -> None:
        self._suffix = f"${content_type.lower().replace('.', '_')}${content_type.replace('.', '_')}$emea0001"
        self._lock = threading.Lock()
        self._done = 0
        self._blobs: list[Blob] = []
        self.lost: set[str] = set()

    def look(self, emitter: Emitter, *, subscribed: bool) -> list[Blob]:
        """All blobs so far, in the order in which they became available."""
        with self._lock:
            stored = emitter.stored()
            new = stored[self._done :]
            self._done += len(new)
            if not subscribed:
                self.lost.update(event.id for event in new)
                return list(self._blobs)
            second_ms = emitter.now_ms() // SECOND_MS * SECOND_MS
            portion: list[Event] = []
            for event in new:
                if portion and (
                    len(portion) == MOST_EVENTS
                    or event.visible_ms - portion[0].visible_ms >= TOGETHER_MS
                    or portion[-1].visible_ms < second_ms <= event.visible_ms
                ):
                    self._cut(portion)
                    portion = []
                portion.append(event)
            if portion:
                self._cut(portion)
            return list(self._blobs)

    def _cut(self, portion: list[Event]) -> None:
        self._add(portion)
        again = [event for event in portion if event.copies > 1]
        if again:
            self._add(again)

    def _add(self, events: list[Event]) -> None:
        number = len(self._blobs)
        created_ms = events[-1].visible_ms // SECOND_MS * SECOND_MS
        bodies = [event.body for event in events]
        random.Random(number).shuffle(bodies)
        self._blobs.append(Blob(f"{created_ms}{number:08d}{self._suffix}", created_ms, tuple(bodies)))
