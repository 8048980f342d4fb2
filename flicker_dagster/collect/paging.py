"""What comes after a page: the rules by which every walk goes on, and ends. Pure functions, one per kind of paging."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import BadAnswer, VendorRefused
from flicker_dagster.transport.addresses import MAX_LINK_CHARS, BadAddress, follow, is_absolute
from flicker_dagster.types import WalkState

#: One parameter of a link, from where the last one ended. No part of a line is looked at more than a few times.
_PARAMETER = re.compile(r"\s*;\s*([^,;\s=]+)\s*=\s*(?:\"([^\"]*)\"|([^\",;\s]*))")

#: Half an emoji, or what stands for bytes that are no UTF-8: neither can be written into a request.
_SURROGATE = re.compile("[\ud800-\udfff]")


class Seen(msgspec.Struct, frozen=True):
    """What an answer showed of paging: rows on the page, the `Link` lines, the configured body fields that it holds."""

    rows: int
    links: list[str]
    fields: dict[str, Any]
    url: str


def next_cursor(source: SourceConfig, state: WalkState, seen: Seen) -> str | None:
    """The cursor, page number or URL that the answer gives for the next page; None where it gives none.

    Raises VendorRefused for a link that leads away from the endpoint, and BadAnswer for what is no cursor.
    """
    paging = source.pagination
    try:
        cursor = _CURSORS[paging.pagination_type](paging, state, seen)
        if cursor is None or not is_absolute(cursor):
            return cursor
        return follow(cursor, seen.url)
    except BadAddress as error:
        raise VendorRefused(
            f"the next link {error}; refused, credentials are sent to the endpoint's own origin only"
        ) from None


def next_state(source: SourceConfig, state: WalkState, seen: Seen) -> WalkState | None:
    """The walk's state for the next page, or None if this was the last.

    The end is: no cursor (null, "", absent), `has_more` false, an empty page (unless the vendor says there is more), and
    a short page only where the source says so: servers cap pages below what was asked. Where `has_more` is left out, the
    cursor alone decides. Raises BadAnswer where there is more and no way to ask for it.
    """
    paging = source.pagination
    if paging.pagination_type == "none":
        return None
    says_more = None
    if paging.has_more_field and paging.has_more_field in seen.fields:
        says_more = _truth(seen.fields.get(paging.has_more_field))
        if not says_more:
            return None
    if seen.rows == 0 and (not says_more or paging.pagination_type == "offset"):  # the same offset, the same answer
        return None
    if paging.stop_on_short_page and seen.rows < paging.page_size:
        return None
    cursor = next_cursor(source, state, seen)
    if cursor is None and not counts(paging):
        if says_more:
            raise BadAnswer(f"{paging.has_more_field} says there is more, but no next page is named")
        return None
    return msgspec.structs.replace(state, cursor=cursor, page=state.page + 1, offset=state.offset + seen.rows)


def links_of(lines: list[str]) -> dict[str, str]:
    """URLs by relation, from `Link` headers repeated or joined by commas (RFC 8288)."""
    found: dict[str, str] = {}
    for line in lines:
        at = 0
        while (start := line.find("<", at)) >= 0 and (end := line.find(">", start)) >= 0:
            rel, at = _rel(line, end + 1)
            for each in rel.lower().split():
                found.setdefault(each, line[start + 1 : end])
    return found


def _rel(line: str, at: int) -> tuple[str, int]:
    """The relations of the link whose parameters begin at `at`, and where they end."""
    rel: str | None = None
    while (parameter := _PARAMETER.match(line, at)) is not None:
        name, quoted, bare = parameter.groups()
        if rel is None and name.lower() == "rel":  # what is repeated does not count
            rel = quoted or bare
        at = parameter.end()
    return rel or "", at


def _link_header(paging: Pagination, _state: WalkState, seen: Seen) -> str | None:
    url = links_of(seen.links).get(paging.link_rel.lower())
    return follow(url, seen.url) if url else None


def _next_url(paging: Pagination, _state: WalkState, seen: Seen) -> str | None:
    url = _text(seen.fields.get(paging.next_url_field or ""))
    return follow(url, seen.url) if url else None


def _cursor(paging: Pagination, _state: WalkState, seen: Seen) -> str | None:
    return _text(seen.fields.get(paging.next_cursor_field or ""))


def _page(paging: Pagination, _state: WalkState, seen: Seen) -> str | None:
    return _text(seen.fields.get(paging.next_page_field)) if paging.next_page_field else None


def _nothing(_paging: Pagination, _state: WalkState, _seen: Seen) -> str | None:
    return None


_CURSORS: dict[str, Callable[[Pagination, WalkState, Seen], str | None]] = {
    "link_header": _link_header,
    "next_url": _next_url,
    "cursor": _cursor,
    "page": _page,
    "offset": _nothing,
    "none": _nothing,
}


def counts(paging: Pagination) -> bool:
    """Does the next page follow from counting, without a cursor of the vendor's?"""
    if paging.pagination_type == "page":
        return paging.next_page_field is None and paging.page_param is not None
    return paging.pagination_type == "offset" and paging.offset_param is not None


def _text(value: Any) -> str | None:
    """A cursor as text. Null, "" and false are none; a number keeps every digit. Raises BadAnswer for what is no cursor."""
    if value is None or value is False or value == "":
        return None
    if value is True or isinstance(value, dict | list):
        what = {bool: "true", dict: "an object", list: "an array"}[type(value)]
        raise BadAnswer(f"the cursor of the next page is {what}; expected text or a number")
    text = value if isinstance(value, str) else str(value)
    if len(text) > MAX_LINK_CHARS:
        raise BadAnswer(
            f"the cursor of the next page is {len(text)} characters long; expected {MAX_LINK_CHARS} at most"
        )
    if _SURROGATE.search(text):
        raise BadAnswer("the cursor of the next page holds bytes or half a character that no text has")
    return text


def _truth(value: Any) -> bool:
    """`has_more` as vendors write it: a boolean, or its name in a string."""
    return value.strip().lower() not in ("", "false", "0", "no", "null") if isinstance(value, str) else bool(value)
