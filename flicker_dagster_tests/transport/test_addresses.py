"""Where a link leads is decided by the parser that connects; what leads elsewhere, or could be read so, is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from flicker_dagster.transport.addresses import MAX_LINK_CHARS, BadAddress, Origin, follow, origin_of, target_of

BASE = "https://api.vendor.test/v1/logs?limit=2"


@pytest.mark.parametrize(
    ("link", "followed"),
    [
        ("https://api.vendor.test/v1/logs?after=%2fA+b", "https://api.vendor.test/v1/logs?after=%2fA+b"),
        ("HTTPS://API.VENDOR.TEST:443/x", "https://api.vendor.test/x"),
        ("//api.vendor.test/x?y", "https://api.vendor.test/x?y"),
        ("/x//y/../z?a=b?c", "https://api.vendor.test/x//y/../z?a=b?c"),  # what is absolute stays as it is spelt
        ("?after=2", "https://api.vendor.test/v1/logs?after=2"),
        ("more?after=2", "https://api.vendor.test/v1/more?after=2"),
        ("../more", "https://api.vendor.test/more"),
        ("../../../more", "https://api.vendor.test/more"),
        ("./", "https://api.vendor.test/v1/"),
        ("https://api.vendor.test", "https://api.vendor.test/"),
        ("https://api.vendor.test?after=2#f", "https://api.vendor.test/?after=2"),
        ("/x?next=https://evil.test/", "https://api.vendor.test/x?next=https://evil.test/"),
    ],
)
def test_a_link_adds_path_and_query_to_the_origin(link: str, followed: str) -> None:
    assert follow(link, BASE) == followed


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("https://evil.test/x", "another host (https://evil.test), expected https://api.vendor.test"),
        ("//evil.test/x", "another host"),
        ("http://api.vendor.test/x", "another host (http://api.vendor.test)"),
        ("https://api.vendor.test:8443/x", "another host (https://api.vendor.test:8443)"),
        ("https://api.vendor.test./x", "another host"),
        ("https://api.vendor.test.evil.test/", "another host"),
        ("https://evil.test\\@api.vendor.test/x", "backslash"),
        ("/\\evil.test/x", "backslash"),
        ("https://api.vendor.test@evil.test/", "user or password"),
        ("https://evil.test@api.vendor.test/", "user or password"),
        ("https://@api.vendor.test/", "user or password"),
        ("https://api.vendor.test/\tx", "control characters"),
        ("https://evil.test\n.api.vendor.test/", "control characters"),
        (" https://api.vendor.test/x", "white space"),
        ("/x\u2028y", "white space"),
        ("/x\x00y", "control characters"),
        ("https:/evil.test/x", "no host"),
        ("https:evil.test/x", "no host"),
        ("https:///evil.test/x", "no host"),
        ("///evil.test/x", "empty host"),
        ("ftp://api.vendor.test/x", "scheme 'ftp'"),
        ("javascript:alert(1)", "scheme 'javascript'"),
        ("https://api.vendor.test:s3cret/x", "cannot be read"),
        ("https://api.vendor.test:0/x", "port 0"),
        ("https://api.vendor.test:65536/x", "cannot be read"),
        ("https://api.vendor.test:99999999999/x", "cannot be read"),
        ("https://[::1/x", "cannot be read"),
        ("https://[fe80::1%25lo]/x", "another host"),
        ("https://api.vendor.test%2f@evil.test/", "user or password"),
        ("https://api%00.vendor.test/", "cannot be read"),
        ("/" + "x" * MAX_LINK_CHARS, "65537 characters long"),
    ],
)
def test_a_link_that_leads_elsewhere_or_could_is_refused_in_words(link: str, why: str) -> None:
    with pytest.raises(BadAddress) as caught:
        follow(link, BASE)
    assert why in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_origin_has_its_usual_port_where_none_is_named() -> None:
    assert origin_of("https://Api.Vendor.Test/x") == Origin("https", "api.vendor.test", 443)
    assert origin_of("http://[::1]:8080") == Origin("http", "[::1]", 8080)
    assert origin_of("http://bücher.test/").host == "xn--bcher-kva.test"


@pytest.mark.parametrize(
    "url", ["", "api.vendor.test", "http:", "http://", "file:///etc/passwd", "http://a\\@b/", "http://a b/"]
)
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        origin_of(url)


_PARTS = st.one_of(
    st.sampled_from(
        ["http:", "https:", "HTTP:", "/", "//", "\\", "@", ":", "?", "#", ".", "..", ";", "&", "=", "[", "]"]
    ),
    st.sampled_from(["%2f", "%40", "%00", "%5c", "%25lo", "[::1]", "::1", "127.0.0.1", "0x7f.1", "2130706433"]),
    st.sampled_from([":80", ":443", ":0", ":08080", "user:pw@", "api.vendor.test", "evil.test"]),
    st.sampled_from(["\u3002", "\uff0f", "\u2024", "\uff20", "\xad"]),
)
LINKS = st.one_of(
    st.lists(st.one_of(_PARTS, st.text(max_size=3)), max_size=8).map("".join),
    st.text(max_size=40),
    st.lists(_PARTS, max_size=4).map(lambda parts: "".join(["https://", *parts, "api.vendor.test/x"])),
)


@pytest.mark.fuzz
@given(LINKS, st.sampled_from([BASE, "http://127.0.0.1:8080/logs", "http://[::1]/", "https://api.vendor.test"]))
def test_whatever_a_link_says_it_stays_at_the_origin(link: str, base: str) -> None:
    try:
        followed = follow(link, base)
    except BadAddress:
        return
    own, there = parse_url(base), parse_url(followed)
    assert (there.scheme, there.auth, there.host, there.port) == (own.scheme, None, own.host, own.port)
    assert followed.startswith(base[: base.index("/", 8)] if "/" in base[8:] else base)
    target = target_of(followed)
    assert target.startswith("/")
    assert not set(target) & set("\\ \t\r\n#\x00")
    assert follow(followed, base) == followed  # kept and followed again, it is the same
