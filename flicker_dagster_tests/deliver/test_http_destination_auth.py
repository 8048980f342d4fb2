"""Destinations by HTTP that are signed for with minted tokens: what a refused token, and a token endpoint, cost."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.auth.signed import GoogleServiceAccount
from flicker_dagster.config.destinations.otlp import OtlpDestination
from flicker_dagster.deliver.destination import Destination, LaneContext, open_destination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Retry
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.tokens import MemoryTokens
from flicker_dagster_tests.transport.minting import SECRET, client

LOT = Lot.of(
    [b'{"id":"a"}'], digests=[bytes(16)], times_ms=[1_790_000_000_000], source="okta", collected_ms=1_790_000_000_000
)
WHERE = "destination.auth"


class Siem:
    """Takes events with a token of its authorization server; `refusal`, where there is one, is what it says to all."""

    def __init__(self) -> None:
        self.tokens = TokenServer(clients={"flicker": SECRET})
        self.requests: list[Request] = []
        self.refusal: Response | None = None
        self.server = Server(self._handle)

    def _handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.refusal is not None:
            return self.refusal
        if not self.tokens.accepts(request.bearer()):
            return Response.json({"message": f"the token {request.bearer()} is not valid"}, 401)
        return Response.json({})

    def close(self) -> None:
        self.server.close()
        self.tokens.close()


@pytest.fixture
def siem() -> Iterator[Siem]:
    found = Siem()
    yield found
    found.close()


def lane(siem: Siem, auth: Auth | None = None, **context: Any) -> Destination:
    config = OtlpDestination(
        type="otlp", endpoint=siem.server.url, encoding="json", auth=auth or client(siem.tokens.url)
    )
    context.setdefault("tokens", MemoryTokens())
    return open_destination(config, LaneContext("okta", credentials=lambda: WHERE, env={"SECRET": SECRET}, **context))


def test_a_token_that_was_revoked_costs_no_attempt(siem: Siem) -> None:
    destination = lane(siem)
    assert isinstance(destination.send(LOT), Delivered)
    siem.tokens.revoke_all()
    assert isinstance(destination.send(LOT), Delivered)
    assert len(siem.tokens.minted) == 2
    assert [request.body for request in siem.requests] == [siem.requests[0].body] * 3


def test_who_refuses_every_token_is_blocked_and_mints_are_few(siem: Siem) -> None:
    siem.refusal = Response.json({"message": "no such tenant"}, 401)
    destination = lane(siem)
    for _ in range(4):
        outcome = destination.send(LOT)
        assert isinstance(outcome, Blocked)
        assert f"credentials: {WHERE}" in outcome.why
    assert len(siem.tokens.minted) == 2


def test_a_scope_that_is_lacking_is_told(siem: Siem) -> None:
    challenge = 'Bearer error="insufficient_scope", scope="logs.write"'
    siem.refusal = Response.json({"message": "no"}, 403, [("WWW-Authenticate", challenge)])
    outcome = lane(siem).send(LOT)
    assert isinstance(outcome, Blocked)
    assert "the token lacks a scope, which asks for logs.write: check scope" in outcome.why


def test_the_next_run_needs_no_token_of_its_own(siem: Siem) -> None:
    tokens = MemoryTokens()
    for _ in range(3):
        destination = lane(siem, tokens=tokens)
        assert isinstance(destination.send(LOT), Delivered)
        destination.close()
    assert len(siem.tokens.minted) == 1


def test_a_token_endpoint_that_is_away_is_tried_again_when_it_says(siem: Siem) -> None:
    siem.tokens.faults.plan("503", retry_after="20")
    destination = lane(siem)
    outcome = destination.send(LOT)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 20
    assert siem.requests == []


def test_a_client_that_is_refused_is_blocked_with_where_it_is_written(siem: Siem) -> None:
    siem.tokens.clients.clear()
    siem.tokens.clients["other"] = SECRET
    outcome = lane(siem).send(LOT)
    assert isinstance(outcome, Blocked)
    assert "invalid_client" in outcome.why
    assert f"credentials: {WHERE}" in outcome.why
    siem.tokens.clients["flicker"] = SECRET
    assert isinstance(lane(siem).send(LOT), Delivered)


def test_a_key_that_cannot_be_used_blocks_before_anything_is_sent(siem: Siem) -> None:
    auth = GoogleServiceAccount(type="google_service_account", key_file="/nowhere/key.json")
    with pytest.raises(DestinationBlocked, match=r"key_file /nowhere/key\.json cannot be read"):
        lane(siem, auth).send(LOT)
    assert siem.requests == []


def test_no_outcome_and_no_log_shows_a_token(siem: Siem, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    destination = lane(siem)
    told = [destination.send(LOT)]
    siem.tokens.revoke_all()
    siem.tokens.lifetime_s = -1  # what is minted from now on is refused as well, in words that hold it
    told += [destination.send(LOT), destination.send(LOT)]
    assert [type(outcome) for outcome in told] == [Delivered, Blocked, Blocked]
    values = [minted.value for minted in siem.tokens.minted]
    assert len(values) >= 2
    shown = repr(told) + caplog.text + repr(destination.__dict__)
    assert "is not valid" in shown
    assert not [secret for secret in (SECRET, *values) if runs_of(secret) & runs_of(shown)]


def test_a_token_of_any_shape_is_masked_as_a_whole(siem: Siem) -> None:
    value = f"{secrets.token_urlsafe(60)}.{'a' * 12}.{secrets.token_urlsafe(20)}"
    siem.tokens.answers.extend([Response.json({"access_token": value})] * 2)
    outcome = lane(siem).send(LOT)
    assert isinstance(outcome, Blocked)
    assert not runs_of(value) & runs_of(outcome.why)


def runs_of(text: str) -> set[str]:
    """Eight characters in a row are enough to know a secret by."""
    return {text[at : at + 8] for at in range(len(text) - 7)}
