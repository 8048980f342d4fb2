"""An answer that a rule takes for `unauthorized` is what HTTP 401 is, whatever its status says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials
from flicker_dagster.config.vocabulary import AnswerRule
from flicker_dagster.errors import CredentialsRefused, VendorRefused
from flicker_dagster.simulator.server import Request as Asked
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster.transport.exchange import Request
from flicker_dagster_tests.builders import a_source

REFUSED = {"status": {"code": 401, "message": "Authentication Failure"}, "data": [{"id": "no event"}]}
RULE = AnswerRule(status=200, at="status.code", matches="^401$", means="unauthorized")


class Api:
    """Mints tokens t1, t2 …, of which the first `ended` are refused, by a 200."""

    def __init__(self) -> None:
        self.ended = self.minted = self.asked = 0
        self.server = Server(self.answer)

    def answer(self, request: Asked) -> Response:
        if request.path == "/token":
            self.minted += 1
            return Response.json({"access_token": f"t{self.minted}", "token_type": "Bearer", "expires_in": 3600})
        self.asked += 1
        good = request.bearer() not in {"wrong", *(f"t{number}" for number in range(1, self.ended + 1))}
        return Response.json({"status": {"code": 200}, "data": []} if good else REFUSED)

    def client(self, *, rule: AnswerRule = RULE, **keys: Any) -> VendorClient:
        return VendorClient(
            a_source(endpoint=f"{self.server.url}/events", answers=[rule], **keys), env={"SECRET": "s" * 9}
        )

    def of_tokens(self, **keys: Any) -> VendorClient:
        auth = OAuth2ClientCredentials(
            type="oauth2_client_credentials",
            token_url=f"{self.server.url}/token",
            client_id="flicker",
            client_secret="${SECRET}",
        )
        return self.client(auth=auth, **keys)


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()
    yield found
    found.server.close()


def ask(client: VendorClient) -> bytes:
    return client.ask(Request("GET", client.endpoint)).body


def test_the_token_is_renewed_once_and_the_question_asked_again(api: Api) -> None:
    with closing(api.of_tokens()) as client:
        api.ended = 1
        assert b'"data": []' in ask(client)
        assert (api.minted, api.asked) == (2, 2)
        assert b'"data": []' in ask(client)
        assert (api.minted, api.asked) == (2, 3)


def test_a_new_token_that_is_refused_as_well_is_told_with_what_to_check(api: Api) -> None:
    with closing(api.of_tokens()) as client:
        api.ended = 9
        with pytest.raises(CredentialsRefused) as refused:
            ask(client)
        assert (api.minted, api.asked) == (2, 2)
    said = str(refused.value)
    for words in (
        "HTTP 200, which means HTTP 401 here",
        "Authentication Failure",
        "a new token is refused as well",
        "check the credentials of this source",
        "auth.client_secret",
    ):
        assert words in said
    assert "no event" not in said
    assert "t2" not in said.split()


def test_a_rules_own_advice_is_told_in_place_of_the_usual_one(api: Api) -> None:
    rule = RULE.model_copy(update={"advice": "make another credential"})
    with closing(api.client(api_key="wrong", rule=rule)) as client:
        with pytest.raises(VendorRefused, match=r"Failure'?\. make another credential: api_key"):
            ask(client)
        assert api.asked == 1


def test_credentials_that_cannot_be_renewed_are_refused_at_once(api: Api) -> None:
    with (
        closing(api.client(api_key="wrong")) as client,
        pytest.raises(VendorRefused, match=r"means HTTP 401 here.*api_key"),
    ):
        ask(client)
    assert api.asked == 1


@pytest.mark.parametrize("means", ["refused", "unavailable"])
def test_another_meaning_renews_nothing(api: Api, means: Any) -> None:
    api.ended = 1
    client = api.of_tokens(rule=RULE.model_copy(update={"means": means}))
    with closing(client), pytest.raises(Exception, match="Authentication Failure"):
        ask(client)
    assert (api.minted, api.asked) == (1, 1)
