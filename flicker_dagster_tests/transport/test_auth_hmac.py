"""A keyed hash over a declared text: vendors' canonical forms, computed here by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.auth.hmac import HmacAuth
from flicker_dagster.transport.exchange import Answer, Request
from flicker_dagster_tests.transport.minting import Clock, opened

CLOCK = Clock(1_790_000_000.25)
IKEY, SKEY = "DIWJ8X6AEYOR5OMC6TQ1", "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep"
DATE_2822 = formatdate(CLOCK.now_s)

DUO_2 = {
    "username": "${IKEY}",
    "secret": "${SKEY}",
    "algorithm": "sha1",
    "date_format": "rfc2822",
    "lines": ["{date}", "{method}", "{host}", "{path}", "{params}"],
    "headers": {"Date": "{date}", "Authorization": "Basic {basic}"},
}
DUO_5 = DUO_2 | {
    "algorithm": "sha512",
    "lines": [*DUO_2["lines"], "{body_sha512}", hashlib.sha512(b"").hexdigest()],
}


def signed(record: dict[str, Any], request: Request) -> dict[str, str]:
    auth = HmacAuth(type="hmac", **record)
    assert auth.faults() == []
    return opened(auth, clock=CLOCK, env={"IKEY": IKEY, "SKEY": SKEY, "APP": "app-1"}).sign(request).headers


def basic(signature: str) -> str:
    return "Basic " + base64.b64encode(f"{IKEY}:{signature}".encode()).decode()


def test_duo_signature_2() -> None:
    request = Request(
        "GET", "https://API-XXXX.duosecurity.com/admin/v2/logs/authentication?sort=ts%3Aasc&mintime=1&a=b+c~"
    )
    canonical = "\n".join(
        [
            DATE_2822,
            "GET",
            "api-xxxx.duosecurity.com",
            "/admin/v2/logs/authentication",
            "a=b%20c~&mintime=1&sort=ts%3Aasc",
        ]
    )
    digest = hmac.new(SKEY.encode(), canonical.encode(), hashlib.sha1).hexdigest()
    assert signed(DUO_2, request) == {"Date": DATE_2822, "Authorization": basic(digest)}
    assert DATE_2822.endswith("-0000")


def test_duo_signature_5_of_a_body() -> None:
    request = Request("POST", "https://api-1.example:8443/admin/v1/x", body=b'{"b":1}')
    canonical = "\n".join(
        [
            DATE_2822,
            "POST",
            "api-1.example:8443",
            "/admin/v1/x",
            "",
            hashlib.sha512(b'{"b":1}').hexdigest(),
            hashlib.sha512(b"").hexdigest(),
        ]
    )
    digest = hmac.new(SKEY.encode(), canonical.encode(), hashlib.sha512).hexdigest()
    assert signed(DUO_5, request)["Authorization"] == basic(digest)


def test_parameters_of_a_form_count() -> None:
    form = Request(
        "POST",
        "https://a.example/x?b=2",
        {"Content-Type": "application/x-www-form-urlencoded"},
        b"a=1&b=1&%C3%BC=%2B",
    )
    record = {"secret": "x", "lines": ["{params}"], "header": "X", "algorithm": "sha256"}
    expected = hmac.new(b"x", b"%C3%BC=%2B&a=1&b=1&b=2", hashlib.sha256).hexdigest()
    assert signed(record, form)["X"] == expected


def test_mimecast_1() -> None:
    key = base64.b64encode(b"\x00\xffsecret key").decode()
    record = {
        "username": "access-key",
        "secret": key,
        "key_encoding": "base64",
        "algorithm": "sha1",
        "encoding": "base64",
        "lines": ["{date}:{uuid}:{path}:${APP}"],
        "headers": {"x-mc-date": "{date}", "x-mc-req-id": "{uuid}", "Authorization": "MC {username}:{signature}"},
    }
    request = Request("POST", "https://eu-api.mimecast.com/api/audit/get-audit-events", body=b"{}")
    first, second = signed(record, request), signed(record, request)
    assert first["x-mc-req-id"] != second["x-mc-req-id"]
    date, number = first["x-mc-date"], first["x-mc-req-id"]
    assert date == formatdate(CLOCK.now_s, usegmt=True)
    text = f"{date}:{number}:/api/audit/get-audit-events:app-1"
    digest = base64.b64encode(hmac.new(b"\x00\xffsecret key", text.encode(), hashlib.sha1).digest()).decode()
    assert first["Authorization"] == f"MC access-key:{digest}"


@given(body=st.binary(max_size=64), prefix=st.sampled_from(["", "sha256=", "$${X}{body}"]))
def test_the_body_is_hashed_as_it_is_sent(body: bytes, prefix: str) -> None:
    record = {"secret": "secret-1", "header": "X-Signature", "prefix": prefix}
    digest = hmac.new(b"secret-1", body, hashlib.sha256).hexdigest()
    request = Request("POST", "https://a.example/", body=body)
    assert signed(record, request) == {"X-Signature": prefix + digest}
    assert signed(record | {"lines": ["{body}", "{method}"]}, request) == {
        "X-Signature": prefix + hmac.new(b"secret-1", body + b"\nPOST", hashlib.sha256).hexdigest()
    }


@given(pairs=st.lists(st.tuples(st.text(min_size=1, max_size=6), st.text(max_size=6)), max_size=5))
def test_parameters_are_the_same_text_however_they_were_spelt(pairs: list[tuple[str, str]]) -> None:
    def text(spelt: str) -> str:
        return quote(spelt, safe="", errors="replace")

    record = {"secret": "x", "lines": ["{params}"], "header": "X"}
    one = Request("GET", "https://a.example/?" + "&".join(f"{text(name)}={text(value)}" for name, value in pairs))
    other = Request(
        "GET",
        "https://a.example/?"
        + "&".join(f"{text(name).lower()}={text(value).replace('%20', '+')}" for name, value in reversed(pairs)),
    )
    if all(name.lower() == name for name, _ in pairs):
        assert signed(record, one) == signed(record, other)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("unix", "1790000000"),
        ("unix_ms", "1790000000250"),
        ("iso8601", "2026-09-21T14:13:20.250Z"),
        ("%Y%m%dT%H%M%SZ", "20260921T141320Z"),
        ("http", "Mon, 21 Sep 2026 14:13:20 GMT"),
    ],
)
def test_a_date_is_written_as_declared(form: str, text: str) -> None:
    record = {"secret": "x", "date_format": form, "headers": {"D": "{date}", "S": "{signature}"}}
    assert signed(record, Request("GET", "https://a.example/"))["D"] == text


def test_a_value_is_never_read_as_a_template() -> None:
    auth = HmacAuth(type="hmac", secret="x", lines=["${ODD}", "{path}"], header="X")
    env = {"ODD": "{date}${SKEY}"}
    request = Request("GET", "https://a.example/%7Bdate%7D/${SKEY}{date}")
    expected = hmac.new(b"x", b"{date}${SKEY}\n/%7Bdate%7D/${SKEY}{date}", hashlib.sha256).hexdigest()
    assert opened(auth, clock=CLOCK, env=env).sign(request).headers["X"] == expected


def test_a_clock_that_is_wrong_is_told() -> None:
    auth = opened(HmacAuth(type="hmac", **DUO_2), clock=CLOCK, env={"IKEY": IKEY, "SKEY": SKEY})
    refused = Answer(401, {"date": formatdate(CLOCK.now_s + 600, usegmt=True)})
    assert auth.explain(refused) == "this machine's clock is 599 s behind the server's"
    assert auth.explain(Answer(401, {"date": formatdate(CLOCK.now_s, usegmt=True)})) == ""


def test_a_secret_that_is_not_written_so_is_told_without_it() -> None:
    auth = HmacAuth(type="hmac", secret="not base64 !", key_encoding="base64", header="X")
    with pytest.raises(ValueError, match="not written in base64; check key_encoding") as failed:
        opened(auth, clock=CLOCK, env={})
    assert "not base64 !" not in str(failed.value)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({}, "header"),
        ({"header": "X", "headers": {"Y": "{signature}"}}, "header"),
        ({"headers": {"Y": "{date}"}}, "headers"),
        ({"headers": {"Y": "{basic}"}}, "username"),
        ({"header": "X", "lines": ["{dat}"]}, "lines[0]"),
        ({"header": "X", "date_format": "iso"}, "date_format"),
        ({"headers": {"Y": "{signature}"}, "prefix": "a"}, "prefix"),
    ],
)
def test_what_cannot_be_signed_is_a_fault(keys: dict[str, Any], fault: str) -> None:
    assert [key for key, _ in HmacAuth(type="hmac", secret="x", **keys).faults()] == [fault]
