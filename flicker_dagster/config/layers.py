"""A preset beneath what a user wrote: which keys win, which are overruled, and what the preset's parameters stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from typing import Any

from flicker_dagster.config.secrets import references
from flicker_dagster.config.shown import shown
from flicker_dagster.config.vendors import Param, Preset
from flicker_dagster.config.whole_file import Overrule

#: Keys that say how requests are signed: where the user has one, the preset's own way is not used.
_SIGNS = ("auth", "api_key", "basic")

_PARAM = re.compile(r"\$\{param:([A-Za-z_][A-Za-z0-9_]*)\}")


def lay_beneath(
    preset: Preset,
    raw: dict[str, Any],
    *,
    name: str,
    stream: str | None = None,
    given: Collection[str] = (),
) -> tuple[dict[str, Any], list[Overrule]]:
    """The user's source with the preset (and one of its streams) beneath it, and the keys of the user's that were
    overruled. Overruled keys carry no line yet (0): the loader knows it. Parameters are still in it by name; those that are
    `given` decide between the preset's ways to sign.
    """
    below = deepcopy(preset.source)
    if stream is not None:
        below = merged_keys(below, deepcopy(preset.streams[stream].source))
    raw = dict(raw)
    overruled: list[Overrule] = []
    by_hand = preset.by_host and "endpoint" in raw and not given
    if by_hand or _signs(raw):
        below.pop("auth", None)
    elif "auth" in below:
        known = {*given, *(each for each, param in preset.params.items() if not param.required)}
        ways = [below["auth"], *deepcopy(preset.other_auth)]
        below["auth"] = next((way for way in ways if known.issuperset(params_in(way))), ways[0])
    if "paging" in below and isinstance(raw.get("pagination"), dict):
        flat = raw.pop("pagination")
        if "page_size" in flat:
            below["paging"] = {**below["paging"], "page_size": flat["page_size"]}
        why = "how this vendor pages is known; only page_size is taken from here"
        overruled += [
            Overrule(source=name, key=f"pagination.{key}", line=0, why=why) for key in flat if key != "page_size"
        ]
    merged = merged_keys(below, raw)
    for key, why in preset.overrules.items():
        parts = key.split(".")
        wanted = _at(below, parts)
        written = _at(raw, parts)
        if written is not _ABSENT and written != wanted:
            overruled.append(Overrule(source=name, key=key, line=0, why=why))
        _put(merged, parts, wanted)
    merged["vendor"] = preset.vendor
    return merged, overruled


def merged_keys(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of both: those above win, and mappings on both sides are merged in turn."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = merged_keys(below[key], value) if both else value
    return merged


def fill_params(
    merged: Any, params: Mapping[str, Param], given: Mapping[str, Any], trouble: Callable[[str, str], None]
) -> Any:
    """The source with what its parameters stand for. A text that is nothing but a parameter takes its value whatever its type,
    and is left out where that is optional and not given.

    What is missing or does not fit is told to `trouble(name, what)`, and stands there as its example.
    """
    values: dict[str, Any] = {}

    def value_of(name: str) -> Any:
        if name not in values:
            values[name] = _value(name, params.get(name), given, trouble)
        return values[name]

    def part_of(name: str) -> str:
        value = value_of(name)
        if value is not _ABSENT:
            return str(value)
        what = "is missing, and stands within a text of the preset that cannot be left out; expected"
        trouble(name, f"{what} {_expected(params[name])}")
        return params[name].example or "x"

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            pairs = [(filled(key), filled(inner)) for key, inner in value.items()]
            return {key: inner for key, inner in pairs if _ABSENT not in (key, inner)}
        if isinstance(value, list):
            return [each for each in map(filled, value) if each is not _ABSENT]
        if not isinstance(value, str):
            return value
        whole = _PARAM.fullmatch(value)
        if whole is not None:
            return value_of(whole[1])
        return _PARAM.sub(lambda found: part_of(found[1]), value)

    return filled(merged)


def params_in(value: Any) -> Iterator[str]:
    """The names of the parameters that stand in a preset's keys."""
    if isinstance(value, str):
        yield from _PARAM.findall(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from params_in(key)
            yield from params_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from params_in(inner)


def _value(name: str, param: Param | None, given: Mapping[str, Any], trouble: Callable[[str, str], None]) -> Any:
    if param is None:
        return given.get(name, "")
    value = given.get(name, param.default)
    if value is None and param.optional:
        return _ABSENT
    if value is None:
        trouble(name, f"is missing, expected {_expected(param)}")
        return param.example or "x"
    literal = isinstance(value, str) and not references(value)
    if literal and param.pattern is not None and re.fullmatch(param.pattern, value) is None:
        what = "a value" if param.secret else shown(value)
        trouble(name, f"found {what} of another form, expected {_expected(param)}")
        return param.example or value
    return value


def _expected(param: Param) -> str:
    return f"{param.description} such as {param.example}" if param.example else param.description


def _signs(raw: Mapping[str, Any]) -> bool:
    headers = raw.get("headers")
    names = headers if isinstance(headers, dict) else {}
    return any(key in raw for key in _SIGNS) or any(str(name).lower() == "authorization" for name in names)


_ABSENT = object()


def _at(data: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(data, dict) or part not in data:
            return _ABSENT
        data = data[part]
    return data


def _put(data: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        inner = data.get(part)
        if not isinstance(inner, dict):
            return
        data[part] = inner = dict(inner)
        data = inner
    if value is _ABSENT:
        data.pop(parts[-1], None)
    else:
        data[parts[-1]] = value
