"""Which requests the web UI answers. Pure: a request's scope in, None or a refusal out.

The UI has no sign-in, and a browser sends whatever any page asks it to. So a request is answered only under a name that
is ours, only from our own pages or from no page at all, and it changes something only where no foreign page could have
written it: as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flicker_dagster.web.hosts import Authority, answers_to, parse_authority, parse_origin

GRAPHQL = "/graphql"

#: What scripts may POST beside GraphQL: events of assets, reported by hand.
#: https://docs.dagster.io/api/rest-apis/external-assets-rest-api
REPORTS = ("/report_asset_materialization/", "/report_asset_check/", "/report_asset_observation/")

#: Paths that answer data rather than a page of the UI: no link on another site needs to open them.
DATA = (GRAPHQL, "/logs/", "/notebook", "/dagit", "/download_debug/", "/server_info", *REPORTS)

#: Told by browsers since 2020-2023: https://www.w3.org/TR/fetch-metadata/
OWN_SITE = (b"same-origin", b"none")

#: Headers that may come once at most, where two readers could each believe another.
ONCE = (b"host", b"origin", b"content-type", b"content-length", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")

_JSON = re.compile(rb'application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?', re.IGNORECASE)
_TOLD_MAX = 100


@dataclass(frozen=True)
class Refusal:
    """`kind` counts refusals of one sort in the log; `text` says what was found and what to do."""

    status: int
    kind: str
    text: str


def refusal(
    scope: Mapping[str, Any], allowed: tuple[Authority, ...] = (), *, read_only: bool = False
) -> Refusal | None:
    """Why an ASGI request or WebSocket is not answered; None if it is."""
    headers: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), []).append(value)
    return (
        _malformed(scope["path"], headers)
        or _foreign_host(headers, allowed)
        or _foreign_page(scope, headers)
        or (_socket(scope["path"]) if scope["type"] == "websocket" else _call(scope, headers, read_only=read_only))
    )


def _malformed(path: str, headers: Mapping[bytes, list[bytes]]) -> Refusal | None:
    if not path.startswith("/"):
        return Refusal(400, "target", f"the request is for {told(path)}; expected a path that begins with /")
    if b"host" not in headers:
        return Refusal(400, "no Host", "the request has no Host header")
    for name in ONCE:
        if len(headers.get(name, ())) > 1:
            return Refusal(400, "repeated header", f"the request has several {name.decode().title()} headers")
    if b"transfer-encoding" in headers and b"content-length" in headers:
        return Refusal(400, "two lengths", "the request has both Transfer-Encoding and Content-Length")
    return None


def _foreign_host(headers: Mapping[bytes, list[bytes]], allowed: tuple[Authority, ...]) -> Refusal | None:
    text = headers[b"host"][0].decode("latin-1")
    host = parse_authority(text)
    if host is None:
        return Refusal(400, "Host", f"the Host header {told(text)} is neither a name nor an address")
    if answers_to(host, allowed):
        return None
    return Refusal(
        403,
        "Host",
        f"the web UI does not answer to the name {host.name}; if that is its address, start Flicker with "
        f"--allow-host {host} (in containers: FLICKER_ALLOW_HOST={host})",
    )


def _foreign_page(scope: Mapping[str, Any], headers: Mapping[bytes, list[bytes]]) -> Refusal | None:
    """A browser says from whose page it asks. What says nothing is no browser, or a GET that changes nothing."""
    host = parse_authority(headers[b"host"][0].decode("latin-1"))
    if b"origin" in headers:
        text = headers[b"origin"][0].decode("latin-1")
        origin = parse_origin(text)
        if origin is None or host is None or not origin.is_at(host):
            return Refusal(
                403,
                "Origin",
                f"a page of {told(text)} asked {host}; only the UI's own pages may. If a proxy stands between them, let "
                "it pass the Host header on as the browser sent it, and name that host with --allow-host",
            )
    site = headers.get(b"sec-fetch-site", [b"none"])[0]
    if site not in OWN_SITE and not _opens_a_page(scope, headers):
        return Refusal(403, "Sec-Fetch-Site", f"a page of another site asked for {told(scope['path'])}")
    return None


def _opens_a_page(scope: Mapping[str, Any], headers: Mapping[bytes, list[bytes]]) -> bool:
    """A link on another site, followed: the page opens as a page of its own, and nothing of it can be read there."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and headers.get(b"sec-fetch-mode") == [b"navigate"]
        and headers.get(b"sec-fetch-dest") == [b"document"]
        and b"origin" not in headers
        and not scope["path"].startswith(DATA)
    )


def _socket(path: str) -> Refusal | None:
    return None if path == GRAPHQL else Refusal(403, "WebSocket", f"no WebSocket is served at {told(path)}")


def _call(scope: Mapping[str, Any], headers: Mapping[bytes, list[bytes]], *, read_only: bool) -> Refusal | None:
    method, path = scope["method"], scope["path"]
    if method in ("GET", "HEAD"):
        if path == GRAPHQL and (method == "HEAD" or scope["query_string"] or not _wants_a_page(headers)):
            return Refusal(405, "GraphQL by GET", 'GraphQL is asked by POST, as JSON: {"query": …, "variables": …}')
        return None
    if method != "POST" or not (path == GRAPHQL or path.startswith(REPORTS)):
        return Refusal(405, "method", f"{told(method)} {told(path)} is not served")
    content_type = headers.get(b"content-type", [b""])[0].strip()
    if not _JSON.fullmatch(content_type):
        return Refusal(
            415,
            "Content-Type",
            f"the Content-Type is {told(content_type.decode('latin-1'))}; expected application/json, in UTF-8",
        )
    if read_only and path.startswith(REPORTS):
        return Refusal(403, "read-only", "this web UI is read-only (--read-only): nothing can be reported through it")
    return None


def _wants_a_page(headers: Mapping[bytes, list[bytes]]) -> bool:
    """The playground, which asks nothing by itself; Dagster serves it by the same words."""
    return any(b"text/html" in value for value in headers.get(b"accept", ()))


def told(text: str) -> str:
    """Foreign text as it may stand in a line: quoted, control characters shown, cut."""
    cut = text if len(text) <= _TOLD_MAX else f"{text[:_TOLD_MAX]}…"
    return ascii(cut)
