"""One look at a vendor: the first page of a walk, and what its exchange tells of account, quota and clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from flicker_dagster.collect.quota_headers import Told as Quota
from flicker_dagster.collect.quota_headers import read_quotas
from flicker_dagster.collect.told import Told, told_by
from flicker_dagster.collect.walk import walk
from flicker_dagster.errors import FlickerError
from flicker_dagster.pipeline.plan import next_slice
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.pipeline.windows import DAY_MS
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.times import parse_http_date_ms, rfc3339_ms
from flicker_dagster.types import Position, timed_of

HOUR_MS = 3_600_000

#: A look that shows nothing is made wider once.
WIDER_MS = 7 * DAY_MS


@dataclass
class Look:
    """What came of it. `more` says that pages follow the one that was read; `error` is why there is none."""

    since_ms: int = 0
    requests: int = 0
    status: int | None = None
    events: int = 0
    newest_ms: int | None = None
    more: bool = False
    doubt: str = ""
    told: Told | None = None
    quotas: list[Quota] = field(default_factory=list)
    error: FlickerError | None = None

    @property
    def good(self) -> bool:
        return self.error is None and not self.doubt


def look_at(work: SourceWork) -> Look:
    """Ask for the last hour (the last day, where the vendor takes days only or lists the newest first); where it is empty,
    for the last week. What goes wrong is told in the look."""
    source = work.source
    first_ms = DAY_MS if source.window.size == "day" or source.order == "descending" else HOUR_MS
    look, client = Look(), None
    try:
        client = work.client
        for span_ms in (first_ms, WIDER_MS):
            _first_page(work, look, span_ms)
            if look.events or look.more or look.doubt:
                break
    except FlickerError as error:
        look.error = error
    if client is None:
        return look
    look.requests, heard = client.requests_made, client.heard
    if heard is not None:
        look.status, look.told = heard.status, told_by(heard)
        now_ms = parse_http_date_ms(heard.headers.get("Date")) or heard.got_ms
        look.quotas = read_quotas(heard.headers, source.rate_limit, now_ms=now_ms)
    return look


def _first_page(work: SourceWork, look: Look, span_ms: int) -> None:
    listing, now_ms = work.source.listing, work.now_ms()
    slice_ms, lookback_ms = listing.time.slice_ms, listing.time.lookback_ms
    if slice_ms is not None:
        span_ms = min(span_ms, max(slice_ms - lookback_ms, slice_ms // 2))
    look.since_ms = now_ms - span_ms
    position = Position(last_timestamp=rfc3339_ms(look.since_ms + min(lookback_ms, span_ms)))
    state = next_slice(listing, position, None, now_ms=now_ms).walk
    tally = Tally()
    for page in walk(listing, work.client, state, seen_before=lambda: True):
        tally.seen += len(page.decoded)
        if page.decoded.untimed_shape is not None:
            tally.untimed += page.decoded.times_ms.count(None)
            tally.untimed_shape = tally.untimed_shape or page.decoded.untimed_shape
        times_ms = timed_of(page.decoded.times_ms)
        look.newest_ms = max([*times_ms, *([] if look.newest_ms is None else [look.newest_ms])], default=None)
        look.more = page.next is not None
        break
    look.events = tally.seen
    look.doubt = tally.unread(listing.rows) or ""
