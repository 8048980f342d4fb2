"""Ways in which a listing may go on: what an answer and its question offer for the next page. Which of them it is, the next
page shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from flicker_dagster.collect.links import links_of
from flicker_dagster.infer.names import (
    CURSOR,
    CURSOR_ANY,
    CURSOR_TRIED,
    MORE,
    OFFSET,
    PAGE,
    ROW_TRIED,
    TOTAL,
    last_of,
    plain,
    words_of,
)
from flicker_dagster.infer.question import Question, Spot
from flicker_dagster.infer.rows import joined

#: So many ways are tried at most.
MOST_WAYS = 10


class Way(msgspec.Struct, frozen=True):
    """Keys of `paging` beside page size and limit, why each, and in words what it is."""

    keys: dict[str, Any]
    whys: dict[str, str]
    what: str


def ways_on(
    asked: Question,
    *,
    links: list[str],
    headers: Mapping[str, str],
    envelope: Mapping[str, Any],
    id_path: str | None,
    rows: int,
) -> list[Way]:
    """The ways that an answer offers, the likeliest first. `envelope` are the scalars beside the events by path."""
    found = [*_links(links), *_urls(envelope), *_cursors(asked, envelope), *_headers(asked, headers)]
    found += [*_counted(asked, envelope, rows), *_last_rows(asked, envelope, id_path)]
    return found[:MOST_WAYS]


def bare(ways: list[Way]) -> list[Way]:
    """The ways by a cursor once more, with the cursor alone, as some vendors want it."""
    why = "the cursor alone is taken, and not beside what the first request asked"
    return [
        Way({**way.keys, "repeats": "none"}, {**way.whys, "repeats": why}, way.what)
        for way in ways
        if "cursor" in way.keys
    ]


def envelope_of(body: bytes, rows_path: str) -> dict[str, Any]:
    """The scalars of an answer outside of its events, by path."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return dict(_scalars(answer, "", rows_path, 0)) if rows_path else {}


def more_of(envelope: Mapping[str, Any]) -> str | None:
    """The field that says whether there is more."""
    return next((path for path, value in envelope.items() if plain(last_of(path)) in MORE and _is_word(value)), None)


def says_more(envelope: Mapping[str, Any]) -> str | None:
    """The same, where it says so."""
    more = more_of(envelope)
    return more if more is not None and str(envelope[more]).strip().lower() == "true" else None


def _is_word(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "false")


def total_of(envelope: Mapping[str, Any], rows: int) -> str | None:
    """The field that says how many events there are in all."""
    return next(
        (
            path
            for path, value in envelope.items()
            if plain(last_of(path)) in TOTAL
            and isinstance(value, int)
            and not isinstance(value, bool)
            and value >= rows
        ),
        None,
    )


def _links(links: list[str]) -> Iterator[Way]:
    if "next" in links_of(links):
        why = "the answer has a Link header with rel=next"
        yield Way({"following": {"of": "link", "at": "next", "gives": "url"}}, {"following": why}, "the Link header")


def _urls(envelope: Mapping[str, Any]) -> Iterator[Way]:
    for path, value in envelope.items():
        if _is_next(path) and isinstance(value, str) and value.startswith(("http://", "https://", "/", "?")):
            why = "the address of the next page stands there"
            yield Way({"following": {"at": path, "gives": "url"}}, {"following": why}, f"the address at {path}")


def _cursors(asked: Question, envelope: Mapping[str, Any]) -> Iterator[Way]:
    more = more_of(envelope)
    for path, value in sorted(envelope.items(), key=lambda each: not _is_next(each[0])):
        if not _is_cursor(path, value):
            continue
        names = _carriers(path, str(value), envelope)
        for name, seen in names:
            why = f"the address of the next page carries that value in {name}" if seen else "tried"
            keys: dict[str, Any] = {"cursor": _beside(asked, name), "following": {"at": path}}
            whys = {"cursor": why, "following": "a value for the next page stands there"}
            if more is not None:
                keys["more"] = {"at": more}
                whys["more"] = "it says whether there is more"
            yield Way(keys, whys, f"the cursor at {path}, sent as {name}")


def _last_rows(asked: Question, envelope: Mapping[str, Any], id_path: str | None) -> Iterator[Way]:
    more = more_of(envelope)
    if more is None or id_path is None:
        return
    for name in ROW_TRIED:
        keys = {
            "cursor": _beside(asked, name),
            "following": {"of": "row", "at": id_path},
            "more": {"at": more},
        }
        whys = {
            "cursor": "tried",
            "following": "none is named, and the id of the last event leads there",
            "more": "it says whether there is more",
        }
        yield Way(keys, whys, f"the id of the last event, sent as {name}")


