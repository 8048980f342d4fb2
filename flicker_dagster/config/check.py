"""What types cannot say: keys that contradict each other, values that mean nothing, names that collide."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from zoneinfo import available_timezones

from flicker_dagster.config.auth import authorization_headers, two_ways_to_authenticate
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.endpoints import endpoint_fault
from flicker_dagster.config.explain import Problem, suggestion, wanted
from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.models import SourceConfig, asset_name
from flicker_dagster.config.patterns import BadPattern, compiled
from flicker_dagster.config.secrets import references
from flicker_dagster.config.spans import check_paging_fields
from flicker_dagster.config.vocabulary_check import check_vocabulary
from flicker_dagster.errors import FlickerError
from flicker_dagster.times import NAMED_FORMATS, parse_time_ms, start_from_ms, zone_of

#: A lane's name stands in names of files and objects.
LANE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")

LineOf = Callable[[str], int]

#: Which keys each kind of paging needs.
_NEEDS = {
    "cursor": ("cursor_param", "next_cursor_field"),
    "page": ("page_param",),
    "offset": ("offset_param",),
    "next_url": ("next_url_field",),
}


def check_source(source: SourceConfig, path: str, line_of: LineOf) -> list[Problem]:
    """Faults of one source. Those of its destination are `check_destination`'s."""
    found: list[tuple[str, str]] = []
    found += _name(source)
    found += _url(source.endpoint, "endpoint")
    found += _source_auth(source)
    found += [] if source.tls is None else [(f"tls.{key}", what) for key, what in source.tls.faults()]
    found += [(f"rate_limit.{key}", what) for key, what in source.rate_limit.faults()]
    found += _paging(source)
    found += check_paging_fields(source)
    found += check_vocabulary(source)
    found += _times(source)
    found += _patterns(source)
    return _problems(found, path, line_of)


def check_destination(destination: DestinationRecord, path: str, line_of: LineOf) -> list[Problem]:
    """Faults of one destination, of a source or named."""
    return _problems(destination.all_faults(), path, line_of)


def check_lanes(source: SourceConfig, path: str, line_of: LineOf) -> list[Problem]:
    """Faults between the destinations of one source: each is known by its name."""
    if not isinstance(source.destination, list):
        alone = [
            ("destination.required", "is false for the only destination, expected one that the position waits for")
        ]
        return [] if source.destination.required else _problems(alone, path, line_of)
    found: list[tuple[str, str]] = []
    first: dict[str, int] = {}
    for number, record in enumerate(source.destination):
        name = record.lane_name
        if not LANE_NAME.fullmatch(name):
            found.append(
                (f"destination[{number}].name", f"found {name!r}, expected letters, digits, - and _, 40 at most")
            )
        elif name.lower() in first:
            line = line_of(f"{path}.destination[{first[name.lower()]}]")
            found.append(
                (
                    f"destination[{number}]",
                    f"is called {name!r} like the one on line {line}, expected a name of its own: name: …",
                )
            )
        first.setdefault(name.lower(), number)
    if not any(record.required for record in source.destination):
        found.append(("destination", "all have required: false, expected one that the position waits for"))
    return _problems(found, path, line_of)


def check_together(names: list[tuple[str, str]], line_of: LineOf) -> list[Problem]:
    """Faults that only show between sources, given as (path, name): names that are equal or that Dagster would
    spell the same. Upper and lower case count as the same, as they are in some file systems."""
    problems: list[Problem] = []
    by_asset: dict[str, tuple[str, str]] = {}
    for path, name in names:
        first_path, first = by_asset.setdefault(asset_name(name).lower(), (path, name))
        if first_path == path:
            continue
        where = f"{path}.name"
        line = line_of(f"{first_path}.name")
        if first == name:
            what = f"{name!r} is already the name of the source on line {line}, expected a name of its own"
        elif first.lower() == name.lower():
            what = f"{name!r} and {first!r} (line {line}) differ in upper and lower case only, expected another name"
        else:
            what = (
                f"{name!r} and {first!r} (line {line}) are both {asset_name(name)!r} in Dagster, "
                "expected names that differ in letters or digits"
            )
        problems.append(Problem(line_of(where), where, what))
    return problems


