"""Accounts at vendors, over all sources of a file: in what those of one account must agree, and which look like one account
and do not say so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from flicker_dagster.config.auth.base import MintsToken
from flicker_dagster.config.check import LineOf
from flicker_dagster.config.explain import Problem
from flicker_dagster.config.models import SourceConfig

#: Streams of each source, by its path.
Sources = Mapping[str, Sequence[SourceConfig]]

#: Scheme, host and port, as far as they are written out.
_ORIGIN = re.compile(r"(?:https?://)?(?:\$\{[^}]*\}|[^/?#])*")
_DEFAULT_PORT = re.compile(r"(?<=^https)(://.*):443$|(?<=^http)(://.*):80$")


def check_accounts(sources: Sources, line_of: LineOf) -> list[Problem]:
    """Faults of `account`: by what it names, an account would be two, or two would be one."""
    found: list[Problem] = []
    entries = [(path, streams[0]) for path, streams in sources.items() if streams]
    for path, source in entries:
        faults = [_of_streams(sources[path])]
        faults += [_between(source, other, line_of(f"{at}.name")) for at, other in entries if at != path]
        where = f"{path}.account"
        found += [Problem(line_of(where), where, fault) for fault in faults if fault is not None]
    return found


def alike_notes(sources: Sources) -> list[str]:
    """A line for each source that asks an API with the same credentials as one before it, where it is not said whether they
    are one account."""
    entries = [streams[0] for streams in sources.values() if streams]
    found: dict[str, str] = {}
    for first, second in combinations(entries, 2):
        if first.vendor_key == second.vendor_key or (first.account and second.account):
            continue
        if _likeness(first) is None or _likeness(first) != _likeness(second):
            continue
        says, other = (second, first) if second.account else (first, second)
        words = (
            f"{other.line_of('')}: {other.source_name}: asks {origin_written(other.endpoint)} with the same credentials as "
            f"{says.source_name} ({says.line_of('')}), and each of them mints its own tokens and takes the whole quota for "
            f"itself. If they are one account, write `account: {says.vendor_key}` here; if not, give each an `account`"
        )
        found.setdefault(other.source_name, words)
    return list(found.values())


def _of_streams(streams: Sequence[SourceConfig]) -> str | None:
    names = list(dict.fromkeys(stream.vendor_key for stream in streams))
    if len(names) == 1:
        return None
    return f"differs between streams ({' and '.join(map(repr, names[:2]))}), expected one account for the whole source"


def _between(source: SourceConfig, other: SourceConfig, line: int) -> str | None:
    account = source.account
    if account is None:
        return None
    if account == other.source_name and other.vendor_key != account:
        what = f"is the name of the source on line {line}, whose account is {other.vendor_key!r}"
        return f"{account!r} {what}, expected account: {other.vendor_key}"
    if account in other.earlier_vendor_keys:
        what = f"is what the source on line {line} was called before, whose account is {other.vendor_key!r} now"
        return f"{account!r} {what}, expected account: {other.vendor_key}, or account: {account} over there as well"
    mint = isinstance(source.auth, MintsToken) and isinstance(other.auth, MintsToken)
    if account == other.vendor_key and mint and source.auth != other.auth:
        what = f"is the account of the source on line {line} as well, whose auth is another"
        return f"{account!r} {what}: expected the same auth, or another account"
    return None


def _likeness(source: SourceConfig) -> tuple[Any, ...] | None:
    """What is asked with which credentials, as it is written; None for what is asked without any."""
    headers = {name.lower(): text for name, text in source.headers.items() if name.lower() == "authorization"}
    credentials = (source.auth, source.api_key, source.basic, headers or None)
    known = any(each is not None for each in credentials)
    return (origin_written(source.endpoint), source.connect_to, *credentials) if known else None


def origin_written(endpoint: str) -> str:
    """Scheme, host and port of an endpoint, as far as they are written out."""
    found = _ORIGIN.match(endpoint)
    origin = found[0] if found is not None else endpoint
    return origin if "$" in origin else _DEFAULT_PORT.sub(r"\1\2", origin.lower())