def _counted(asked: Question, envelope: Mapping[str, Any], rows: int) -> Iterator[Way]:
    total, more = total_of(envelope, rows), more_of(envelope)
    extra: dict[str, Any] = {"total": {"at": total}} if total is not None else {}
    whys = {"total": "it says how many there are in all"} if total is not None else {}
    if more is not None:
        extra["more"], whys["more"] = {"at": more}, "it says whether there is more"
    for key, spot, whence in _counters(asked, envelope):
        keys = {key: spot.place()} | ({"first_page": spot.value} if key == "page" else {}) | extra
        why = {key: f"{whence}; the next one is counted", "first_page": whence}
        yield Way(keys, {**why, **whys}, f"the {'page number' if key == 'page' else 'offset'} {spot.at}")


def _counters(asked: Question, envelope: Mapping[str, Any]) -> Iterator[tuple[str, Spot, str]]:
    """Parameters that count: those of the question, else those that the answer shows as its own."""
    for key, spot in (("offset", asked.offset), ("page", asked.page)):
        if spot is not None:
            yield key, spot, "given in the question"
    if asked.offset is not None or asked.page is not None:
        return
    for path, value in envelope.items():
        name = plain(last_of(path))
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        for key, names, first in (("page", PAGE, (0, 1)), ("offset", OFFSET, (0,))):
            if name in names and value in first:
                at = _beside(asked, last_of(path))
                yield key, Spot(at.get("into", "query"), at["at"], value), f"the answer shows it as {path}"


def _headers(asked: Question, headers: Mapping[str, str]) -> Iterator[Way]:
    """Cursors in headers of the answer, taken as a parameter, or in the header of that name."""
    for name, value in headers.items():
        words = words_of(name.removeprefix("X-").removeprefix("x-"))
        known = "".join(words)
        if not value or (
            known not in CURSOR | CURSOR_TRIED.keys() and not {"next", "cursor", "continuation"} & set(words)
        ):
            continue
        origin = {"of": "header", "at": name}
        whys = {"cursor": "tried", "following": "a header of the answer"}
        if value.startswith(("http://", "https://", "/", "?")):
            following = {"following": {**origin, "gives": "url"}}
            yield Way(following, {"following": whys["following"]}, f"the address in the header {name}")
            continue
        places = [_beside(asked, each) for each in dict.fromkeys([*CURSOR_TRIED.get(known, ()), *CURSOR_ANY[:3]])]
        for place in [*places[:4], {"into": "header", "at": name}]:
            sent = f"the header {name}" if "into" in place and place["into"] == "header" else place["at"]
            yield Way({"cursor": place, "following": origin}, whys, f"the cursor in the header {name}, sent as {sent}")


def _carriers(path: str, value: str, envelope: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Names of the parameter that carries a cursor, and whether an address in the answer shows it."""
    for each in envelope.values():
        if isinstance(each, str) and "?" in each:
            for name, carried in parse_qsl(each.partition("?")[2]):
                if carried == value:
                    return [(name, True)]
    names = CURSOR_TRIED.get(plain(last_of(path)), ())
    return [(name, False) for name in dict.fromkeys([*names, *CURSOR_ANY])][:5]


def _beside(asked: Question, name: str) -> dict[str, Any]:
    """Where a cursor goes: into the body where the page size stands there, else into the address."""
    limit = asked.limit
    if limit is None or limit.into != "json":
        return {"at": name}
    above = limit.at.rpartition(".")[0]
    return Spot("json", joined(above, name) if above else name, "").place()


def _is_next(path: str) -> bool:
    words = words_of(path)
    return "next" in words and not {"prev", "previous", "self", "last"} & set(words)


def _is_cursor(path: str, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return False
    words = set(words_of(path))
    if {"prev", "previous", "before", "self", "status", "timestamp"} & words or str(value).startswith(("http", "/")):
        return False
    name = plain(last_of(path))
    named = name in CURSOR or name in CURSOR_TRIED or "next" in words or "cursor" in words
    return named and name not in MORE


def _scalars(value: Any, path: str, rows_path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if path == rows_path or depth > 4 or isinstance(value, list):
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _scalars(inner, joined(path, key), rows_path, depth + 1)
    else:
        yield path, value
