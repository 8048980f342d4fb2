"""Whatever a request looks like, it reaches Dagster's application only where the rule of the README lets it.

The rule is written here a second time, from what browsers and Dagster do, without the product's own parsers.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster_tests.web.asgi import Asked

pytestmark = pytest.mark.fuzz

ALLOWED = "flicker.example.com"
NAMES = [
    "localhost",
    "127.0.0.1",
    "127.9.9.9",
    "[::1]",
    ALLOWED,
    "evil.example",
    "10.0.0.5",
    "localhost.evil.example",
    "",
]
PORTS = ["", ":3000", ":443", ":80", ":8443", ":", ":0", ":x"]
NOISE = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=12)
AUTHORITIES = st.builds(lambda n, p: n + p, st.sampled_from(NAMES), st.sampled_from(PORTS))
HOSTS = AUTHORITIES | st.builds(lambda a, b: a + b, AUTHORITIES, NOISE) | NOISE
ORIGINS = (
    st.builds(lambda s, h: f"{s}://{h}", st.sampled_from(["http", "https", "ftp", "file"]), HOSTS)
    | st.sampled_from(["null", "", "http://localhost:3000", "https://flicker.example.com"])
    | NOISE
)
TYPES = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-8",
        "text/plain",
        "multipart/form-data",
        "application/graphql",
        "",
    ]
) | st.builds(lambda a, b: a + b, st.just("application/json"), NOISE)
SITES = st.sampled_from(["same-origin", "none", "cross-site", "same-site"]) | NOISE
PATHS = st.sampled_from(
    [
        "/",
        "/graphql",
        "/assets/a",
        "/logs/a.out",
        "/report_asset_check/a",
        "/graphql/",
        "//graphql",
        "http://localhost/",
    ]
) | st.builds(lambda text: f"/{text}", NOISE)
MODES = st.sampled_from(["navigate", "cors", "no-cors", "websocket"])
DESTS = st.sampled_from(["document", "iframe", "image", "empty"])


def maybe(name: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, str]]]:
    """The header not at all, once, and now and then twice."""
    return st.lists(values, max_size=2).map(lambda found: [(name, value) for value in found])


HEADERS = st.tuples(
    maybe("Host", HOSTS),
    maybe("Origin", ORIGINS),
    maybe("Content-Type", TYPES),
    maybe("Sec-Fetch-Site", SITES),
    maybe("Sec-Fetch-Mode", MODES),
    maybe("Sec-Fetch-Dest", DESTS),
    maybe("X-Forwarded-Host", AUTHORITIES),
    maybe("Accept", st.sampled_from(["text/html", "*/*"])),
).map(lambda parts: [pair for part in parts for pair in part])

#: Headers of a request that has a chance: one Host that is ours, and the rest at random.
LIKELY = st.tuples(st.sampled_from(["localhost:3000", "127.0.0.1", ALLOWED]), HEADERS).map(
    lambda both: [("Host", both[0]), *(pair for pair in both[1] if pair[0] != "Host")]
)


@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"]),
    path=PATHS,
    query=st.sampled_from(["", "query={version}", "query=mutation{x}"]),
    headers=HEADERS | LIKELY,
    socket=st.booleans(),
)
def test_nothing_reaches_dagster_but_what_the_rule_lets_through(
    method: str, path: str, query: str, headers: list[tuple[str, str]], socket: bool
) -> None:
    asked = Asked(allowed=(ALLOWED,))
    answer = asked.ask(method, path, headers, query=query, body=b'{"query": "{version}"}', socket=socket)
    reached = bool(asked.inner.reached)
    assert reached == _may(method, path, query, headers, socket=socket)
    if not reached:
        assert answer.status >= 400
        assert not socket or answer.status == 403


def _may(method: str, path: str, query: str, headers: list[tuple[str, str]], *, socket: bool) -> bool:
    def all_of(name: str) -> list[str]:
        return [value for key, value in headers if key == name]

    hosts, origins, types = all_of("Host"), all_of("Origin"), all_of("Content-Type")
    site, mode, dest = all_of("Sec-Fetch-Site"), all_of("Sec-Fetch-Mode"), all_of("Sec-Fetch-Dest")
    if len(hosts) != 1 or any(len(found) > 1 for found in (origins, types, site, mode, dest)):
        return False
    if path in ("/healthz", "/readyz") and not socket:
        return False
    name = re.sub(r":[1-9][0-9]{0,4}$", "", hosts[0])
    if hosts[0] != name and int(hosts[0].rpartition(":")[2]) > 65535:
        return False
    own = name.removesuffix(".").lower()
    if own not in {"localhost", "[::1]", ALLOWED} and not (
        re.fullmatch(r"127(\.(0|[1-9][0-9]{0,2})){3}", own) and max(map(int, own.split("."))) < 256
    ):
        return False
    if origins and not _same(origins[0], hosts[0]):
        return False
    foreign = bool(site) and site[0] not in ("same-origin", "none")
    if socket:
        return path == "/graphql" and not foreign
    if not path.startswith("/"):
        return False
    if foreign:
        data = ("/graphql", "/logs/", "/report_", "/notebook", "/dagit", "/download_debug/", "/server_info")
        link = mode == ["navigate"] and dest == ["document"] and not origins and not path.startswith(data)
        if not link or method not in ("GET", "HEAD"):
            return False
    if method == "POST":
        json = types and re.fullmatch(
            r'application/json([ \t]*;[ \t]*charset=("utf-8"|utf-8))?', types[0].strip(" \t"), re.I
        )
        return bool(json) and (path == "/graphql" or path.startswith("/report_asset_check/"))
    if path == "/graphql":
        return method == "GET" and not query and any("text/html" in value for value in all_of("Accept"))
    return method in ("GET", "HEAD")


def _same(origin: str, host: str) -> bool:
    """By the standard library's parser, on text that it reads as browsers write it."""
    if not re.fullmatch(r"https?://[A-Za-z0-9.:_\[\]-]+", origin) or not re.fullmatch(r"[A-Za-z0-9.:_\[\]-]+", host):
        return False
    try:
        one, other = urlsplit(origin), urlsplit(f"//{host}")
        ports = one.port, other.port
    except ValueError:
        return False
    if 0 in ports or origin.endswith(":"):
        return False
    default = {"http": 80, "https": 443}[one.scheme]
    names = [(each.hostname or "").removesuffix(".") for each in (one, other)]
    return names[0] == names[1] and (ports[0] or default) == (ports[1] or default)
