"""The records that travel between floors. Times are integer milliseconds since the epoch, UTC, unless named otherwise."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class StreamName(msgspec.Struct, frozen=True):
    """What a stream is called: by its source, by itself where the source has several, and within which namespace."""

    source: str
    stream: str = ""
    namespace: str = ""

    @property
    def name(self) -> str:
        """Its name in the registry and the logs: `google/login`."""
        return f"{self.source}/{self.stream}" if self.stream else self.source


class Position(msgspec.Struct, frozen=True, omit_defaults=False):
    """Where live collection of a source stands; the registry's shape.

    `last_timestamp` is RFC 3339 UTC with milliseconds; `cursor` is the vendor's own token, opaque, or None.
    """

    last_timestamp: str | None = None
    cursor: str | None = None


class Window(msgspec.Struct, frozen=True):
    """A half-open span of event time `[start_ms, end_ms)`; `key` is its Dagster partition key."""

    key: str
    start_ms: int
    end_ms: int


class DecodedPage:
    """One answer of the vendor, decoded no further than needed. All lists run parallel, in the vendor's order.

    `events` are the exact bytes of each event (compacted only if the vendor pretty-prints); they are cut out of the
    answer when first asked for, since most answers of a sweep or an overlap hold nothing new. `digests` are the 16-byte
    digests of the event ids; `times_ms` each event's time, None where it cannot be read. `unfit` says by index which events
    can never be sent on, and why; `untimed_shape` what stood, in an event without a readable time, in place of one.
    `axis_ms` is when each event became available, where the listing is by arrival and tells; None otherwise.
    """

    __slots__ = ("_cut", "_events", "axis_ms", "digests", "size_bytes", "times_ms", "unfit", "untimed_shape")

    def __init__(
        self,
        cut: Callable[[], list[bytes | msgspec.Raw]],
        digests: list[bytes],
        times_ms: list[int | None],
        size_bytes: int,
    ) -> None:
        self._cut = cut
        self._events: list[bytes | msgspec.Raw] | None = None
        self.digests = digests
        self.times_ms = times_ms
        self.size_bytes = size_bytes
        self.unfit: dict[int, str] = {}
        self.axis_ms: list[int | None] | None = None
        self.untimed_shape: str | None = None

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def events(self) -> list[bytes | msgspec.Raw]:
        if self._events is None:
            self._events = self._cut()
        return self._events


class WalkState(msgspec.Struct, frozen=True):
    """How to ask for the next page of a walk; small, JSON-ready, free of secrets. Kept in the spool between runs."""

    start_ms: int | None = None
    end_ms: int | None = None
    cursor: str | None = None  # page token, or the verbatim next URL
    page: int = 0  # pages already read in this walk
    offset: int = 0  # events already read, for offset paging
    newest_ms: int | None = None  # newest event time read so far in this walk
    began_ms: int | None = None  # the vendor's time at its first request
    member: str | None = None  # id of the member that is walked, of a set that is walked over
    equal_rows: dict[str, int] = {}  # where equal rows are several events: how often those of the last time came

    @property
    def paged(self) -> bool:
        """Does its next request rest on an earlier answer of its listing, or on a kept cursor?"""
        return self.cursor is not None or self.page > 0 or self.offset > 0

    @property
    def further(self) -> bool:
        """Is it within a walk, or at a kept cursor?"""
        return self.paged or self.member is not None


class Remembered(msgspec.Struct, frozen=True):
    """What is known of an object that was fetched: how many events it has, and the sum of their digests (hex)."""

    events: int
    ids_sum: str


class Page(msgspec.Struct):
    """A decoded page with what comes after it. `next` is None at the end of the walk."""

    decoded: DecodedPage
    next: WalkState | None
    resume_cursor: str | None  # a durable cursor that a later poll may start from, where the API has one
    vendor_now_ms: int | None  # the vendor's clock, from its Date header
    number: int
    names_paging: bool = False  # what names the next page is in the answer, if only to say that there is none
    unproven: str | None = None  # of a last page: why there may be more all the same
    object: bytes | None = None  # digest of the id of the object that these events were fetched for
    object_ms: int | None = None  # when it became available
    already: Remembered | None = None  # what is known of an object that was fetched before, in place of its events


class FrozenLot(msgspec.Struct, frozen=True):
    """Events that wait together, as the spool holds them: membership and bytes never change.

    `array` is the JSON array of the events in gzip, with no time stamp in it, `array_bytes` its size before. Columns run
    parallel, one item per event: `digests` maps a shard's key to the concatenated 16-byte id digests of its events, in
    order; `lengths` are the events' bytes (unsigned 32-bit), `times_ms` their times (signed 64-bit, `NO_TIME` for none), both
    in little-endian order.
    """

    seq: int
    lot_id: str
    source: str
    count: int
    array: bytes
    array_bytes: int
    digests: dict[str, bytes]
    lengths: bytes
    times_ms: bytes
    collected_ms: int


#: What stands in a column of times for an event without one.
NO_TIME = -(2**63)


class Settled(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of events of a lot, in one lane. The counts add up to the events it is about.

    `known` are those that the ledger had already: another machine delivered them, or they lie before the lane's start;
    `dropped` are those that a lane nobody waits for never took.
    """

    delivered: int = 0
    duplicate: int = 0
    dead: int = 0
    known: int = 0
    dropped: int = 0
    status: str = ""  # the destination's answer, such as "HTTP 200 OK"
    attempts: int = 1

    @property
    def events(self) -> int:
        return self.delivered + self.duplicate + self.dead + self.known + self.dropped


class DeadLetter(msgspec.Struct, frozen=True):
    """One refused event. `destination` is the endpoint without any secret, `digest` the event id's digest in hex."""

    event: bytes
    reason: str
    status: str
    lot_id: str
    digest: str
    destination: str
    at_ms: int
    event_time_ms: int | None = None


def timed_of(times_ms: list[int | None]) -> list[int]:
    """The times among them; the list itself where all are."""
    return [ms for ms in times_ms if ms is not None] if None in times_ms else times_ms  # type: ignore[return-value]
