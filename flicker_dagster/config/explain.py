"""Validation errors in the user's words: where, what was found, what was expected, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from flicker_dagster.config.records import Record
from flicker_dagster.config.shape import meant, options, places, records_in, tag_of
from flicker_dagster.config.shown import shown

#: More keys than these are not listed in a message.
MOST_KEYS_LISTED = 8

#: Faults whose last step is a key that is not there, or not known.
_NAMES_A_KEY = ("missing", "extra_forbidden", "invalid_key")

#: Keys of a source that are none of its record: what they say is in it by then.
BESIDE_FIELDS = ("params", "streams")

_EXPECTED = {
    "int_type": ["a whole number"],
    "int_from_float": ["a whole number"],
    "float_type": ["a number"],
    "bool_type": ["true", "false"],
    "string_type": ["text"],
    "list_type": ["a list"],
    "dict_type": ["a mapping"],
    "model_type": ["a mapping"],
    "model_attributes_type": ["a mapping"],
    "string_too_short": ["some text"],
    "finite_number": ["a number"],
    "too_short": ["one entry or more"],
}

_BOUNDS = {
    "greater_than_equal": ("ge", "{} or more"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "{} or less"),
    "less_than": ("lt", "less than {}"),
}


class Problem(NamedTuple):
    line: int
    path: str
    what: str


class _Place(NamedTuple):
    """Where a fault is: its path, the path around it, the last key, and the records that stand around it."""

    path: str
    parent: str
    key: str
    around: str
    records: list[type[Record]]


def explain(error: ValidationError, raw: Any, base: str, line_of: Callable[[str], int], *, root: str) -> list[Problem]:
    """One problem per fault. `root` says which record `raw` was meant to be: a key of `places()`."""
    faults: dict[str, tuple[_Place, list[Any]]] = {}
    for fault in error.errors(include_url=False):
        place = _locate(fault, raw, base, root)
        faults.setdefault(place.path, (place, []))[1].append(fault)
    problems = []
    for path, (place, found) in faults.items():
        if any(other.startswith((f"{path}.", f"{path}[")) for other in faults):
            continue  # another branch of a union: the branch that got further inside says what is wrong
        problems.append(Problem(line_of(path), path, _words(found, place)))
    return problems


def suggestion(found: object, known: Iterable[str]) -> str:
    """` (did you mean …)` where something close is known, else nothing."""
    close = difflib.get_close_matches(str(found), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def one_of(words: Iterable[str]) -> str:
    """`a`, `a or b`, `one of a, b or c`."""
    words = list(dict.fromkeys(words))
    if len(words) < 3:
        return " or ".join(words)
    return f"one of {', '.join(words[:-1])} or {words[-1]}"


def _locate(fault: Any, raw: Any, base: str, root: str) -> _Place:
    """Where in the file a fault is. The names of union branches, which pydantic puts in, are left out."""
    kind, loc = fault["type"], fault["loc"]
    path = parent = base
    around, key, value = root, root, raw
    records, label_next = meant(places()[root], raw), len(places()[root]) > 1
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        if label_next and isinstance(value, dict) and part == value.get("type"):
            label_next = False
            continue
        if isinstance(value, dict) and (part in value or (last and kind in _NAMES_A_KEY)):
            parent, path, key = path, f"{path}.{part}", str(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            parent, path = path, f"{path}[{part}]"
            value = value[part]
        else:
            continue
        if not last and key in places():
            around, records = key, meant(places()[key], value)
            label_next = len(places()[key]) > 1
    if kind.startswith("union_tag"):
        allowed = [each for outer in records if key in outer.model_fields for each in _allowed(outer, key)]
        return _Place(f"{path}.type", path, "type", key, allowed or places()[key])
    return _Place(path, parent, key, around, records)


def _allowed(outer: type[Record], key: str) -> list[type[Record]]:
    """The records that a key takes there; under a key of the same name elsewhere it may be others."""
    return records_in(outer.model_fields[key].annotation)


def _words(faults: list[Any], place: _Place) -> str:
    kind, key = faults[0]["type"], place.key
    tags = [tag for record in place.records if (tag := tag_of(record))]
    if kind == "missing" or kind == "union_tag_not_found":
        return f"is missing, expected {_meaning(place, tags)}"
    if kind in ("extra_forbidden", "invalid_key"):
        return _unknown_key(place)
    if kind == "union_tag_invalid":
        found = faults[0]["ctx"]["tag"]
        return f"found {shown(found)}, expected {one_of(tags)}{suggestion(found, tags)}"
    found = faults[0].get("input")
    expected = [words for fault in faults for words in _expected(fault, place)]
    hint = (
        suggestion(found, expected) if (isinstance(found, str) and len(expected) > 1) or kind == "literal_error" else ""
    )
    return f"found {shown(found, key)}, expected {one_of(expected)}{hint}"


def _expected(fault: Any, place: _Place) -> list[str]:
    kind, context = fault["type"], fault.get("ctx") or {}
    if kind == "literal_error":
        return [word for record in place.records for word in options(record.model_fields[place.key].annotation)]
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context[key]
        return [words.format(bound if isinstance(bound, int) else f"{bound:g}")]
    if place.key == "time_zone":  # +10:00 without quotes is a number to YAML
        return ["a time zone such as Asia/Tokyo or '+09:00' (in quotes)"]
    if kind.startswith("int_") and place.key.endswith("_ms"):
        return ["a whole number of milliseconds"]
    if kind.startswith("model_") and place.parent.endswith((".match_on", ".exclude_on")):
        return ["a regular expression", "a mapping with field and pattern"]
    if kind.startswith("model_") and isinstance(fault.get("input"), str) and _is_placed(place):
        return [f"a mapping such as {{at: {shown(fault['input'], place.key)}}}"]
    return _EXPECTED.get(kind, ["another value"])


def _is_placed(place: _Place) -> bool:
    """Does the key say where a value goes, or comes from? Many write no more than a name there."""
    outer = [record for record in place.records if place.key in record.model_fields]
    return any("at" in inner.model_fields for record in outer for inner in _allowed(record, place.key))


def _unknown_key(place: _Place) -> str:
    known = [name for record in place.records for name in record.model_fields]
    known += BESIDE_FIELDS if place.around == "source" else ()
    elsewhere = _where_known(place)
    if elsewhere and not difflib.get_close_matches(place.key, known, n=1, cutoff=0.8):
        return f"unknown key here; it belongs {elsewhere}"
    noun = "a source" if place.around == "source" else place.around
    listed = one_of(sorted(known)) if len(known) <= MOST_KEYS_LISTED else f"a key of {noun}"
    return f"unknown key, expected {listed}{suggestion(place.key, known)}"


def _where_known(place: _Place) -> str | None:
    """Where a key that is unknown here is known: nowhere, beside the name of the source, or under another key."""
    found = [
        name
        for name, records in places().items()
        if name != place.around and any(place.key in record.model_fields for record in records)
    ]
    if not found:
        return None
    return "at the top of the source" if found[0] == "source" else f"under {found[0]}"


def _meaning(place: _Place, tags: list[str]) -> str:
    """What belongs under a key that is missing, in the words of its field."""
    if place.key == "type" and tags:
        return one_of(tags)
    fields = [record.model_fields[place.key] for record in place.records if place.key in record.model_fields]
    words = [word for field in fields for word in options(field.annotation)]
    return one_of(words or [wanted(field) for field in fields] or ["a value"])


def wanted(field: FieldInfo) -> str:
    """What a key holds: its meaning up to the first semicolon, and an example where the field gives one."""
    meaning = (field.description or "a value").partition("; ")[0].replace("`", "")
    return f"{meaning}, such as {_as_written(field.examples[0])}" if field.examples else meaning


def _as_written(example: Any) -> str:
    """As one line of YAML."""
    if isinstance(example, dict):
        return f"{{{', '.join(f'{key}: {_as_written(value)}' for key, value in example.items())}}}"
    return str(example)
