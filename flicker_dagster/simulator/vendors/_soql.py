"""The part of SOQL that Salesforce's dialect reads: SELECT with conditions on the time, and whole conditions for files."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flicker_dagster.times import parse_time_ms

QUERY = re.compile(
    r"SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<object>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>.+?))?(?:\s+LIMIT\s+(?P<limit>\d+))?(?:\s+OFFSET\s+(?P<offset>\d+))?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_AND = re.compile(r"\s+AND\s+", re.IGNORECASE)
_CONDITION = re.compile(r"(\w+)\s*(>=|<=|>|<|=)\s*([^\s']+)")  # a datetime literal is not quoted
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<sign>>=|<=|!=|[=<>(),])"
    r"|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d))|(?P<number>\d+)|(?P<word>\w+))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    "<": lambda found, wanted: found < wanted,
    "<=": lambda found, wanted: found <= wanted,
    ">": lambda found, wanted: found > wanted,
    ">=": lambda found, wanted: found >= wanted,
}

#: Does a record (values by field in lower case, times in ms) fulfil a condition?
Condition = Callable[[dict[str, Any]], bool]


class Malformed(ValueError):
    """What cannot be read of a query."""


def bounds(where: str | None, time_field: str, now_ms: int) -> tuple[int, int]:
    """The span of conditions on the time field, both edges inclusive. Raises Malformed."""
    start_ms, end_ms = 0, now_ms
    for condition in _AND.split(where.strip()) if where else []:
        found = _CONDITION.fullmatch(condition)
        ms = parse_time_ms(found[3], "iso8601") if found is not None else None
        if found is None or ms is None or found[1].lower() != time_field.lower():
            raise Malformed(where)
        operator = found[2]
        if operator in (">=", "="):
            start_ms = ms
        if operator == ">":
            start_ms = ms + 1
        if operator in ("<=", "="):
            end_ms = ms
        if operator == "<":
            end_ms = ms - 1
    return start_ms, end_ms


def condition_of(where: str, kinds: dict[str, str]) -> Condition:
    """Conditions with AND, OR (never both without parentheses) and IN. `kinds` says of each field that may be asked for
    whether it is a `text`, a `number` or a `time`, and so how its values are written. Raises Malformed."""
    return _Reader(where, kinds).read()


class _Reader:
    def __init__(self, where: str, kinds: dict[str, str]) -> None:
        self._kinds = kinds
        self._tokens: list[tuple[str, str]] = []
        end = 0
        while (found := _TOKEN.match(where, end)) is not None:
            self._tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
            end = found.end()
        if where[end:].strip():
            raise Malformed(where[end:])

    def read(self) -> Condition:
        condition = self._joined()
        if self._tokens:
            raise Malformed(self._tokens[0][1])
        return condition

    def _joined(self) -> Condition:
        conditions, word = [self._one()], ""
        while self._peek().upper() in ("AND", "OR"):
            again = self._take()[1].upper()
            if word not in ("", again):
                raise Malformed("AND and OR without parentheses")
            word = again
            conditions.append(self._one())
        several = any if word == "OR" else all
        return lambda record: several(condition(record) for condition in conditions)

    def _one(self) -> Condition:
        if self._peek() == "(":
            self._take()
            condition = self._joined()
            self._expect(")")
            return condition
        kind, name = self._take()
        field = name.lower()
        if kind != "word" or field not in self._kinds:
            raise Malformed(name)
        operator = self._take()[1]
        if operator.upper() == "IN":
            values = self._values(field)
            return lambda record: record[field] in values
        if operator not in _COMPARE:
            raise Malformed(operator)
        compare, value = _COMPARE[operator], self._value(field)
        return lambda record: compare(record[field], value)

    def _values(self, field: str) -> list[Any]:
        self._expect("(")
        values = [self._value(field)]
        while self._peek() == ",":
            self._take()
            values.append(self._value(field))
        self._expect(")")
        return values

    def _value(self, field: str) -> Any:
        kind, text = self._take()
        if kind != self._kinds[field]:
            raise Malformed(text)
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        value = parse_time_ms(text, "iso8601") if kind == "time" else int(text)
        if value is None:
            raise Malformed(text)
        return value

    def _peek(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def _take(self) -> tuple[str, str]:
        if not self._tokens:
            raise Malformed("the end")
        return self._tokens.pop(0)

    def _expect(self, sign: str) -> None:
        if self._take()[1] != sign:
            raise Malformed(f"expected {sign}")
