"""How many requests reading windows will take, and how long: before it is begun, from what earlier walks were seen to take."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from flicker_dagster.collect.account import AccountNotes, read_notes
from flicker_dagster.collect.pace import paces_of
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.errors import StateError
from flicker_dagster.pipeline.windows import HOUR_MS, SIZES_MS, shard_of
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.walk_notes import WindowCost
from flicker_dagster.types import Window

#: What a request takes where nobody has seen one.
ASSUMED_REQUEST_S = 0.5

#: So many hours of the ledger are looked at, at most.
MOST_SHARDS = 24

#: A mean follows about so many of the newest windows.
REMEMBERED_WINDOWS = 20

#: A mean that moved by a smaller part is not written anew. It follows slowly, so that even a large change moves it little.
SAME = 0.002


class Forecast(msgspec.Struct, frozen=True):
    """`requests` for so many windows and how long they take, `seconds`; where each comes from, `known_by` and `paced_by`."""

    windows: int
    requests: int
    seconds: float
    known_by: str
    paced_by: str

    @property
    def words(self) -> str:
        """`1,240 requests, about 21 min at half the quota (…)`."""
        requests = "1 request" if self.requests == 1 else f"{self.requests:,} requests"
        return f"{requests}, about {about(self.seconds)}{self.paced_by} ({self.known_by})"


def forecast(work: SourceWork, windows: Sequence[Window]) -> Forecast:
    """What reading these windows will take. Raises StateError."""
    source = work.source
    cost = work.walk_notes.read().window
    if cost is not None and cost.size_ms == SIZES_MS[source.window.size]:
        requests = max(len(windows), round(cost.requests * len(windows)))
        last = "window that was" if cost.counted == 1 else f"{cost.counted} windows that were"
        known_by, request_s = f"as the last {last} read", cost.request_s
    else:
        requests, known_by = _by_ledger(work, windows)
        request_s = ASSUMED_REQUEST_S
        known_by += "; half a second for each is assumed"
    told = account_notes(work)
    seconds, paced_by = _paced(source.rate_limit, told, requests, request_s)
    return Forecast(len(windows), requests, seconds, known_by, paced_by)


def account_notes(work: SourceWork) -> AccountNotes:
    """What is known of the quota of a source's account. Raises StateError."""
    return read_notes(work.layout.quota_book(work.source.vendor_key).read())


def note_cost(work: SourceWork, window: Window, *, requests: int, seconds: float) -> None:
    """Remember what reading a window took. Raises StateError."""
    before, size_ms = work.walk_notes.read().window, window.end_ms - window.start_ms
    if before is None or before.size_ms != size_ms:
        before = WindowCost(size_ms, 0.0, 0.0, 0)
    share = 1 / min(before.counted + 1, REMEMBERED_WINDOWS)
    mean = before.requests + (requests - before.requests) * share
    request_s = before.request_s + (seconds / max(1, requests) - before.request_s) * share
    cost = WindowCost(size_ms, round(mean, 3), round(request_s, 3), min(before.counted + 1, REMEMBERED_WINDOWS))
    if before.counted < REMEMBERED_WINDOWS or not _close(before, cost):
        work.walk_notes.note(window=cost)


def about(seconds: float) -> str:
    """A span of time as nobody knows it better."""
    for most, unit_s, unit in ((90, 1, "s"), (5_400, 60, "min"), (129_600, 3_600, "h")):
        if seconds < most:
            return f"{max(1, round(seconds / unit_s))} {unit}"
    return f"{round(seconds / 86_400)} days"


def _close(before: WindowCost, after: WindowCost) -> bool:
    pairs = ((before.requests, after.requests), (before.request_s, after.request_s))
    return all(math.isclose(one, other, rel_tol=SAME) for one, other in pairs)


def _by_ledger(work: SourceWork, windows: Sequence[Window]) -> tuple[int, str]:
    """Requests by the events of these windows that were delivered, or of other hours where none of these was."""
    source = work.source
    least = len(windows) * _least_requests(SIZES_MS[source.window.size], source.slice_ms)
    hours = {shard_of(ms) for window in windows for ms in range(window.start_ms, window.end_ms, HOUR_MS)}
    try:
        ledger = work.lanes_to_look_at()[0].ledger
        kept = [shard for shard in ledger.windows() if shard[:1].isdigit()]
        shards = [shard for shard in kept if shard in hours] or kept
        sample = shards[:: math.ceil(len(shards) / MOST_SHARDS) or 1]
        events = sum(ledger.count(shard) for shard in sample)
    except StateError:
        sample, events = [], 0
    if not sample:
        return least, "at least: nothing is known yet of how many events a window holds"
    pages = events / len(sample) * len(hours) / source.listing.paging.page_size
    whose = "their" if sample[0] in hours else "earlier"
    return max(least, math.ceil(pages)), f"by the events of {len(sample)} of {whose} hours"


def _least_requests(window_ms: int, slice_ms: int | None) -> int:
    """An empty window takes one for each slice."""
    return max(1, math.ceil(window_ms / (slice_ms or window_ms)))


def _paced(limit: RateLimit, notes: AccountNotes, requests: int, request_s: float) -> tuple[float, str]:
    """How long so many requests take, and at which pace: the vendor's, as far as it is known, or our own."""
    own_s = requests * request_s
    share = 1 - limit.reserve
    per_s = [pace.per_hour / 3_600 for pace in paces_of(limit)]
    told = notes.told
    if told is not None and told.limit and told.span_s:
        per_s.append(told.limit * share / told.span_s)
    if not per_s:
        return own_s, "; the vendor's quota is not known"
    quota_s = requests / min(per_s)
    if quota_s >= own_s:
        return quota_s, f" at {_share(share)} the quota"
    return own_s, f" at {request_s:.2g} s each; {_share(share)} the quota would do for {about(quota_s)}"


def _share(share: float) -> str:
    return "the whole of" if share == 1 else "half" if share == 0.5 else f"{share:.0%} of".replace("%", " %")
