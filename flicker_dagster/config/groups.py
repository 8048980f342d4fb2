"""The groups of keys of a source: paging by the documented keys, filters, retries, windows, sweeps, limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.records import DAY_MS, Count, FieldPath, Milliseconds, Record, Status, TimeoutMs


class Pagination(Record):
    pagination_type: Literal["none", "cursor", "page", "offset", "link_header", "next_url"] = "offset"
    page_size: Count = 100
    limit_param: str | None = None
    cursor_param: str | None = None
    next_cursor_field: FieldPath | None = None
    page_param: str | None = None
    first_page: Annotated[int, Field(ge=0, le=2**53)] = 1
    next_page_field: FieldPath | None = None
    offset_param: str | None = None
    has_more_field: FieldPath | None = None
    next_url_field: FieldPath | None = Field(
        default=None, description="body field with the next page's URL, absolute or relative"
    )
    link_rel: str = "next"
    durable_cursor: bool = Field(
        default=False, description="the vendor's cursor may be kept between polls and is where the next poll starts"
    )
    repeat_params: bool = Field(
        default=True, description="send the first request's parameters again with each cursor or page"
    )
    stop_on_short_page: bool = Field(
        default=False, description="a page with fewer than page_size events is the last one"
    )
    cursor_expired_status: list[Status] = Field(default_factory=lambda: [400, 404, 410])


class FieldFilter(Record):
    """One condition on an event: the value at `field` matches the regular expression `pattern`.

    Without `field` the pattern is tried on every scalar value of the event (never on the raw text).
    """

    field: FieldPath | None = None
    pattern: str


class RetryConfig(Record):
    max_retries: Annotated[int, Field(ge=0, le=100)] = 5
    initial_delay_ms: Milliseconds = 1_000
    max_delay_ms: Milliseconds = 60_000
    max_queue_size: int | None = Field(
        default=None, description="accepted for old files; nothing is ever dropped from a queue"
    )


class WindowConfig(Record):
    size: Literal["hour", "day"] = "hour"
    start: str | None = Field(
        default=None,
        description="first window, an ISO date or time; default: the one in which collection began",
    )
    askable: bool = Field(
        default=True, description="the API can be asked for a window; without, there are no sweeps and no backfills"
    )


class SweepConfig(Record):
    enabled: bool = True
    settle_ms: Milliseconds = Field(default=600_000, description="how long after its end a window is left to settle")
    max_windows_per_tick: Annotated[int, Field(ge=1, le=10_000)] = 6
    revisit_ms: list[Milliseconds] = Field(default_factory=list, description="ages at which a window is read again")
    cron: str | None = Field(default=None, description="when to look for windows to sweep; default every five minutes")


class Limits(Record):
    page_bytes: Count = Field(default=64 * 1024 * 1024, description="largest answer accepted")
    page_events: Count = Field(
        default=500_000,
        description="most events of one answer: decoding one takes up to three times page_bytes and 600 bytes for each of "
        "these",
    )
    connect_timeout_ms: TimeoutMs = 10_000
    read_timeout_ms: TimeoutMs = Field(default=60_000, description="longest time without a byte of an answer")
    total_timeout_ms: TimeoutMs | None = Field(
        default=None,
        description="longest time for a whole request: connection, header, body and redirects together; default 120000, "
        "or twice read_timeout_ms where that is more",
    )
    run_seconds: Annotated[int, Field(ge=1, le=DAY_MS // 1000)] = Field(
        default=600, description="longest one run fetches before it hands over and keeps a resume point"
    )
    run_pages: Count = Field(default=10_000, description="most pages one run fetches before it hands over")
    run_events: Count = Field(
        default=1_000_000, description="most new events one run fetches before it hands over; bounds its memory"
    )
    spool_bytes: Count = Field(
        default=2 * 1024**3, description="cap of events waiting for the SIEM; fetching pauses there"
    )
    max_wait_ms: Milliseconds = Field(default=60_000, description="longest wait for a rate limit inside a run")

    @property
    def total_timeout_s(self) -> float:
        """Longest time for a whole request, seconds."""
        return (self.total_timeout_ms or max(120_000, 2 * self.read_timeout_ms)) / 1000
