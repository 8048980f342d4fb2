"""A token endpoint may answer anything: what comes of it is a token that fits a header, or a reason without secrets."""

from __future__ import annotations

import json
import re
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.exchange import Answer, Failure, Transport, Why
from flicker_dagster.transport.token_endpoint import LONGEST_WAIT_S, TokenEndpoint
from flicker_dagster.transport.tokens import Token

SECRET = "c1ient-s3cret-value"
NOW_S = 1_790_000_000.0

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
members = st.fixed_dictionaries(
    {},
    optional={
        "access_token": json_values | st.just("abc.def"),
        "token_type": json_values | st.sampled_from(["Bearer", "bearer", "mac"]),
        "expires_in": json_values | st.sampled_from([3600, "3600", 1e400, -1]),
        "error": json_values | st.sampled_from(["invalid_client", "invalid_scope", "slow_down"]),
        "error_description": json_values | st.text().map(lambda text: f"{text} {SECRET}"),
    },
)
bodies = (
    members.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
    | json_values.map(repr).map(str.encode)
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date", "location", "content-type"]),
    st.text(max_size=40)
    | st.sampled_from(["17", "1e9", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", f"https://x/?{SECRET}"]),
)
answers = st.builds(Answer, st.integers(100, 599), headers, bodies, st.booleans()) | st.builds(
    Failure, st.sampled_from(Why), st.text().map(lambda text: f"{text}{SECRET}")
)


@pytest.fixture(scope="module")
def endpoint() -> TokenEndpoint:
    return TokenEndpoint("https://login.example/token", clock=lambda: NOW_S)


@pytest.mark.fuzz
@given(answer=answers)
def test_whatever_it_answers_is_a_token_or_a_reason(endpoint: TokenEndpoint, answer: Answer | Failure) -> None:
    with patch.object(Transport, "exchange", return_value=answer):
        try:
            found: Token | AuthFailed = endpoint.ask({"client_secret": SECRET}, secrets=(SECRET,))
        except AuthFailed as failed:
            found = failed
    if isinstance(found, Token):
        assert isinstance(answer, Answer)
        assert 200 <= answer.status < 300
        assert re.fullmatch(r"[\x21-\x7e]+", found.value)
        assert found.expires_ms is None or 0 <= found.expires_ms - NOW_S * 1000 <= 1e12
    else:
        assert SECRET not in str(found)
        assert str(found).startswith("the token endpoint https://login.example ")
        assert found.after_s is None or (found.retryable and 0 <= found.after_s <= LONGEST_WAIT_S)
        assert len(str(found)) < 1_000


def test_a_question_names_no_secret_in_its_address(endpoint: TokenEndpoint) -> None:
    with patch.object(Transport, "exchange", return_value=Answer(200, {}, b'{"access_token":"abc"}')) as exchange:
        endpoint.ask({"client_secret": SECRET, "scope": "a b&c=ü"}, secrets=(SECRET,))
    request = exchange.call_args.args[0]
    assert request.url == "https://login.example/token"
    assert request.body == f"client_secret={SECRET}&scope=a+b%26c%3D%C3%BC".encode()
    assert not [value for value in request.headers.values() if SECRET in value]
