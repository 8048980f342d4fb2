"""The groups of keys of a source: paging by the documented keys, filters, retries, windows, sweeps, limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.records import DAY_MS, Count, FieldPath, Milliseconds, Record, Status, TimeoutMs


class Pagination(Record):
    pagination_type: Literal["none", "cursor", "page", "offset", "link_header", "next_url"] = Field(
        default="offset", description="how the vendor pages"
    )
    page_size: Count = Field(default=100, description="events asked for per page")
    limit_param: str | None = Field(default=None, description="the query parameter that takes page_size")
    cursor_param: str | None = Field(default=None, description="the query parameter that takes the cursor")
    next_cursor_field: FieldPath | None = Field(
        default=None, description="the path of the next cursor in the answer; null, empty or absent ends the walk"
    )
    page_param: str | None = Field(default=None, description="the query parameter that takes the page's number")
    first_page: Annotated[int, Field(ge=0, le=2**53)] = Field(default=1, description="number of the first page")
    next_page_field: FieldPath | None = Field(
        default=None, description="the path of the next page's number in the answer"
    )
    offset_param: str | None = Field(default=None, description="the query parameter that takes the offset")
    has_more_field: FieldPath | None = Field(
        default=None, description="the path of what says in the answer whether there is more; false ends the walk"
    )
    next_url_field: FieldPath | None = Field(
        default=None, description="the path of the next page's URL in the answer; absolute or relative"
    )
    link_rel: str = Field(default="next", description="relation of the next page in the Link header")
    durable_cursor: bool = Field(
        default=False, description="the vendor's cursor may be kept between polls and is where the next poll starts"
    )
    repeat_params: bool = Field(
        default=True, description="send the first request's parameters again with each cursor or page"
    )
    stop_on_short_page: bool = Field(
        default=False, description="a page with fewer than page_size events is the last one"
    )
    cursor_expired_status: list[Status] = Field(
        default_factory=lambda: [400, 404, 410],
        description="answers that mean a kept cursor has expired: start again by time",
    )


class FieldFilter(Record):
    """One condition on an event: the value at `field` matches the regular expression `pattern`.

    Without `field` the pattern is tried on every scalar value of the event (never on the raw text).
    """

    field: FieldPath | None = Field(
        default=None, description="path of the field; without it every scalar value is tried, never the raw text"
    )
    pattern: str = Field(
        description="a regular expression; matched in linear time (RE2): `\\d`, `\\w` and `\\s` know all scripts, `\\b` only "
        "ASCII, `$` is the very end; no look-around, no backreferences. An event with a value of more than 1 "
        "MB is kept"
    )


class RetryConfig(Record):
    max_retries: Annotated[int, Field(ge=0, le=100)] = Field(
        default=5,
        description="retries of an op within a run; then the run fails and the sensor goes on with a growing pause",
    )
    initial_delay_ms: Milliseconds = Field(default=1_000, description="first delay; each further one doubles")
    max_delay_ms: Milliseconds = Field(default=60_000, description="longest delay")
    max_queue_size: int | None = Field(
        default=None, description="accepted for old files; nothing is ever dropped from a queue"
    )


class WindowConfig(Record):
    size: Literal["hour", "day"] = Field(default="hour", description="the Dagster partition")
    start: str | None = Field(
        default=None,
        description="first window, an ISO date or time; default: the one in which collection began",
    )
    askable: bool = Field(
        default=True, description="the API can be asked for a window; without, there are no sweeps and no backfills"
    )


class SweepConfig(Record):
    enabled: bool = Field(default=True, description="read closed windows again")
    settle_ms: Milliseconds = Field(default=600_000, description="how long after its end a window is left to settle")
    max_windows_per_tick: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=6, description="windows asked for at once, newest first"
    )
    revisit_ms: list[Milliseconds] = Field(default_factory=list, description="ages at which a window is read again")
    cron: str | None = Field(default=None, description="when to look for windows to sweep; default every five minutes")


class Limits(Record):
    page_bytes: Count = Field(default=64 * 1024 * 1024, description="largest answer accepted")
    page_events: Count = Field(
        default=500_000,
        description="most events of one answer: decoding one takes up to three times page_bytes and 600 bytes for each of "
        "these",
    )
    connect_timeout_ms: TimeoutMs = Field(default=10_000, description="time-out for a connection")
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