def check_renamed(names: list[tuple[str, str]], renamed: list[tuple[str, str]], line_of: LineOf) -> list[Problem]:
    """Faults of `renamed_from`, given as (path, earlier name): state has one heir, and its owner is gone."""
    problems: list[Problem] = []
    configured = {name: path for path, name in names}
    heirs: dict[str, str] = {}
    for path, earlier in renamed:
        where = f"{path}.renamed_from"
        if not earlier.strip():
            problems.append(Problem(line_of(where), where, "is empty, expected the name that the source had before"))
        elif earlier in configured:
            line = line_of(f"{configured[earlier]}.name")
            what = (
                f"{earlier!r} is still the name of the source on line {line}, expected one that is no longer configured"
            )
            problems.append(Problem(line_of(where), where, what))
        elif earlier in heirs:
            line = line_of(f"{heirs[earlier]}.renamed_from")
            what = f"{earlier!r} is taken along by the source on line {line} already, expected it once"
            problems.append(Problem(line_of(where), where, what))
        heirs.setdefault(earlier, path)
    return problems


def _problems(found: list[tuple[str, str]], path: str, line_of: LineOf) -> list[Problem]:
    return [Problem(line_of(f"{path}.{key}"), f"{path}.{key}", what) for key, what in found]


def _name(source: SourceConfig) -> list[tuple[str, str]]:
    if not re.search(r"[A-Za-z0-9]", source.name):
        return [("name", f"found {source.name!r}, expected a name with letters or digits")]
    if len(source.name) > 100:
        return [("name", f"found {len(source.name)} characters, expected 100 at most")]
    return []


def _url(template: str, key: str) -> list[tuple[str, str]]:
    fault = endpoint_fault(template)
    return [] if fault is None else [(key, fault)]


def _source_auth(source: SourceConfig) -> list[tuple[str, str]]:
    own_header = source.api_key_header is not None and source.api_key_header.lower() != "authorization"
    if source.api_key is not None and own_header and source.basic is None:
        return []  # a key in a header of its own may stand beside Authorization, as some gateways want it
    schemes = [name for name in ("api_key", "basic", "auth") if getattr(source, name) is not None]
    return two_ways_to_authenticate(schemes + authorization_headers(source.headers))


def _paging(source: SourceConfig) -> list[tuple[str, str]]:
    paging = source.pagination
    if source.pagination.model_fields_set == set():
        return []  # nothing was said of paging: one page is read, as the original does without its parameters
    kind = paging.pagination_type
    return [
        (
            f"pagination.{key}",
            f"is missing, expected {wanted(Pagination.model_fields[key])} (pagination_type is {kind})",
        )
        for key in _NEEDS.get(kind, ())
        if not getattr(paging, key)
    ]


def _times(source: SourceConfig) -> list[tuple[str, str]]:
    found = [
        *_time_format(source.time_filter_format, "time_filter_format"),
        *_time_format(source.timestamp_format, "timestamp_format"),
    ]
    if source.time_zone is not None:
        try:
            zone_of(source.time_zone)
        except FlickerError:
            hint = suggestion(source.time_zone, sorted(available_timezones()))
            what = f"found {source.time_zone!r}, expected a time zone such as Asia/Tokyo or '+09:00'{hint}"
            found.append(("time_zone", what))
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
            return [(key, f"found {fmt!r}, expected a strftime pattern ({error})")]
        return []
    known = ", ".join(NAMED_FORMATS)
    return [(key, f"found {fmt!r}, expected one of {known} or a strftime pattern{suggestion(fmt, NAMED_FORMATS)}")]


def _patterns(source: SourceConfig) -> list[tuple[str, str]]:
    found = []
    for key in ("match_on", "exclude_on"):
        for index, each in enumerate(getattr(source, key)):
            try:
                compiled(each.pattern)
            except BadPattern as error:
                where = f"{key}[{index}].pattern" if each.field is not None else f"{key}[{index}]"
                found.append((where, f"found {each.pattern!r}, expected a regular expression ({error})"))
    return found
