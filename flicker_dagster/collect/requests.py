"""The URL of each page's request. Pure: from the source, its endpoint and the state of the walk."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qsl, quote

from flicker_dagster.collect.bounds import from_bound_ms, until_bound_ms
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.times import format_time
from flicker_dagster.transport.addresses import is_absolute
from flicker_dagster.types import WalkState


def url_of(source: SourceConfig, endpoint: str, query: dict[str, str], state: WalkState, *, now_ms: int) -> str:
    """The URL to ask for next. `endpoint` and `query` have their secrets in place.

    A cursor that is a URL is followed verbatim; it already holds everything the vendor wants to see again.
    """
    paging = source.pagination
    if state.cursor is not None and is_absolute(state.cursor):
        return state.cursor
    own, fixed = _split_query(endpoint)
    params: dict[str, str] = {}
    further = state.cursor is not None or state.page > 0 or state.offset > 0
    if not further or paging.repeat_params:
        params |= _first_params(source, query, state, now_ms=now_ms)
    if state.cursor is not None and paging.pagination_type in ("cursor", "link_header", "next_url"):
        for name in (source.time_filter_param, source.time_filter_until_param):
            if name and not paging.repeat_params:
                params.pop(name, None)
        params[paging.cursor_param or "cursor"] = state.cursor
    params |= _place(source, state)
    pairs = [(name, value) for name, value in fixed if name not in params] + list(params.items())
    return f"{own}?{'&'.join(_spelled(name, value) for name, value in pairs)}" if pairs else own


@lru_cache(1024)
def _spelled(name: str, value: str) -> str:
    """A pair of a query. From page to page most of them stay the same."""
    return f"{quote(name, safe='')}={quote(value, safe='')}"


@lru_cache(64)
def _split_query(endpoint: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The endpoint without its query, and the query's pairs: a name may come several times (`type=a&type=b`)."""
    own, _, fixed = endpoint.partition("#")[0].partition("?")
    return own, tuple(parse_qsl(fixed, keep_blank_values=True))


def _first_params(source: SourceConfig, query: dict[str, str], state: WalkState, *, now_ms: int) -> dict[str, str]:
    fmt = source.time_filter_format

    def start() -> str:
        return "" if state.start_ms is None else format_time(from_bound_ms(source, state.start_ms), fmt, source.zone)

    def end() -> str:
        end_ms = now_ms if state.end_ms is None else state.end_ms
        return format_time(until_bound_ms(source, end_ms, now_ms=now_ms), fmt, source.zone)

    params = {
        name: text.replace("{start}", start()).replace("{end}", end()) if "{" in text else text
        for name, text in query.items()
    }
    if source.time_filter_param and state.start_ms is not None:
        params[source.time_filter_param] = start()
    if source.time_filter_until_param and state.end_ms is not None:
        params[source.time_filter_until_param] = end()
    return params


def _place(source: SourceConfig, state: WalkState) -> dict[str, str]:
    """Where in the listing: page number, offset, and how many events we want."""
    paging = source.pagination
    params: dict[str, str] = {}
    if paging.pagination_type == "none":
        return params
    if paging.limit_param:
        params[paging.limit_param] = str(paging.page_size)
    if paging.pagination_type == "page" and paging.page_param:
        params[paging.page_param] = state.cursor or str(paging.first_page + state.page)
    if paging.pagination_type == "offset" and paging.offset_param:
        params[paging.offset_param] = str(state.offset)
    return params
