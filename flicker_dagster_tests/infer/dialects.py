"""Questions to simulated vendors as a person copies them out of a documentation, and what is true of each."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flicker_dagster.simulator.dialects import dialect
from flicker_dagster.times import rfc3339_ms


@dataclass(frozen=True)
class Dialect:
    """`path` may hold {iso}, {isos} (to the second), {unix} and {now}; `true` are keys of a source."""

    vendor: str
    path: str
    headers: Callable[[dict[str, str]], dict[str, str]]
    true: dict[str, Any]
    body: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    def question(self, start_ms: int, now_ms: int) -> str:
        return self.path.format(
            iso=rfc3339_ms(start_ms),
            isos=f"{rfc3339_ms(start_ms)[:19]}Z",
            unix=start_ms // 1000,
            now=f"{rfc3339_ms(now_ms)[:19]}Z",
        )

    def asked_headers(self) -> dict[str, str]:
        return self.headers(dialect(self.vendor).params)


def _true(array: str, event_id: str, at: str, fmt: str, order: str, **paging: Any) -> dict[str, Any]:
    return {
        "results_field": array,
        "id_field": event_id,
        "timestamp_field": at,
        "timestamp_format": fmt,
        "order": order,
        "paging": paging,
    }


def _basic(user: str, word: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{word}'.encode()).decode()}"


def _by_cursor(following: str) -> dict[str, Any]:
    """Pages by a cursor that the answer gives at this place."""
    return {"limit": {"at": "limit"}, "cursor": {"at": "cursor"}, "following": {"at": following}}


def _since(name: str, fmt: str) -> dict[str, Any]:
    """The start of what is asked for: a parameter of this name, spelled so."""
    return {"request": {"start": {"at": name}}, "time_filter_format": fmt}


def _bearer(name: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda params: {"Authorization": f"Bearer {params[name]}"}


LINK = {"of": "link", "at": "next", "gives": "url"}

DIALECTS = (
    Dialect(
        "okta",
        "/api/v1/logs?limit=5&sortOrder=ASCENDING&since={iso}",
        lambda _: {"Authorization": "SSWS any-token-will-do"},
        _true("", "uuid", "published", "iso8601", "ascending", limit={"at": "limit"}, following=LINK)
        | _since("since", "rfc3339"),
    ),
    Dialect(
        "github",
        "/orgs/acme/audit-log?per_page=5&phrase=created:%3E={isos}",
        lambda params: {"Authorization": f"Bearer {params['token']}", "X-GitHub-Api-Version": "2022-11-28"},
        _true("", "_document_id", "@timestamp", "unix_ms", "descending", limit={"at": "per_page"}, following=LINK)
        | {"query_params": {"phrase": "created:>={start}"}, "time_filter_format": "%Y-%m-%dT%H:%M:%SZ"},
    ),
    Dialect(
        "slack",
        "/audit/v1/logs?limit=5&oldest={unix}",
        _bearer("token"),
        _true("entries", "id", "date_create", "unix", "descending", **_by_cursor("response_metadata.next_cursor"))
        | _since("oldest", "unix"),
    ),
    Dialect(
        "pagerduty",
        "/audit/records?limit=5&since={iso}",
        lambda params: {
            "Authorization": f"Token token={params['api_key']}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        },
        _true("records", "id", "execution_time", "iso8601", "descending", **_by_cursor("next_cursor"))
        | _since("since", "rfc3339"),
    ),
    Dialect(
        "stripe",
        "/v1/events?limit=5&created[gte]={unix}",
        _bearer("api_key"),
        _true("data", "id", "created", "unix", "descending", limit={"at": "limit"}, cursor={"at": "starting_after"},
              following={"of": "row", "at": "id"}, more={"at": "has_more"})
        | _since("created[gte]", "unix"),
    ),
    Dialect(
        "sentinelone",
        "/web/api/v2.1/activities?limit=5&createdAt__gte={iso}",
        lambda params: {"Authorization": f"ApiToken {params['token']}"},
        _true("data", "id", "createdAt", "iso8601", "descending", **_by_cursor("pagination.nextCursor"))
        | _since("createdAt__gte", "rfc3339"),
    ),
    Dialect(
        "datadog",
        "/api/v2/audit/events?page[limit]=5&filter[from]={iso}",
        lambda params: {"DD-API-KEY": params["api_key"], "DD-APPLICATION-KEY": params["application_key"]},
        _true("data", "id", "attributes.timestamp", "iso8601", "descending", limit={"at": "page[limit]"},
              following={"at": "links.next", "gives": "url"})
        | _since("filter[from]", "rfc3339"),
    ),
    Dialect(
        "zendesk",
        "/api/v2/audit_logs.json?page[size]=5&sort=created_at"
        "&filter[created_at][]={isos}&filter[created_at][]={now}",
        lambda params: {"Authorization": _basic(f"{params['email']}/token", params["api_token"])},
        _true("audit_logs", "id", "created_at", "iso8601", "ascending", limit={"at": "page[size]"},
              following={"at": "links.next", "gives": "url"})
        | {"query_params": {"sort": "created_at", "filter[created_at][]": ["{start}", "{end}"]}},
    ),
)  # fmt: skip
