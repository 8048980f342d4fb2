"""The grammar of `config.yaml`: what a user may write, with types, defaults and meanings.

These models are also the resolved configuration: a vendor preset is merged beneath the user's mapping *before*
validation, so a `SourceConfig` holds everything that collecting needs. Strings that may hold `${VAR}`,
`${VAR:-default}` or `${file:path}` are typed `Template` and stay unresolved; secrets are resolved only when used.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PrivateAttr

from flicker_dagster.config.destinations import destinations_type
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.records import (
    CENTURY_MS,
    DAY_MS,
    BasicAuth,
    Count,
    FieldPath,
    Milliseconds,
    Record,
    Status,
    Template,
    TimeoutMs,
    Tls,
)
from flicker_dagster.times import zone_of

if TYPE_CHECKING:
    Destinations = DestinationRecord | list[DestinationRecord]
else:
    Destinations = destinations_type()


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


class SweepConfig(Record):
    enabled: bool = True
    settle_ms: Milliseconds = Field(default=600_000, description="how long after its end a window is left to settle")
    max_windows_per_tick: Annotated[int, Field(ge=1, le=10_000)] = 6
    revisit_ms: list[Milliseconds] = Field(default_factory=list, description="ages at which a window is read again")
    cron: str | None = Field(default=None, description="when to look for windows to sweep; default every five minutes")


class RateLimit(Record):
    """How the vendor tells its quota. Header names are matched without regard to case."""

    limit_header: str | None = None
    remaining_header: str | None = None
    reset_header: str | None = None
    reset_format: Literal["unix", "unix_ms", "seconds", "iso8601"] = "unix"
    reserve: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.1, description="share of the quota left to others")
    min_interval_ms: Milliseconds = Field(default=0, description="least time between two requests")


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


def asset_name(name: str) -> str:
    """A source's name as Dagster spells it: `okta-audit-logs` → `okta_audit_logs`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


