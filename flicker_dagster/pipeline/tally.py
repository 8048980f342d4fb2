"""Counts of one fetch: what the vendor sent and what became of it. Kept in the spool, shown in Dagster."""

from __future__ import annotations

import msgspec


class Tally(msgspec.Struct):
    """Counters of a walk. `seen = new + known + filtered`; `late` is the part of `new` from behind the position."""

    pages: int = 0
    bytes: int = 0
    seen: int = 0
    new: int = 0
    known: int = 0
    late: int = 0
    filtered: int = 0
    untimed: int = 0
    future: int = 0
    cursor_resets: int = 0
    first_ms: int | None = None  # time of the oldest new event
    last_ms: int | None = None  # time of the newest new event
    outside: int = 0  # rows of a window's answers that belong to a neighbouring window
    #: Order-independent digest of the ids of a window: the sum, modulo 2^128, of its 16-byte digests.
    ids_sum: str = "0"

    def add_ids(self, digests: list[bytes]) -> None:
        total = int(self.ids_sum, 16) + sum(map(_as_int, digests))
        self.ids_sum = format(total & _MASK, "x")

    def add_times(self, times_ms: list[int]) -> None:
        if not times_ms:
            return
        first, last = min(times_ms), max(times_ms)
        self.first_ms = first if self.first_ms is None else min(self.first_ms, first)
        self.last_ms = last if self.last_ms is None else max(self.last_ms, last)

    def as_counts(self) -> dict[str, int | str | None]:
        return msgspec.structs.asdict(self)

    @classmethod
    def of(cls, counts: dict[str, int | str | None]) -> Tally:
        return msgspec.convert(counts, cls)


_MASK = (1 << 128) - 1


def _as_int(digest: bytes) -> int:
    return int.from_bytes(digest, "big")
