"""Cutting events into batches: frozen membership, deterministic bytes, an id that follows from the events in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec
from isal import igzip

from flicker_dagster.types import Batch, timed_of

Buffer = bytes | msgspec.Raw
Encode = Callable[[Sequence[Buffer], Sequence[bytes], Sequence[int | None]], bytes]

#: Measured on audit events: level 1 packs as well as 2 and costs what 0 costs (0.65 ms for 725 KB, to 16 %).
GZIP_LEVEL = 1

#: What an array or lines add to each event, counted beforehand; what an envelope adds is seen when it is there.
OVERHEAD_BYTES = 2

#: Up to this share of the limit an average decides whether events fit.
ROOM_TO_SPARE = 0.75

DIGEST_BYTES = 16


def pack(body: bytes) -> bytes:
    """Deterministic gzip: no time stamp, a fixed level."""
    return igzip.compress(body, GZIP_LEVEL, mtime=0)


def batch_id_of(source_name: str, digests: bytes) -> str:
    """The same events of the same source always make the same batch id, on whichever machine."""
    return blake2b(digests, digest_size=16, key=source_name.encode()[:64]).hexdigest()


class Batcher:
    """Collects events until a batch is full by count or by uncompressed bytes.

    A batch lists its windows in the order of its events, each once, so that digests and events stay parallel; a window
    that comes again begins a new batch.
    """

    def __init__(self, *, source_name: str, encode: Encode, content_type: str, max_events: int, max_bytes: int) -> None:
        self._source_name = source_name
        self._encode = encode
        self._content_type = content_type
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._reset()

    @property
    def pending_events(self) -> int:
        return len(self._events)

    def add(
        self,
        events: Sequence[Buffer],
        digests: Sequence[bytes],
        window: str,
        times_ms: Sequence[int | None],
        *,
        average_bytes: int | None = None,
    ) -> list[Batch]:
        """Add events of one window; gives the batches that became full, in order.

        `average_bytes` is about what one event takes: where that leaves room to spare, nobody measures each of them,
        and a batch that is too large all the same is halved.
        """
        full: list[Batch] = []
        if self._windows and window in self._windows and window != next(reversed(self._windows)):
            full += self.flush()
        at = 0
        while at < len(events):
            taken = self._room_for(events, at, average_bytes)
            if taken == 0:
                full += self.flush()
                continue
            upto = at + taken
            self._events += events[at:upto]
            self._digests += digests[at:upto]
            self._times_ms += times_ms[at:upto]
            self._windows[window] = self._windows.get(window, 0) + taken
            at = upto
            if len(self._events) >= self._max_events:
                full += self.flush()
        return full

    def flush(self) -> list[Batch]:
        """The events that wait, as a batch (or several, where the body's format adds much); nothing if none do."""
        if not self._events:
            return []
        events, digests, times_ms, windows = self._events, self._digests, self._times_ms, self._windows
        self._reset()
        return self._batches(events, digests, times_ms, windows)

    def _batches(
        self, events: list[Buffer], digests: list[bytes], times_ms: list[int | None], windows: dict[str, int]
    ) -> list[Batch]:
        """The events as one batch, halved for as long as the encoded body is over the limit. `windows` counts them."""
        body = self._encode(events, digests, times_ms)
        if len(body) > self._max_bytes and len(events) > 1:
            middle = len(events) // 2
            before, behind = _cut(windows, middle)
            return self._batches(events[:middle], digests[:middle], times_ms[:middle], before) + self._batches(
                events[middle:], digests[middle:], times_ms[middle:], behind
            )
        joined = b"".join(digests)
        timed = timed_of(times_ms)
        batch = Batch(
            seq=0,
            batch_id=batch_id_of(self._source_name, joined),
            count=len(events),
            content_type=self._content_type,
            body=pack(body),
            body_bytes=len(body),
            digests=_by_window(joined, windows),
            first_ms=min(timed) if timed else None,
            last_ms=max(timed) if timed else None,
        )
        return [batch]

    def _room_for(self, events: Sequence[Buffer], at: int, average_bytes: int | None) -> int:
        """How many of the events from `at` on fit; a lone event larger than the limit makes a batch of its own."""
        wanted = min(len(events) - at, self._max_events - len(self._events))
        if average_bytes is not None:
            likely = self._bytes + wanted * (average_bytes + OVERHEAD_BYTES)
            if likely <= self._max_bytes * ROOM_TO_SPARE:
                self._bytes, self._guessed = likely, True
                return wanted
        if self._guessed:
            self._bytes, self._guessed = OVERHEAD_BYTES + sum(_sizes(self._events)), False
        for count, size in enumerate(_sizes(events[at : at + wanted])):
            if self._bytes + size > self._max_bytes and (count or self._events):
                return count
            self._bytes += size
        return wanted

    def _reset(self) -> None:
        self._events: list[Buffer] = []
        self._digests: list[bytes] = []
        self._times_ms: list[int | None] = []
        self._windows: dict[str, int] = {}  # how many of the events, in their order, lie in each
        self._bytes = OVERHEAD_BYTES
        self._guessed = False  # are they only likely?


def _sizes(events: Sequence[Buffer]) -> list[int]:
    return [len(memoryview(event)) + OVERHEAD_BYTES for event in events]


def _cut(windows: dict[str, int], middle: int) -> tuple[dict[str, int], dict[str, int]]:
    """The windows of the first `middle` events and those of the others."""
    before: dict[str, int] = {}
    behind: dict[str, int] = {}
    for window, count in windows.items():
        first = min(count, middle)
        middle -= first
        if first:
            before[window] = first
        if count > first:
            behind[window] = count - first
    return before, behind


def _by_window(joined: bytes, windows: dict[str, int]) -> dict[str, bytes]:
    digests: dict[str, bytes] = {}
    at = 0
    for window, count in windows.items():
        digests[window] = joined[at : at + count * DIGEST_BYTES]
        at += count * DIGEST_BYTES
    return digests
