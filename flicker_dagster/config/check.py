"""What types cannot say: keys that contradict each other, values that mean nothing, names that collide."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from flicker_dagster.config.explain import Problem, suggestion
from flicker_dagster.config.models import HttpDestination, SourceConfig, Tls
from flicker_dagster.config.secrets import references
from flicker_dagster.errors import FlickerError
from flicker_dagster.times import NAMED_FORMATS, parse_time_ms, start_from_ms

LineOf = Callable[[str], int]

#: Which keys each kind of paging needs (any of a group) and which it cannot use.
_NEEDS = {
    "cursor": [("cursor_param",), ("next_cursor_field",)],
    "page": [("page_param",)],
    "offset": [("offset_param",)],
    "next_url": [("next_url_field",)],
}


def check_source(source: SourceConfig, path: str, line_of: LineOf) -> list[Problem]:
    """Faults of one source."""
    found: list[tuple[str, str]] = []
    found += _name(source)
    found += _url(source.endpoint, "endpoint")
    found += _source_auth(source)
    found += _tls(source.tls, "tls")
    found += _paging(source)
    found += _times(source)
    found += _patterns(source)
    found += _destination(source.destination)
    return [Problem(line_of(f"{path}.{key}"), f"{path}.{key}", what) for key, what in found]


def check_together(sources: list[tuple[str, SourceConfig]], line_of: LineOf) -> list[Problem]:
    """Faults that only show between sources: equal names, and names that Dagster would spell the same."""
    problems: list[Problem] = []
    by_asset: dict[str, tuple[str, SourceConfig]] = {}
    for path, source in sources:
        first_path, first = by_asset.setdefault(source.asset_name.lower(), (path, source))
        if first is source:
            continue
        where = f"{path}.name"
        line = line_of(f"{first_path}.name")
        if first.name == source.name:
            what = f"{source.name!r} is already the name of the source on line {line}, expected a name of its own"
        else:
            what = (
                f"{source.name!r} and {first.name!r} (line {line}) are both {source.asset_name!r} in Dagster, "
                "expected names that differ in letters or digits"
            )
        problems.append(Problem(line_of(where), where, what))
    return problems


def _name(source: SourceConfig) -> list[tuple[str, str]]:
    if not re.search(r"[A-Za-z0-9]", source.name):
        return [("name", f"found {source.name!r}, expected a name with letters or digits")]
    if len(source.name) > 100:
        return [("name", f"found {len(source.name)} characters, expected 100 at most")]
    return []


def _url(template: str, key: str) -> list[tuple[str, str]]:
    if template.startswith("${") or re.match(r"https?://[^/\s]", template):
        return []
    return [(key, f"found {template!r}, expected a URL that begins with https:// or http://")]


def _source_auth(source: SourceConfig) -> list[tuple[str, str]]:
    schemes = [name for name in ("api_key", "basic") if getattr(source, name) is not None]
    if any(name.lower() == "authorization" for name in source.headers):
        schemes.append("headers.Authorization")
    return _one_of(schemes, "")


def _destination(destination: HttpDestination) -> list[tuple[str, str]]:
    schemes = [name for name in ("auth", "api_key", "basic") if getattr(destination, name) is not None]
    if any(name.lower() == "authorization" for name in destination.headers):
        schemes.append("headers.Authorization")
    found = _one_of(schemes, "destination.")
    found += _url(destination.endpoint, "destination.endpoint")
    found += _tls(destination.tls, "destination.tls")
    if destination.require_auth and not schemes:
        found.append(("destination.require_auth", "is true and no auth is configured, expected destination.auth"))
    return found


def _one_of(schemes: list[str], prefix: str) -> list[tuple[str, str]]:
    if len(schemes) < 2:
        return []
    return [(f"{prefix}{schemes[-1]}", f"two ways to authenticate at once ({' and '.join(schemes)}), expected one")]


def _tls(tls: Tls | None, key: str) -> list[tuple[str, str]]:
    if tls is None or bool(tls.cert_path) == bool(tls.key_path):
        return []
    missing = "key_path" if tls.cert_path else "cert_path"
    return [(f"{key}.{missing}", "is missing, expected cert_path and key_path together")]


def _paging(source: SourceConfig) -> list[tuple[str, str]]:
    paging = source.pagination
    if source.pagination.model_fields_set == set():
        return []  # nothing was said of paging: one page is read, as the original does without its parameters
    kind = paging.pagination_type
    return [
        (f"pagination.{group[0]}", f"is missing, expected {' or '.join(group)} with pagination_type {kind}")
        for group in _NEEDS.get(kind, [])
        if not any(getattr(paging, name) for name in group)
    ]


def _times(source: SourceConfig) -> list[tuple[str, str]]:
    found = [
        *_time_format(source.time_filter_format, "time_filter_format"),
        *_time_format(source.timestamp_format, "timestamp_format"),
    ]
    if not references(source.start_from):
        try:
            start_from_ms(source.start_from, 0)
        except FlickerError:
            what = f"found {source.start_from!r}, expected now, an age such as 24h or 7d, or an ISO time"
            found.append(("start_from", what))
    if source.window.start is not None and parse_time_ms(source.window.start) is None:
        found.append(("window.start", f"found {source.window.start!r}, expected an ISO date such as 2026-01-01"))
    return found


def _time_format(fmt: str, key: str) -> list[tuple[str, str]]:
    if fmt in NAMED_FORMATS:
        return []
    if "%" in fmt:
        try:
            datetime(2026, 1, 2).strftime(fmt)
        except ValueError as error:
            return [(key, f"found {fmt!r}, expected a strftime pattern: {error}")]
        return []
    known = ", ".join(NAMED_FORMATS)
    return [(key, f"found {fmt!r}, expected one of {known} or a strftime pattern{suggestion(fmt, NAMED_FORMATS)}")]


def _patterns(source: SourceConfig) -> list[tuple[str, str]]:
    found = []
    for key in ("match_on", "exclude_on"):
        for index, each in enumerate(getattr(source, key)):
            try:
                each.compiled()
            except re.error as error:
                found.append((f"{key}[{index}]", f"found {each.pattern!r}, expected a regular expression: {error}"))
    return found
