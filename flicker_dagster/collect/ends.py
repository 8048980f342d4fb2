"""Ends of walks: is "no next page" the end of the data, or a paging field that is misspelt, cut off or ignored?

A vendor may say that nothing follows (null, "", false, `has_more` false), or leave the field out. Left out proves
nothing by itself, and is taken for the end where the page was not full, or where the source has shown before that it
does name next pages. Otherwise the walk may have ended early, and whoever walks is told.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from itertools import islice

import msgspec

from flicker_dagster.collect.paging import Seen, counts, links_of
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.json_paths import split_path
from flicker_dagster.json_scan import read_value

#: How alike the name that is configured and one that the answer has must be, to be taken for a slip of the pen.
ALIKE = 0.8

#: A larger answer is not taken apart for that: its names alone may take many times its size in memory.
MOST_SEARCHED_BYTES = 8 << 20

#: How deep an envelope is searched for such a name.
DEEP = 4

#: So many names are compared; an envelope has a few.
MOST_NAMES = 1_000

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def names_paging(source: SourceConfig, seen: Seen) -> bool:
    """Does the answer hold what the source says names the next page, if only to say that there is none?"""
    paging = source.pagination
    if paging.pagination_type == "link_header":
        return paging.link_rel.lower() in links_of(seen.links)
    return any(path in seen.fields for path in _fields(source))


def is_full(source: SourceConfig, rows: int) -> bool:
    """May a page have so many events because the vendor gives no more at once? A page with more than `page_size` shows
    that the vendor's pages are of another size."""
    return rows == source.pagination.page_size


def must_be_named(source: SourceConfig) -> bool:
    """Does a next page exist only where the vendor names it? Page numbers and offsets are counted."""
    paging = source.pagination
    if paging.pagination_type == "link_header":
        return True
    return bool(_fields(source)) and not counts(paging)


def what_names(source: SourceConfig) -> str:
    """What the configuration expects to name the next page, for messages."""
    paging = source.pagination
    if paging.pagination_type == "link_header":
        return f'Link header with rel="{paging.link_rel}" (pagination.link_rel)'
    return " or ".join(
        f"{getattr(paging, key)} (pagination.{key})"
        for key in ("next_cursor_field", "next_page_field", "next_url_field", "has_more_field")
        if getattr(paging, key)
    )


def lookalike(source: SourceConfig, seen: Seen, body: bytes) -> str | None:
    """A name in the answer that is probably meant, with a value that says that there is more; None where there is none."""
    paging = source.pagination
    if paging.pagination_type == "link_header":
        return next(iter(difflib.get_close_matches(paging.link_rel.lower(), links_of(seen.links), 1, ALIKE)), None)
    wanted = [split_path(path)[-1] for path in _fields(source)]
    if len(body) > MOST_SEARCHED_BYTES:
        return None
    members = islice(_members(body, DEEP), MOST_NAMES)
    return next((name for name, value in members if _alike(name, wanted) and _tells_more(value)), None)


def _members(text: bytes | msgspec.Raw, deep: int) -> Iterator[tuple[str, msgspec.Raw]]:
    """Names of an envelope and their values, undecoded; but not of the events in its lists."""
    try:
        members = _OBJECT.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return
    yield from members.items()
    for value in members.values() if deep > 1 else ():
        if memoryview(value)[:1] == b"{":
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


def _fields(source: SourceConfig) -> list[str]:
    paging = source.pagination
    paths = [paging.next_cursor_field, paging.next_page_field, paging.next_url_field, paging.has_more_field]
    return [path for path in paths if path]
