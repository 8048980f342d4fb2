"""By which names the web UI answers."""

from __future__ import annotations

import pytest

from flicker_dagster_tests.web.asgi import Asked, host


@pytest.mark.parametrize(
    "name",
    ["localhost", "localhost:3000", "LocalHost:81", "localhost.", "127.0.0.1", "127.0.0.1:3000", "127.8.9.10", "[::1]"],
)
def test_the_ui_answers_to_loopback_names_at_any_port(name: str) -> None:
    assert Asked().ask(headers=[host(name)]).text == "inner"


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "localhost-evil.example",
        "127.0.0.1.evil.example",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0.0.0.0",
        "10.0.0.5",
        "[::]",
        "[::ffff:127.0.0.1]",
        "app.localhost",
        "localhost..",
    ],
)
def test_another_name_is_refused_and_told_how_to_allow_it(name: str) -> None:
    asked = Asked()
    answer = asked.ask(headers=[host(name)])
    assert answer.status in (400, 403)
    assert asked.inner.reached == []
    if answer.status == 403:
        assert "--allow-host" in answer.text
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [host("localhost"), host("localhost")],
        [host("localhost"), host("evil.example")],
        [host("")],
        [host("localhost:")],
        [host("localhost:0")],
        [host("localhost:99999")],
        [host("localhost:3000:3000")],
        [host("localhost, evil.example")],
        [host("user@localhost")],
        [host("localhost/")],
        [host("localhost#")],
        [host("localhost\\evil.example")],
        [host("local host")],
        [host("localhost\t")],
        [host("::1")],
        [host("[127.0.0.1]")],
        [host("[::1%lo]")],
        [host("loc\xe1lhost")],
        [host("a" * 300)],
    ],
)
def test_a_host_that_two_readers_could_read_differently_is_malformed(headers: list[tuple[str, str]]) -> None:
    asked = Asked()
    assert asked.ask(headers=headers).status == 400
    assert asked.inner.reached == []


def test_what_a_proxy_says_of_the_host_is_not_believed() -> None:
    forwarded = [("X-Forwarded-Host", "localhost"), ("Forwarded", "host=localhost"), ("X-Host", "localhost")]
    assert Asked().ask(headers=[host("evil.example"), *forwarded]).status == 403
    assert Asked().ask(headers=[host("localhost"), ("X-Forwarded-Host", "evil.example")]).status == 200


@pytest.mark.parametrize(
    ("allowed", "name", "status"),
    [
        ("flicker.example.com", "flicker.example.com", 200),
        ("flicker.example.com", "FLICKER.example.com.:8443", 200),
        ("Flicker.Example.com.", "flicker.example.com", 200),
        ("flicker.example.com", "x.flicker.example.com", 403),
        ("flicker.example.com", "example.com", 403),
        ("flicker.example.com:8443", "flicker.example.com:8443", 200),
        ("flicker.example.com:8443", "flicker.example.com:8444", 403),
        ("flicker.example.com:8443", "flicker.example.com", 403),
        ("flicker.example.com:443", "flicker.example.com", 200),
        ("10.0.0.5", "10.0.0.5:3000", 200),
        ("10.0.0.5", "10.0.0.55:3000", 403),
        ("fd00::5", "[fd00:0::5]:3000", 200),
        ("[fd00::5]:3000", "[fd00::5]:3000", 200),
        ("flicker_ui", "flicker_ui:3000", 200),
    ],
)
def test_a_named_proxy_is_answered(allowed: str, name: str, status: int) -> None:
    assert Asked(allowed=(allowed,)).ask(headers=[host(name)]).status == status


@pytest.mark.parametrize("target", ["http://localhost/", "http://evil.example/graphql", "*", "", "localhost:3000"])
def test_a_request_target_that_names_a_host_of_its_own_is_refused(target: str) -> None:
    assert Asked().ask(path=target).status == 400
