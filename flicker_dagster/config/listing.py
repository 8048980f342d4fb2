"""A listing: all that walking one stream of a vendor needs to know of its API, whichever keys said it.

The documented flat keys (`pagination`, `time_filter_param`, `results_field` …) are translated here into the vocabulary, and
nobody behind this line knows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Literal

from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.vocabulary import (
    AnswerRule,
    Call,
    Each,
    Method,
    Origin,
    Over,
    Paging,
    Place,
    RowKeys,
)


@dataclass(frozen=True)
class TimeFilter:
    """How a span is asked for: where its ends go, how they are written, how wide it may be, by how much it overlaps what was
    read before, how far it stays behind the vendor's clock, and how far back the vendor keeps events."""

    start: Place | None = None
    end: Place | None = None
    start_exclusive: bool = False
    format: str = "rfc3339"
    zone: tzinfo | None = None
    bounded_live: bool = True
    until_future: bool = False
    slice_ms: int | None = None
    lookback_ms: int = 0
    delay_ms: int = 0
    retention_ms: int | None = None


@dataclass(frozen=True)
class RowSpec:
    """How an answer holds events, and what identifies and dates them. `fields` are the paths of the arrays."""

    fields: tuple[str, ...] = ("",)
    optional: bool = False
    keys: RowKeys = field(default_factory=RowKeys)
    id_paths: tuple[str, ...] = ()
    equal_rows: Literal["same", "distinct"] = "same"
    repeats_last: bool = False
    time_paths: tuple[str, ...] = ()
    time_format: str = "auto"
    zone: tzinfo | None = None
    error_field: str | None = None
    axis_path: str | None = None
    page_events: int = 500_000
    page_bytes: int = 64 << 20

    @property
    def event_members(self) -> frozenset[str]:
        """The members that every event has: by them an object is known for an event."""
        return frozenset(path.split(".")[0] for path in (*self.id_paths, *self.time_paths[:1]))

    @property
    def plain(self) -> bool:
        """Is it one array of events as they are?"""
        keys = self.keys
        return (
            self.keys.part is None
            and len(self.fields) == 1
            and keys.shape == "array"
            and keys.split is None
            and keys.array_as is None
        )


@dataclass(frozen=True)
class Listing:
    """See the module."""

    endpoint: str
    method: Method = "GET"
    query: dict[str, str | list[str]] = field(default_factory=dict)
    body: Any = None
    form: dict[str, str] | None = None
    for_windows: Call | None = None
    setup: tuple[Call, ...] = ()
    time: TimeFilter = field(default_factory=TimeFilter)
    paging: Paging = field(default_factory=Paging)
    rows: RowSpec = field(default_factory=RowSpec)
    answers: tuple[AnswerRule, ...] = ()
    over: Over | None = None
    each: Each | None = None
    by_arrival: bool = False
    #: What the stream is called, for messages about it.
    name: str = ""
    #: Refusals of a cursor that was kept from an earlier poll, which mean that it has expired.
    expired_status: tuple[int, ...] = (400, 404, 410)


def listing_of(source: Any) -> Listing:
    """The listing of a `SourceConfig`."""
    request = source.request
    results = source.results_field if isinstance(source.results_field, list) else [source.results_field]
    by_arrival = source.axis == "arrival"
    return Listing(
        endpoint=source.endpoint,
        method=request.method,
        query=source.query_params,
        body=request.body,
        form=request.form,
        for_windows=request.for_windows,
        setup=tuple(request.setup),
        time=TimeFilter(
            start=request.start or _parameter(source.time_filter_param),
            end=request.end or _parameter(source.time_filter_until_param),
            start_exclusive=request.start_exclusive,
            format=source.time_filter_format,
            zone=source.zone,
            bounded_live=source.time_filter_bounded_live,
            until_future=source.time_filter_until_future,
            slice_ms=source.slice_ms,
            lookback_ms=source.lookback_ms,
            delay_ms=source.delay_ms,
            retention_ms=source.retention_ms,
        ),
        paging=source.paging or _paging(source.pagination),
        rows=RowSpec(
            fields=tuple(results),
            optional=source.results_optional,
            keys=source.rows,
            id_paths=tuple(as_list(source.id_field)),
            equal_rows=source.equal_rows,
            repeats_last=source.paging is not None and source.paging.repeats_last,
            time_paths=tuple(as_list(source.timestamp_field)),
            time_format=source.timestamp_format,
            zone=source.zone,
            error_field=source.error_field,
            axis_path=source.axis_field if by_arrival else None,
            page_events=source.limits.page_events,
            page_bytes=source.limits.page_bytes,
        ),
        answers=tuple(source.answers),
        over=source.over,
        each=source.each,
        by_arrival=by_arrival,
        name=source.name,
        expired_status=tuple(source.pagination.cursor_expired_status),
    )


def as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _parameter(name: str | None) -> Place | None:
    return Place(at=name) if name else None


def _paging(flat: Pagination) -> Paging:
    kind = flat.pagination_type
    if kind == "none":
        return Paging(page_size=flat.page_size)
    return Paging(
        page_size=flat.page_size,
        limit=_parameter(flat.limit_param),
        cursor=_cursor_place(flat),
        following=_following(flat),
        more=Origin(at=flat.has_more_field).said_by("pagination.has_more_field") if flat.has_more_field else None,
        page=_parameter(flat.page_param) if kind == "page" else None,
        first_page=flat.first_page,
        offset=_parameter(flat.offset_param) if kind == "offset" else None,
        repeats="all" if flat.repeat_params else "limit",
        short_page_ends=flat.stop_on_short_page,
        durable=flat.durable_cursor,
    )


def _cursor_place(flat: Pagination) -> Place | None:
    if flat.pagination_type in ("cursor", "link_header", "next_url"):
        return Place(at=flat.cursor_param or "cursor")
    return _parameter(flat.page_param) if flat.pagination_type == "page" and flat.next_page_field else None


def _following(flat: Pagination) -> list[Origin]:
    if flat.pagination_type == "link_header":
        return [Origin(of="link", at=flat.link_rel, gives="url").said_by("pagination.link_rel")]
    key = {"next_url": "next_url_field", "cursor": "next_cursor_field", "page": "next_page_field"}.get(
        flat.pagination_type, ""
    )
    path = getattr(flat, key, None)
    gives = "url" if key == "next_url_field" else "cursor"
    return [Origin(at=path, gives=gives).said_by(f"pagination.{key}")] if path else []
