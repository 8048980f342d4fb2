"""`Link` headers (RFC 8288): URLs by relation."""

from __future__ import annotations

import re

#: One parameter of a link, from where the last one ended. No part of a line is looked at more than a few times.
_PARAMETER = re.compile(r"\s*;\s*([^,;\s=]+)\s*=\s*(?:\"([^\"]*)\"|([^\",;\s]*))")


def links_of(lines: list[str], *, meaning: str | None = None) -> dict[str, str]:
    """URLs by relation, from `Link` headers repeated or joined by commas. With `meaning` only links that have this parameter,
    such as `results=true`, or `results` with any value, whatever else they have."""
    found: dict[str, str] = {}
    for line in lines:
        at = 0
        while (start := line.find("<", at)) >= 0 and (end := line.find(">", start)) >= 0:
            params, at = _parameters(line, end + 1)
            name, valued, value = (meaning or "").partition("=")
            if meaning is not None and (name not in params or (valued and params[name] != value)):
                continue
            for each in params.get("rel", "").lower().split():
                found.setdefault(each, line[start + 1 : end])
    return found


def _parameters(line: str, at: int) -> tuple[dict[str, str], int]:
    """The parameters of the link that ends at `at`, by name in lower case, and where they end."""
    params: dict[str, str] = {}
    while (parameter := _PARAMETER.match(line, at)) is not None:
        name, quoted, bare = parameter.groups()
        params.setdefault(name.lower(), quoted or bare)  # what is repeated does not count
        at = parameter.end()
    return params, at
