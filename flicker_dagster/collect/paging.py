"""What comes after a page: the rules by which every walk goes on, and ends. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flicker_dagster.collect.links import links_of
from flicker_dagster.config.vocabulary import Origin, Paging
from flicker_dagster.errors import BadAnswer, VendorRefused
from flicker_dagster.json_paths import readings
from flicker_dagster.json_scan import value_at
from flicker_dagster.transport.addresses import MAX_LINK_CHARS, BadAddress, follow, is_absolute
from flicker_dagster.types import WalkState

#: Half an emoji, or what stands for bytes that are no UTF-8: neither can be written into a request.
_SURROGATE = re.compile("[\ud800-\udfff]")

_ABSENT = object()


class Seen(msgspec.Struct, frozen=True):
    """What an answer showed of paging: rows on the page, the last of them, the `Link` lines, the other headers, and the
    configured body fields that it holds."""

    rows: int
    links: list[str]
    fields: dict[str, Any]
    url: str
    headers: Mapping[str, str] = {}
    last_row: bytes | None = None


def origins_of(paging: Paging) -> list[Origin]:
    """Where an answer names what follows; the first that is there counts."""
    return paging.following if isinstance(paging.following, list) else [paging.following]


def paths_of(paging: Paging) -> list[str]:
    """Fields of the answer that paging rests on."""
    origins = [*origins_of(paging), paging.more, paging.total, paging.size]
    return [origin.at for origin in origins if origin is not None and origin.of == "json"]


def is_behind_start(paging: Paging, state: WalkState, times_ms: Sequence[int | None]) -> bool:
    """Does a page of a listing newest first, which knows no time filter, hold nothing from the span or after it? One that
    turns out to be oldest first is read to its end."""
    timed = [ms for ms in times_ms if ms is not None]
    if not paging.ends_at_start or state.start_ms is None or not timed:
        return False
    return max(timed) < state.start_ms and timed[0] >= timed[-1]


def is_cut_off(paging: Paging, state: WalkState, seen: Seen) -> bool:
    """Has the vendor given as many events of this span as it ever does?"""
    return paging.most is not None and state.offset + seen.rows >= paging.most


def begun_anew(state: WalkState, newest_ms: int | None) -> WalkState | None:
    """The walk over the rest of a span that was cut off, from the newest time that was read; None where all of it has one
    time."""
    if newest_ms is None or state.start_ms is None or newest_ms <= state.start_ms:
        return None
    return msgspec.structs.replace(state, start_ms=newest_ms, cursor=None, page=state.page + 1, offset=0)


def next_cursor(paging: Paging, seen: Seen) -> str | None:
    """The cursor, page number or URL that the answer gives for the next page; None where it gives none.

    Raises VendorRefused for a link that leads away from the endpoint, and BadAnswer for what is no cursor.
    """
    try:
        for origin in origins_of(paging):
            value = value_of(origin, seen)
            cursor = None if value is _ABSENT else _text(value, origin.join)
            if cursor is not None:
                return follow(cursor, seen.url) if origin.gives == "url" or is_absolute(cursor) else cursor
    except BadAddress as error:
        raise VendorRefused(
            f"the next link {error}; refused, credentials are sent to the endpoint's own origin only"
        ) from None
    return None


def says_more(paging: Paging, seen: Seen) -> bool | None:
    """Whether there is more, by the vendor's own word; None where it says nothing of it."""
    found = _ABSENT if paging.more is None else value_of(paging.more, seen)
    return None if found is _ABSENT else _truth(found)


def next_state(paging: Paging, state: WalkState, seen: Seen) -> WalkState | None:
    """The walk's state for the next page, or None if this was the last.

    The end is: no cursor (null, "", absent), `more` false, an empty page (unless the vendor says that there is more, or
    sends such pages), all of a `total`, and a short page only where the source says so: servers cap pages below what was
    asked. Where `more` is left out of the answer, the cursor alone decides. Raises BadAnswer where there is more and no way
    to ask for it.
    """
    if not origins_of(paging) and not counts(paging):
        return None
    more = says_more(paging, seen)
    if more is False:
        return None
    if seen.rows == 0 and paging.empty_page_ends and (not more or paging.offset is not None):
        return None  # the same offset would give the same answer
    if paging.short_page_ends and seen.rows < page_size(paging, seen):
        return None
    total = None if paging.total is None else _number(value_of(paging.total, seen))
    if total is not None and state.offset + seen.rows == total:  # a total of less (-1, 0) than was read is none
        return None
    cursor = next_cursor(paging, seen)
    if cursor is None and not counts(paging):
        if more:
            raise BadAnswer(f"{paging.more.at if paging.more else ''} says there is more, but no next page is named")
        return None
    return msgspec.structs.replace(state, cursor=cursor, page=state.page + 1, offset=state.offset + seen.rows)


def page_size(paging: Paging, seen: Seen) -> int:
    """How many events a full page has: what the answer says, else what was asked for."""
    said = None if paging.size is None else _number(value_of(paging.size, seen))
    return paging.page_size if said is None else said


def counts(paging: Paging) -> bool:
    """Does the next page follow from counting, without a cursor of the vendor's?"""
    return paging.offset is not None or (paging.page is not None and not origins_of(paging))


def holds(origin: Origin, seen: Seen) -> bool:
    """Does the answer hold it, if only to say that there is nothing? A link whose parameter has another value than the one that
    is wanted says so: `rel="next"; results="false"`."""
    if origin.of == "link" and ";" in origin.at:
        rel, _, meaning = origin.at.partition(";")
        return rel.strip().lower() in links_of(seen.links, meaning=meaning.partition("=")[0].strip())
    return value_of(origin, seen) is not _ABSENT


def value_of(origin: Origin, seen: Seen) -> Any:
    """What an answer holds there; a value of its own where it holds nothing."""
    if origin.of == "json":
        return seen.fields.get(origin.at, _ABSENT)
    if origin.of == "header":
        return seen.headers.get(origin.at, _ABSENT)
    if origin.of == "link":
        rel, _, meaning = origin.at.partition(";")
        return links_of(seen.links, meaning=meaning.strip() or None).get(rel.strip().lower(), _ABSENT)
    if seen.last_row is None:
        return _ABSENT
    found = (value_at(seen.last_row, parts) for parts in readings(origin.at))
    return next((value for value in found if value is not None), _ABSENT)


def _text(value: Any, join: str | None = None) -> str | None:
    """A cursor as text. Null, "" and false are none; a number keeps every digit. Raises BadAnswer for what is no cursor."""
    if value is None or value is False or value == "":
        return None
    if join is not None and isinstance(value, list) and value and all(isinstance(each, str | int) for each in value):
        value = join.join(map(str, value))
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
    """`more` as vendors write it: a boolean, or its name in a string."""
    return value.strip().lower() not in ("", "false", "0", "no", "null") if isinstance(value, str) else bool(value)


def _number(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None
