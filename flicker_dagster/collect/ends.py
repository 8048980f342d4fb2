"""Ends of walks: is "no next page" the end of the data, or a paging field that is misspelt, cut off or ignored?

A vendor may say that nothing follows (null, "", false, `more` false), or leave the field out. Left out proves nothing by
itself, and is taken for the end where the page was not full, or where the source has shown before that it does name next
pages. Otherwise the walk may have ended early, and whoever walks is told.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from itertools import islice

import msgspec

from flicker_dagster.collect.links import links_of
from flicker_dagster.collect.paging import Seen, counts, holds, origins_of, page_size
from flicker_dagster.config.vocabulary import Origin, Paging
from flicker_dagster.json_paths import split_path
from flicker_dagster.json_scan import read_value

#: How alike the name that is configured and one that the answer has must be, to be taken for a slip of the pen.
ALIKE = 0.8

#: A larger answer is not taken apart for that: its names alone may take many times its size in memory.
MOST_SEARCHED_BYTES = 8 << 20

#: How deep an envelope is searched for such a name.
DEEP = 4

#: Links of HAL that lead to no further page.
OTHER_LINKS = frozenset({"self", "first", "prev", "previous", "last"})

#: So many names are compared; an envelope has a few.
MOST_NAMES = 1_000

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def names_paging(paging: Paging, seen: Seen) -> bool:
    """Does the answer hold what the source says names the next page, if only to say that there is none?"""
    return any(holds(origin, seen) for origin in _naming(paging))


def is_full(paging: Paging, seen: Seen) -> bool:
    """May a page have so many events because the vendor gives no more at once? A page with more than the page size shows
    that the vendor's pages are of another size."""
    return seen.rows == page_size(paging, seen)


def must_be_named(paging: Paging) -> bool:
    """Does a next page exist only where the vendor names it? Page numbers, offsets and last ids are counted."""
    return bool(_naming(paging)) and not counts(paging)


def leads_nowhere(paging: Paging) -> bool:
    """Is a number of events asked for, and no way known to those behind them?"""
    return paging.limit is not None and paging.total is None and not origins_of(paging) and not counts(paging)


def what_names(paging: Paging) -> str:
    """What the configuration expects to name the next page, for messages."""
    return " or ".join(_words(origin) for origin in _naming(paging))


def lookalike(paging: Paging, seen: Seen, body: bytes) -> str | None:
    """A name in the answer that is probably meant, with a value that says that there is more; None where there is none."""
    for origin in origins_of(paging):
        if origin.of == "link":
            rel = origin.at.partition(";")[0].strip().lower()
            return next(iter(difflib.get_close_matches(rel, links_of(seen.links), 1, ALIKE)), None)
    wanted = [split_path(origin.at)[-1] for origin in _naming(paging) if origin.of == "json"]
    if not wanted or len(body) > MOST_SEARCHED_BYTES:
        return None
    members = islice(_members(body, DEEP), MOST_NAMES)
    return next((name for name, value in members if _alike(name, wanted) and _tells_more(value)), None)


def _naming(paging: Paging) -> list[Origin]:
    named = [origin for origin in origins_of(paging) if origin.of != "row"]
    return named if paging.more is None else [*named, paging.more]


def _words(origin: Origin) -> str:
    what = {"link": f'Link header with rel="{origin.at}"', "header": f"header {origin.at}"}.get(origin.of, origin.at)
    return f"{what} ({origin.key})"


def _members(text: bytes | msgspec.Raw, deep: int) -> Iterator[tuple[str, msgspec.Raw]]:
    """Names of an envelope and their values, undecoded; but not of the events in its lists."""
    try:
        members = _OBJECT.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return
    yield from members.items()
    for name, value in members.items() if deep > 1 else ():
        if name.lower() not in OTHER_LINKS and memoryview(value)[:1] == b"{":
            yield from _members(value, deep - 1)


def _tells_more(value: msgspec.Raw) -> bool:
    if memoryview(value)[:1] in (b"{", b"["):
        return False
    found = read_value(bytes(value))
    return found is True or (isinstance(found, str | int | float) and bool(found))


def _alike(name: str, wanted: list[str]) -> bool:
    return bool(difflib.get_close_matches(_plain(name), [_plain(each) for each in wanted], 1, ALIKE))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
