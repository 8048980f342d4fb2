"""Known vendors: presets that know what an API is really like, laid beneath the user's own keys.

A preset is `presets/<vendor>.yaml`: a partial source with the parameters that it needs of the user, its streams, and what a
person must know to use it; for sources that are written by hand, the hosts it is recognised by, and the keys that it
overrules because the documented configuration describes them wrongly, each with the reason that `--validate` prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from flicker_dagster.readers import ready

GENERIC = "generic"

#: Beside the presets: vendors that have none, and why.
_LEFT_OUT = "left_out.yaml"


class Param(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a preset has to be told: `${param:NAME}` in its texts stands for it. Required where it has no default and is not
    `optional`: without such a one that is not given, the header, parameter, field or item that is nothing else is left out.

    `pattern` is a regular expression that the whole of it matches; of secrets only the variable's name is known."""

    description: str
    example: str = ""
    pattern: str | None = None
    default: Any = None
    secret: bool = False
    optional: bool = False

    @property
    def required(self) -> bool:
        """Whether it has to be given."""
        return self.default is None and not self.optional


class PresetStream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One listing of a vendor. `usual` ones are collected where the user names none."""

    title: str
    source: dict[str, Any] = {}
    usual: bool = True


@ready
class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a vendor's API. `source` holds keys of a source that all streams share; `overrules` maps dotted
    keys to reasons."""

    vendor: str
    title: str
    docs: str
    source: dict[str, Any]
    #: The API's hosts, for what is said of sources that are written by hand.
    hosts: list[str] = []
    #: Is the preset laid beneath a source by hand whose endpoint is on one of these hosts, without being named?
    by_host: bool = False
    kinds: list[str] = []
    overrules: dict[str, str] = {}
    params: dict[str, Param] = {}
    #: Other ways to sign than `source.auth`: the first is used whose parameters are all given, where those of
    #: `source.auth` are not.
    other_auth: list[dict[str, Any]] = []
    streams: dict[str, PresetStream] = {}
    #: The stream that a source is which names none, under its own name; without it such a source has all usual ones.
    alone: str | None = None
    #: For a person, in Markdown: what to create at the vendor, step by step; the least rights; limits; what comes how late.
    create: str = ""
    rights: list[str] = []
    limits: str = ""
    lag: str = ""
    notes: list[str] = []
    #: What hand-written sources on these hosts get wrong: dotted key of a source, or "" for any, to what is said.
    traps: dict[str, str] = {}
    #: How to complete a query the user wrote, where it is a language (`soql`).
    completes: str | None = None


class Presets(Mapping[str, Preset]):
    """All presets by vendor. Each is read when it is first asked for: a configuration names a few of many."""

    def __init__(self) -> None:
        folder = resources.files("flicker_dagster.config") / "presets"
        files = {file.name[: -len(_ENDING)]: file for file in folder.iterdir() if file.name.endswith(_ENDING)}
        files.pop(_LEFT_OUT[: -len(_ENDING)], None)
        self._files = dict(sorted(files.items()))
        self._read: dict[str, Preset] = {}

    def __getitem__(self, vendor: str) -> Preset:
        found = self._read.get(vendor)
        if found is None:
            text = self._files[vendor].read_text(encoding="utf-8")
            found = self._read[vendor] = msgspec.convert(yaml.load(text, Loader=_LOADER), Preset)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def by_host(self) -> list[Preset]:
        """Those that are laid beneath sources by hand: found without reading the others as YAML."""
        return [self[name] for name, file in self._files.items() if _BY_HOST in file.read_bytes()]


_ENDING = ".yaml"
_BY_HOST = b"\nby_host: true\n"

#: PyYAML's own in C is safe as well, and ten times as fast; not every build has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def presets() -> Presets:
    """All presets by vendor."""
    return Presets()


@cache
def left_out() -> dict[str, str]:
    """Vendors that have no preset, as people call them, each with why and what to do instead."""
    file = resources.files("flicker_dagster.config") / "presets" / _LEFT_OUT
    return msgspec.convert(yaml.safe_load(file.read_text(encoding="utf-8")), dict[str, str])


def preset_of(vendor: str | None) -> Preset | None:
    """The preset that a loaded source of this vendor was built on."""
    return presets().get(vendor or GENERIC)


def recognise(raw: dict[str, Any]) -> Preset | None:
    """The preset for a source as the user wrote it: by `vendor`, else by the endpoint's host."""
    vendor = raw.get("vendor")
    if isinstance(vendor, str):
        return presets().get(vendor)
    endpoint = raw.get("endpoint")
    host = _host(endpoint) if isinstance(endpoint, str) else ""
    if not host:
        return None
    return next((p for p in presets().by_host() if any(fnmatch(host, pattern) for pattern in p.hosts)), None)


def presets_at_host(endpoint: str) -> list[Preset]:
    """The presets whose API is on the endpoint's host, whether or not they are laid beneath sources by hand."""
    host = _host(endpoint)
    return [p for p in presets().values() if host and any(fnmatch(host, pattern) for pattern in p.hosts)]


def _host(endpoint: str) -> str:
    """The endpoint's host; empty where it is none, or only a variable knows it."""
    try:
        return urlsplit(endpoint).hostname or ""
    except ValueError:  # such as an unclosed bracket
        return ""
