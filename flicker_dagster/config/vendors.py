"""Known vendors: presets that know what an API is really like, laid beneath the user's own keys.

A preset is `presets/<vendor>.yaml`: a partial source, the hosts it is recognised by, and the keys that it overrules
because the documented configuration describes them wrongly, each with the reason that `--validate` prints.
"""

from __future__ import annotations

from copy import deepcopy
from fnmatch import fnmatch
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from flicker_dagster.config.models import Overrule, SourceConfig

GENERIC = "generic"


class Preset(msgspec.Struct, frozen=True):
    """What is known of a vendor's API. `source` holds keys of a source; `overrules` maps dotted keys to reasons."""

    vendor: str
    title: str
    docs: str
    source: dict[str, Any]
    hosts: list[str] = []
    kinds: list[str] = []
    overrules: dict[str, str] = {}
    #: How to complete a query the user wrote, where it is a language (`soql`).
    completes: str | None = None


@cache
def presets() -> dict[str, Preset]:
    """All presets by vendor."""
    found: dict[str, Preset] = {}
    for file in (resources.files("flicker_dagster.config") / "presets").iterdir():
        if file.name.endswith(".yaml"):
            preset = msgspec.convert(yaml.safe_load(file.read_text(encoding="utf-8")), Preset)
            found[preset.vendor] = preset
    return found


def preset_of(source: SourceConfig) -> Preset | None:
    """The preset that a loaded source was built on."""
    return presets().get(source.vendor or GENERIC)


def recognise(raw: dict[str, Any]) -> Preset | None:
    """The preset for a source as the user wrote it: by `vendor`, else by the endpoint's host."""
    vendor = raw.get("vendor")
    if isinstance(vendor, str):
        return presets().get(vendor)
    endpoint = raw.get("endpoint")
    host = _host(endpoint) if isinstance(endpoint, str) else ""
    return next((p for p in presets().values() if any(fnmatch(host, pattern) for pattern in p.hosts)), None)


def _host(endpoint: str) -> str:
    """The endpoint's host; empty where it is none, or only a variable knows it."""
    try:
        return urlsplit(endpoint).hostname or ""
    except ValueError:  # such as an unclosed bracket
        return ""


def lay_beneath(preset: Preset, raw: dict[str, Any], *, name: str) -> tuple[dict[str, Any], list[Overrule]]:
    """The user's source with the preset beneath it, and the keys of the user's that were overruled.

    Overruled keys carry no line yet (0): the loader knows it.
    """
    merged = _merge(deepcopy(preset.source), raw)
    overruled: list[Overrule] = []
    for key, why in preset.overrules.items():
        parts = key.split(".")
        wanted = _at(preset.source, parts)
        written = _at(raw, parts)
        if written is not _ABSENT and written != wanted:
            overruled.append(Overrule(source=name, key=key, line=0, why=why))
        _put(merged, parts, wanted)
    merged["vendor"] = preset.vendor
    return merged, overruled


_ABSENT = object()


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if both else value
    return merged


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
