"""Spans and paging fields: what types cannot say of them, and what is right and still worth knowing."""

from __future__ import annotations

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import texts_of
from flicker_dagster.config.vocabulary import Paging
from flicker_dagster.times import resolution_ms

_HOUR_MS = 3_600_000
_STEPS = {86_400_000: "a day", _HOUR_MS: "an hour", 60_000: "a minute", 1_000: "a second"}

#: Fields of the answer that name the next page, with the kinds of paging that rest on them.
_NAMING = {"next_cursor_field": "cursor", "next_page_field": "page", "next_url_field": "next_url"}


def check_paging_fields(source: SourceConfig) -> list[tuple[str, str]]:
    """Paths that cannot be right: what names the next page stands beside the events, never among or around them."""
    found: list[tuple[str, str]] = []
    results, paging = source.results_field, source.pagination
    if source.paging is not None:
        return _half_of_a_cursor(source, source.paging)
    if not isinstance(results, str):
        return found
    for key in (*_NAMING, "has_more_field"):
        path = getattr(paging, key)
        if not path:
            continue
        if not results and _NAMING.get(key) == paging.pagination_type:
            what = (
                f"found {path!r}, but results_field is empty: the answer is then an array of events, and no field stands "
                "beside them. Expected results_field, the path of the events in the answer"
            )
            found.append((f"pagination.{key}", what))
        elif results and (path == results or path.startswith(f"{results}.") or results.startswith(f"{path}.")):
            what = (
                f"found {path!r}, which lies in or around results_field {results!r}; expected a field beside the events"
            )
            found.append((f"pagination.{key}", what))
    return found


def _half_of_a_cursor(source: SourceConfig, paging: Paging) -> list[tuple[str, str]]:
    """A cursor that comes from nowhere, or goes nowhere, reads the first page for ever."""
    following = paging.following if isinstance(paging.following, list) else [paging.following]
    if paging.cursor is not None and not following and paging.first_cursor is None:
        return [
            ("paging.cursor", "has no value to send, expected paging.following: where an answer names what follows")
        ]
    goes = (
        paging.cursor is not None
        or paging.page is not None
        or any("{cursor" in text for _, text in texts_of(source, ""))
    )
    if following and not goes and all(each.gives == "cursor" for each in following):
        what = (
            "goes nowhere, expected paging.cursor (where the cursor goes in a request), or `gives: url` for an address"
        )
        return [("paging.following", what)]
    return []


def notes_of(source: SourceConfig) -> list[tuple[str, str]]:
    """What is no fault and has an effect that its key does not show, by key."""
    found: list[tuple[str, str]] = []
    step_ms = resolution_ms(source.time_filter_format)
    step = _STEPS.get(step_ms, f"{step_ms} ms")
    bounded = _sends_end(source)
    if source.slice_ms is not None and not bounded:
        words = "has no effect: no upper bound is sent (time_filter_until_param, request.end, or {end} in query_params)"
        found.append(("slice_ms", words))
    elif source.slice_ms is not None and source.slice_ms < step_ms:
        words = f"is less than time_filter_format can say: each request asks for {step} at least"
        found.append(("slice_ms", words))
    elif source.slice_ms is not None and 2 * source.lookback_ms > source.slice_ms:
        words = (
            f"lookback_ms ({source.lookback_ms}) is more than half of it: a poll reads the lookback again in several "
            "requests, and where its run ends in between, the rest of them with the next poll"
        )
        found.append(("slice_ms", words))
    if step_ms > _HOUR_MS and bounded and source.window.size == "hour" and not source.time_filter_until_future:
        words = f"names {step} at least, so that hourly windows are verified when their day is over"
        found.append(("time_filter_format", words))
    return found


def _sends_end(source: SourceConfig) -> bool:
    """Does a live poll say until when it asks?"""
    request = source.request
    texts = [source.endpoint, source.query_params, request.body, request.form]
    placed = request.end is not None or source.time_filter_until_param is not None
    return placed or any("{end}" in str(each) or "{end:" in str(each) for each in texts)
