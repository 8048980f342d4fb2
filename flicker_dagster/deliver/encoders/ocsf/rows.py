"""An event of OCSF as a row of fixed columns. What no column can hold is kept in `unmapped`: nothing is lost, and no event is
refused for an attribute that nobody foresaw."""

from __future__ import annotations

import json
from typing import Any

from flicker_dagster.deliver.encoders.ocsf.columns import Columns
from flicker_dagster.deliver.encoders.ocsf.objects import BOOL, DOUBLE, INT, JSON, LONG, STR, Type

UNMAPPED = "unmapped"

_INT, _LONG = 2**31, 2**63
_NOTHING = object()


def row_of(event: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """The values of the columns, None where the event has none. `unmapped` holds the event's own unmapped attributes and
    whatever fits no column, as JSON text, or None."""
    row, left = _fit_object({name: value for name, value in event.items() if name != UNMAPPED}, columns)
    own = event.get(UNMAPPED)
    if isinstance(own, dict):
        left = {**own, **left}
    elif own is not None:
        left = {UNMAPPED: own, **left}
    row[UNMAPPED] = _text_of(left) if left else None
    return row


def _fit(value: Any, kind: Type) -> tuple[Any, Any]:
    """What of a value the type holds, and what it does not (`_NOTHING` where it holds all)."""
    if value is None:
        return None, _NOTHING
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            return None, value
        found, left = _fit_object(value, kind)
        return found, left or _NOTHING
    if isinstance(kind, list):
        return _fit_list(value, kind[0])
    return _fit_scalar(value, kind)


def _fit_object(value: dict[str, Any], columns: Columns) -> tuple[dict[str, Any], dict[str, Any]]:
    found: dict[str, Any] = dict.fromkeys(columns)
    left: dict[str, Any] = {}
    for name, inner in value.items():
        kind = columns.get(name)
        if kind is None:
            left[name] = inner
            continue
        found[name], rest = _fit(inner, kind)
        if rest is not _NOTHING:
            left[name] = rest
    return found, left


def _fit_list(value: Any, kind: Type) -> tuple[Any, Any]:
    """An item that the type does not hold leaves the whole list in `unmapped` as well: alone it would say nothing."""
    if not isinstance(value, list):
        return None, value
    fitted = [_fit(item, kind) for item in value]
    found = [item for item, _ in fitted if item is not None]
    return found, _NOTHING if all(rest is _NOTHING for _, rest in fitted) else value


def _fit_scalar(value: Any, kind: str) -> tuple[Any, Any]:
    if kind == STR:
        return (_storable(value) if isinstance(value, str) else _text_of(value)), _NOTHING
    if kind == JSON:
        return _text_of(value), _NOTHING
    if kind == BOOL:
        return (value, _NOTHING) if isinstance(value, bool) else (None, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, value
    if kind == DOUBLE:
        return float(value), _NOTHING
    bound = _INT if kind == INT else _LONG
    assert kind in (INT, LONG)
    if isinstance(value, float) and not value.is_integer():
        return None, value
    return (int(value), _NOTHING) if -bound <= value < bound else (None, value)


def _text_of(value: Any) -> str:
    try:
        return _storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except RecursionError:
        return '"nested too deeply to be written here"'


def _storable(text: str) -> str:
    """Half a surrogate pair, as user agents cut off have one, is no UTF-8; the event's raw data keep it as an escape."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
