"""Headers and parameters of the configuration, in every vendor's spelling; rotated ones are read again."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from flicker_dagster.config.auth import Auth
from flicker_dagster.transport.exchange import Answer, Authenticator, Request
from flicker_dagster_tests.transport.minting import Clock, opened

REFUSED = Answer(401, {})
ENV = {"T": "t0ken-value", "A": "key-a", "B": "key-b"}


def of(env: dict[str, str] | None = None, **record: Any) -> Authenticator:
    auth = TypeAdapter(Auth).validate_python(record)
    assert auth.faults() == []
    return opened(auth, clock=Clock(), env=ENV if env is None else env)


@pytest.mark.parametrize(
    ("record", "headers"),
    [
        ({"type": "bearer", "token": "${T}"}, {"Authorization": "Bearer t0ken-value"}),
        ({"type": "bearer", "token": "${T}", "format": "SSWS {token}"}, {"Authorization": "SSWS t0ken-value"}),
        ({"type": "bearer", "token": "${T}", "format": "Token token={token}"}, {"Authorization": "Token token=t0ken-value"}),
        ({"type": "bearer", "token": "${T}", "format": "bearer:{token}"}, {"Authorization": "bearer:t0ken-value"}),
        ({"type": "bearer", "token": "${T}", "format": "{token}"}, {"Authorization": "t0ken-value"}),
        ({"type": "bearer", "token": "${T}", "header": "PRIVATE-TOKEN", "format": "{token}"}, {"PRIVATE-TOKEN": "t0ken-value"}),
        ({"type": "headers", "headers": {"DD-API-KEY": "${A}", "DD-APPLICATION-KEY": "${B}"}},
         {"DD-API-KEY": "key-a", "DD-APPLICATION-KEY": "key-b"}),
        ({"type": "header", "name": "x-api-key", "value": "${A}"}, {"x-api-key": "key-a"}),
        ({"type": "basic", "username": "me@acme.test/token", "password": "${T}"},
         {"Authorization": "Basic " + base64.b64encode(b"me@acme.test/token:t0ken-value").decode()}),
        ({"type": "basic", "username": "${T}"}, {"Authorization": "Basic " + base64.b64encode(b"t0ken-value:").decode()}),
    ],
)  # fmt: skip
def test_headers_are_as_vendors_want_them(record: dict[str, Any], headers: dict[str, str]) -> None:
    signed = of(**record).sign(Request("GET", "https://a.example/", {"Accept": "x"}))
    assert signed.headers == {"Accept": "x", **headers}


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://a.example/x", "https://a.example/x?api_token=t0ken%2Fval%3D"),
        ("https://a.example/x?", "https://a.example/x?api_token=t0ken%2Fval%3D"),
        ("https://a.example/x?b=%2F&c", "https://a.example/x?b=%2F&c&api_token=t0ken%2Fval%3D"),
        ("https://a.example/x?api%5Ftoken=old&b=1#part", "https://a.example/x?b=1&api_token=t0ken%2Fval%3D"),
    ],
)
def test_a_parameter_stands_in_the_address_once(url: str, signed: str) -> None:
    auth = of({"T": "t0ken/val="}, type="query", name="api_token", value="${T}")
    assert auth.sign(Request("GET", url)).url == signed


def test_a_token_that_holds_a_placeholder_is_sent_as_it_is() -> None:
    signed = of({"T": "{token}${A}$$"}, type="bearer", token="${T}").sign(Request("GET", "https://a.example/"))
    assert signed.headers["Authorization"] == "Bearer {token}${A}$$"


@pytest.mark.parametrize(
    "record",
    [
        {"type": "bearer", "token": "${file:PATH}"},
        {"type": "header", "name": "X", "value": "${file:PATH}"},
        {"type": "query", "name": "x", "value": "${file:PATH}"},
        {"type": "hmac", "secret": "${file:PATH}", "header": "X"},
        {"type": "basic", "username": "me", "password": "${file:PATH}"},
    ],
)
def test_a_rotated_secret_is_read_again_after_a_refusal(tmp_path: Path, record: dict[str, str]) -> None:
    path = tmp_path / "secret"
    path.write_text("first-secret")
    auth = of(ENV, **{key: text.replace("PATH", str(path)) for key, text in record.items()})
    request = Request("GET", "https://a.example/", body=b"x")
    before = auth.sign(request)
    assert not auth.renew(REFUSED), "nothing is new"
    path.write_text("second-secret")
    assert auth.sign(request) == before, "it is read again where it is refused"
    assert auth.renew(REFUSED)
    assert auth.sign(request) != before
    path.unlink()
    assert not auth.renew(REFUSED)


def test_what_was_rotated_is_masked(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("first-secret")
    auth = of(type="bearer", token=f"${{file:{path}}}")
    assert auth.secrets() == ()
    path.write_text("second-secret")
    auth.renew(REFUSED)
    assert "second-secret" in auth.secrets()


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ({"type": "bearer", "token": "x", "format": "Bearer"}, "format"),
        ({"type": "bearer", "token": "x", "format": "{token} {tokne}"}, "format"),
    ],
)
def test_a_format_that_says_nothing_is_a_fault(record: dict[str, str], fault: str) -> None:
    assert [key for key, _ in TypeAdapter(Auth).validate_python(record).faults()] == [fault]
