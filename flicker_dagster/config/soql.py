"""Completing a SOQL query that a user wrote: the id, the time, the bounds and the order that collecting needs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

import re2

#: RE2, whose time grows with the text only: the three lazy parts in a row take `re` its cube.
_QUERY = re2.compile(
    r"(?is)^\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<object>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>.+?))?(?:\s+LIMIT\s+\d+)?\s*$"
)


def complete(raw: dict[str, Any]) -> str | None:
    """Complete the query of a source, in place; answers what is wrong with it, or None.

    The query may stand in the endpoint (`?q=SELECT …`, as the documentation has it) or in `query_params.q`.
    """
    query = _taken_from_endpoint(raw)
    if query is None:
        params = raw.get("query_params")
        query = params.get("q") if isinstance(params, dict) else None
        if not isinstance(query, str):
            return None
    matched = _QUERY.match(query)
    if matched is None:
        return f"{query!r} is no SOQL query of the form SELECT … FROM … [WHERE …] [ORDER BY …]"
    found: dict[str, Any] = matched.groupdict()
    time = raw.get("timestamp_field", "CreatedDate")
    time = time[0] if isinstance(time, list) and time else time
    if not isinstance(time, str) or not isinstance(raw.get("query_params") or {}, dict):
        return None  # no path, or no parameters: the models tell of it
    if found["where"] and "{start}" not in found["where"]:
        return f"the SOQL query has a WHERE without bounds; add: AND {time} >= {{start}} AND {time} <= {{end}}"
    if found["order"] and not re.match(rf"{re.escape(time)}(\s+ASC)?\s*(,|$)", found["order"], re.IGNORECASE):
        return f"the SOQL query is ordered by {found['order']}, expected ORDER BY {time} ASC, or none"
    fields = [field.strip() for field in found["fields"].split(",")]
    fields += [name for name in ("Id", time) if name.lower() not in {field.lower() for field in fields}]
    where = found["where"] or f"{time} >= {{start}} AND {time} <= {{end}}"
    order = found["order"] or f"{time} ASC, Id ASC"
    raw["query_params"] = (raw.get("query_params") or {}) | {
        "q": f"SELECT {', '.join(fields)} FROM {found['object']} WHERE {where} ORDER BY {order}"
    }
    return None


def _taken_from_endpoint(raw: dict[str, Any]) -> str | None:
    """The query of the endpoint, which then stands there no more. The rest stays as written, templates and all."""
    endpoint = raw.get("endpoint")
    if not isinstance(endpoint, str) or "?" not in endpoint:
        return None
    address, _, params = endpoint.partition("?")
    rest = [param for param in params.split("&") if not param.startswith("q=")]
    queries = [unquote_plus(param[2:]) for param in params.split("&") if param.startswith("q=")]
    if not queries:
        return None
    raw["endpoint"] = f"{address}?{'&'.join(rest)}" if rest else address
    return queries[0]