class SourceConfig(Record):
    """One entry of `api_sources`."""

    #: The configuration's, set by `within`; no key of a source.
    _namespace: str = PrivateAttr(default="")
    #: File, and line of each of its paths there; set by `written`.
    _written: tuple[str, dict[str, int]] = PrivateAttr(default_factory=lambda: ("", {}))

    name: Annotated[str, Field(min_length=1)]
    renamed_from: str | None = Field(
        default=None,
        description="the name this source had before: its position, ledger, dead letters and waiting events go on here",
    )
    endpoint: Template
    vendor: str | None = Field(
        default=None, description="name of a preset, or `generic` for none; default: by the endpoint's host"
    )
    description: str | None = None
    owners: list[str] = Field(default_factory=list)
    polling_frequency_ms: Annotated[int, Field(ge=1, le=CENTURY_MS)]
    live: bool = True

    headers: dict[str, Template] = Field(default_factory=dict)
    api_key: Template | None = None
    api_key_header: str | None = Field(
        default=None, description="header that carries api_key; default Authorization: Bearer"
    )
    basic: BasicAuth | None = None
    tls: Tls | None = None
    query_params: dict[str, Template] = Field(
        default_factory=dict, description="sent with the first request; {start} and {end} stand for the span asked for"
    )

    results_field: FieldPath = ""
    results_optional: bool = Field(
        default=False,
        description="the vendor leaves results_field out where there are no events; otherwise its absence is an error",
    )
    error_field: FieldPath | None = Field(default=None, description="a non-empty value here in a 200 is an error")
    id_field: FieldPath | list[FieldPath] | None = None
    equal_rows: Literal["same", "distinct"] = Field(
        default="same", description="where events have no id: are byte-identical rows one event, or several?"
    )
    timestamp_field: FieldPath | list[FieldPath] = Field(description="first readable one is the event's time")
    timestamp_format: str = Field(
        default="auto", description="auto, iso8601, rfc3339, unix, unix_ms, unix_us, unix_ns or strptime"
    )
    time_zone: str | None = Field(
        default=None,
        description="what a time without an offset means, as an IANA name such as Asia/Tokyo or an offset such as '+09:00' "
        "(in quotes): for the event's time, and for the time filter in a strftime pattern; default UTC. A local hour that "
        "comes twice is taken for the first, and asked for from both sides",
    )
    message_field: FieldPath | None = None

    time_filter_param: str | None = None
    time_filter_until_param: str | None = None
    time_filter_format: str = Field(
        default="rfc3339", description="iso8601, rfc3339, unix, unix_ms or a strftime pattern"
    )
    time_filter_bounded_live: bool = Field(
        default=True, description="send the upper bound on live polls too, not only on windows"
    )

    time_filter_until_future: bool = Field(
        default=False,
        description="the vendor takes an upper bound in the future, as rounding up to a coarse time_filter_format gives",
    )

    pagination: Pagination = Field(default_factory=Pagination)
    order: Literal["ascending", "descending", "unordered"] = "unordered"
    lookback_ms: Milliseconds = 120_000
    delay_ms: Milliseconds = Field(default=0, description="stay this far behind the vendor's clock")
    slice_ms: Milliseconds | None = Field(
        default=None, description="longest span asked for in one request, lookback included"
    )
    retention_ms: Milliseconds | None = Field(default=None, description="how far back the vendor keeps events")
    start_from: str = Field(default="now", description="now, an ISO time, or an age such as 24h or 7d")

    window: WindowConfig = Field(default_factory=WindowConfig)
    sweep: SweepConfig = Field(default_factory=SweepConfig)
    match_on: list[FieldFilter] = Field(default_factory=list)
    exclude_on: list[FieldFilter] = Field(default_factory=list)

    buffer_size: Count = 100
    flush_interval_ms: Milliseconds = 30_000
    destination: Destinations
    retry: RetryConfig = Field(default_factory=RetryConfig)
    rate_limit: RateLimit = Field(default_factory=RateLimit)
    limits: Limits = Field(default_factory=Limits)

    @property
    def lanes(self) -> dict[str, DestinationRecord]:
        """The destinations by their lanes' names; the lane of a single one has none."""
        if isinstance(self.destination, list):
            return {record.lane_name: record for record in self.destination}
        return {"": self.destination}

    @property
    def zone(self) -> tzinfo | None:
        """What a time of the vendor's without an offset means; None for UTC."""
        return None if self.time_zone is None else zone_of(self.time_zone)

    @property
    def asset_name(self) -> str:
        """The source's name as Dagster spells it: `okta-audit-logs` → `okta_audit_logs`."""
        return asset_name(self.name)

    @property
    def namespace(self) -> str:
        """The prefix of everything that Dagster calls this source; empty for none."""
        return self._namespace

    def written(self, file: str, lines: dict[str, int]) -> SourceConfig:
        """The same source, knowing where it is written: the line of each path within it, and its own at ``""``."""
        placed = self.model_copy()
        placed._written = (file, lines)
        return placed

    def line_of(self, path: str) -> str:
        """`config.yaml:8`, where a path such as `headers.Authorization` is written; empty where nobody knows."""
        file, lines = self._written
        return f"{file}:{nearest_line(lines, path)}" if file else ""

    def within(self, namespace: str) -> SourceConfig:
        """The same source in a namespace."""
        placed = self.model_copy()
        placed._namespace = namespace
        return placed


class Overrule(Record):
    """A key of the user's file that the vendor preset replaced, and why."""

    source: str
    key: str
    line: int
    why: str


def nearest_line(lines: dict[str, int], path: str) -> int:
    """The line of a path, or of the innermost path around it that the file holds."""
    while path not in lines and path:
        path = path[: max(path.rfind("."), path.rfind("["))] if max(path.rfind("."), path.rfind("[")) > 0 else ""
    return lines.get(path, 1)


#: A namespace that can be told apart from what follows it in a name of Dagster's, where `__` stands between the two.
NAMESPACE_PATTERN = r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*"
LONGEST_NAMESPACE = 40

#: Top-level keys that say for how long something is kept.
RETENTIONS = ("ledger_retention_ms", "run_retention_ms", "failed_run_retention_ms")


class FlickerConfig(Record):
    """A whole `config.yaml`, presets merged, still holding unresolved templates."""

    path: str
    sources: list[SourceConfig]
    destinations: dict[str, DestinationRecord] = Field(
        default_factory=dict, repr=False, description="the named ones, as they stand in the file"
    )
    namespace: str = ""
    ledger_retention_ms: Milliseconds = 35 * DAY_MS
    run_retention_ms: Milliseconds = 7 * DAY_MS
    failed_run_retention_ms: Milliseconds = 30 * DAY_MS
    overruled: list[Overrule] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    lines: dict[str, int] = Field(default_factory=dict, repr=False, description="line of each path in the file")

    def line_of(self, path: str) -> int:
        """The line where a path such as `api_sources[0].headers` stands, or that of the nearest path around it."""
        return nearest_line(self.lines, path)

    def source(self, name: str) -> SourceConfig:
        """The source of that name. Raises KeyError."""
        return next(s for s in self.sources if s.name == name)
