"""What dialects read of a request."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from flicker_dagster.simulator.server import Request


def request(query: str, **headers: str) -> Request:
    return Request("GET", "/logs", dict(parse_qsl(query)), headers, target=f"/logs?{query}")


@pytest.mark.parametrize(
    ("query", "number"),
    [("", 10), ("n=1", 1), ("n=20", 20), ("n=0", None), ("n=21", None), ("n=1.5", None), ("n=" + "9" * 5_000, None)],
)
def test_a_number_lies_within_its_bounds(query: str, number: int | None) -> None:
    assert request(query).number("n", 10, least=1, most=20) == number


def test_the_same_is_asked_again_with_another_cursor_and_everything_else_kept() -> None:
    asked = request("f%5B%5D=1&cursor=a&f%5B%5D=2&q=x+y")
    assert asked.again({"cursor": "b", "page": 2}) == "/logs?f%5B%5D=1&cursor=b&f%5B%5D=2&q=x+y&page=2"
    assert parse_qsl(urlsplit(asked.again({})).query) == asked.pairs


@pytest.mark.parametrize(
    ("header", "credentials"), [("Bearer a b", "a b"), ("bearer a", ""), ("Basic a", ""), ("Bearer", ""), ("", "")]
)
def test_credentials_are_those_behind_their_scheme(header: str, credentials: str) -> None:
    assert request("", authorization=header).credentials("Bearer") == credentials
