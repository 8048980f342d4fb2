"""What a client makes of a vendor's answers: redirects, sizes, cuts; and that no message holds a secret."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from flicker_dagster.collect.client import Answer, VendorClient
from flicker_dagster.config.groups import Limits
from flicker_dagster.config.records import BasicAuth
from flicker_dagster.errors import BadAnswer, CollectError, RateLimited, VendorRefused, VendorUnavailable
from flicker_dagster.simulator.faults import Fault
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.transport import exchange
from flicker_dagster_tests.builders import a_source

BODY = json.dumps([{"id": str(number)} for number in range(2_000)]).encode()


@contextmanager
def serving(handle: Callable[[Request], Response]) -> Iterator[str]:
    server = Server(handle)
    try:
        yield server.url
    finally:
        server.close()


def get(url: str, env: dict[str, str] | None = None, **source: Any) -> Answer:
    client = VendorClient(a_source(**source), env=env or {})
    try:
        return client.ask(exchange.Request("GET", url))
    finally:
        client.close()


def redirect(to: str, status: int = 302) -> Response:
    return Response(status, b"", [("Location", to)])


# -- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_is_followed_with_the_credentials(status: int) -> None:
    def handle(request: Request) -> Response:
        return redirect("/new?a=1", status) if request.path == "/old" else Response.json(request.bearer())

    with serving(handle) as url:
        assert get(f"{url}/old", api_key="token").body == b'"token"'


def test_a_redirect_to_another_host_is_refused_and_nothing_is_sent_there() -> None:
    asked: list[str] = []

    def other(request: Request) -> Response:
        asked.append(request.path)
        return Response.json([])

    with (
        serving(other) as elsewhere,
        serving(lambda _request: redirect(f"{elsewhere}/steal")) as url,
        pytest.raises(VendorRefused, match="redirected, and the address leads to another host"),
    ):
        get(url, api_key="token")
    assert asked == []


def test_a_redirect_to_another_scheme_is_refused() -> None:
    with serving(lambda request: redirect(f"https://{request.headers['host']}/")) as url, pytest.raises(VendorRefused):
        get(url)


def test_redirects_without_end_are_refused() -> None:
    with serving(lambda _request: redirect("/again")) as url, pytest.raises(VendorRefused, match="more than 3"):
        get(url)


# -- bodies


def packed(body: bytes) -> Response:
    return Response(200, gzip.compress(body), [("Content-Encoding", "gzip")])


@pytest.mark.parametrize("response", [Response(200, BODY), packed(BODY)])
def test_a_body_up_to_the_cap_is_read(response: Response) -> None:
    with serving(lambda _request: response) as url:
        assert get(url, limits=Limits(page_bytes=len(BODY))).body == BODY


@pytest.mark.parametrize("response", [Response(200, BODY), packed(BODY), packed(b"0" * 50_000_000)])
def test_a_body_over_the_cap_is_refused_also_after_inflation(response: Response) -> None:
    with serving(lambda _request: response) as url, pytest.raises(BadAnswer, match=r"larger than limits\.page_bytes"):
        get(url, limits=Limits(page_bytes=len(BODY) - 1))


@pytest.mark.parametrize("response", [Response(200, BODY), packed(BODY)])
def test_a_body_that_is_cut_off_is_no_answer_and_is_asked_for_again(response: Response) -> None:
    response.fault = Fault("cut")
    with serving(lambda _request: response) as url, pytest.raises(VendorUnavailable) as caught:
        get(url)
    assert caught.value.retryable
    assert "cut off" in str(caught.value)


def test_a_body_that_claims_to_be_packed_and_is_not_is_asked_for_again() -> None:
    response = Response(200, BODY, [("Content-Encoding", "gzip")])
    with serving(lambda _request: response) as url, pytest.raises(CollectError) as caught:
        get(url)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (401, VendorRefused, False),
        (404, VendorRefused, False),
        (408, VendorUnavailable, True),
        (429, RateLimited, True),
        (500, VendorUnavailable, True),
        (503, VendorUnavailable, True),
        (202, VendorRefused, False),
        (206, VendorRefused, False),
    ],
)
def test_a_refusal_is_of_the_kind_that_fits(status: int, kind: type[CollectError], retryable: bool) -> None:
    with serving(lambda _request: Response(status, b"")) as url, pytest.raises(kind) as caught:
        get(url)
    assert caught.value.retryable is retryable


def test_nobody_there_is_worth_another_try() -> None:
    with serving(lambda _request: Response.json([])) as url:
        pass
    with pytest.raises(VendorUnavailable):
        get(url)


# -- secrets

SECRET = "p+ss/w ord&=é"
SPELLINGS = [
    SECRET,
    quote(SECRET),
    quote(SECRET, safe=""),
    quote_plus(SECRET),
    json.dumps(SECRET)[1:-1],
    base64.b64encode(f"ana:{SECRET}".encode()).decode(),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_secret_that_the_vendor_echoes_is_masked_however_it_is_spelled(spelling: str, status: int) -> None:
    env = {"PASSWORD": SECRET}
    basic = BasicAuth(username="ana", password="${PASSWORD}")
    with (
        serving(lambda _request: Response(status, f"you sent {spelling}!".encode())) as url,
        pytest.raises(CollectError) as caught,
    ):
        get(f"{url}/events", env, basic=basic)
    assert spelling not in str(caught.value)
    assert "you sent ***!" in str(caught.value)


@pytest.mark.parametrize("spelling", [quote(SECRET, safe=""), quote_plus(SECRET)])
def test_a_secret_in_the_url_is_masked_where_nobody_answers(spelling: str) -> None:
    with serving(lambda _request: Response.json([])) as url:
        pass
    with pytest.raises(VendorUnavailable) as caught:
        get(f"{url}/events?key={spelling}", {"KEY": SECRET}, query_params={"key": "${KEY}"})
    assert spelling not in str(caught.value)
    assert "?key=***" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__  # a traceback in Dagster's log would show requests' own message
