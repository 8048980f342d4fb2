"""Where in an answer the events may be: arrays of objects, maps of them, lines of JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from flicker_dagster.infer.names import RESULTS, last_of, plain

#: How deep an envelope is searched, and how many rows are looked at.
DEEPEST, MOST_ROWS = 5, 200

Rows = list[dict[str, Any]]


class Array(msgspec.Struct, frozen=True):
    """Objects at a path of the answer. `shape` is that of `rows.shape`."""

    path: str
    shape: str
    rows: Rows

    @property
    def rank(self) -> tuple[float, ...]:
        """What speaks for it by itself, before anybody has looked for times: many rows, a usual name, little depth."""
        depth = 0 if not self.path else 1 + self.path.count(".")
        return (self.shape != "map", len(self.rows) > 1, plain(last_of(self.path)) in RESULTS, -depth, len(self.rows))


def arrays_in(body: bytes) -> list[Array]:
    """Every place where the events may be, the likeliest first."""
    text = body.decode("utf-8", "replace").strip()
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return list(_lines(text))
    return sorted(_within(answer, "", 0), key=lambda each: each.rank, reverse=True)


def empty_arrays_in(body: bytes) -> list[str]:
    """Paths of arrays without anything in them."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return []
    return list(_empty(answer, "", 0))


def _within(value: Any, path: str, depth: int) -> Iterator[Array]:
    if isinstance(value, list):
        rows = [each for each in value[:MOST_ROWS] if isinstance(each, dict)]
        if rows and len(rows) * 2 > min(len(value), MOST_ROWS):
            yield Array(path, "array", rows)
        return
    if not isinstance(value, dict) or depth > DEEPEST:
        return
    rows = [each for each in value.values() if isinstance(each, dict)]
    if len(rows) > 1 and len(rows) == len(value) and _alike(rows):
        yield Array(path, "map", rows[:MOST_ROWS])
    for key, inner in value.items():
        yield from _within(inner, joined(path, key), depth + 1)


def _alike(rows: Rows) -> bool:
    common = set(rows[0]).intersection(*rows)
    return len(common) >= 3 and len(common) * 2 > max(len(row) for row in rows)


def _empty(value: Any, path: str, depth: int) -> Iterator[str]:
    if value == [] and not isinstance(value, str):
        yield path
    elif isinstance(value, dict) and depth <= DEEPEST:
        for key, inner in value.items():
            yield from _empty(inner, joined(path, key), depth + 1)


def _lines(text: str) -> Iterator[Array]:
    lines = [line for line in text.splitlines() if line.strip()]
    rows: list[Any] = []
    for line in lines[:MOST_ROWS]:
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError):
            break
    if rows and len(rows) == len(lines[:MOST_ROWS]) and all(isinstance(row, dict) for row in rows):
        yield Array("", "ndjson", rows)
        return
    try:
        cells = list(csv.reader(io.StringIO(text, newline=""), strict=True))[: MOST_ROWS + 1]
    except csv.Error:
        return
    if len(cells) > 1 and len(cells[0]) > 1 and all(len(row) == len(cells[0]) for row in cells if row):
        yield Array("", "csv", [dict(zip(cells[0], row)) for row in cells[1:] if row])


def joined(path: str, key: str) -> str:
    """A dotted path with a key behind it, whose own dots are told from those of the path."""
    key = key.replace(".", "\\.")
    return f"{path}.{key}" if path else key
