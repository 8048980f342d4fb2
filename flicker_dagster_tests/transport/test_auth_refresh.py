"""Refresh tokens that serve once: the account outlives races, kills, lost answers and stores that fail."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.auth_refresh import ASKING_MS, RefreshedToken
from flicker_dagster.transport.tokens import MemoryTokens, Token, Tokens
from flicker_dagster_tests.transport.minting import FIRST, KEY, SECRET, UNAUTHORISED, Clock, bearer, opened, refreshing


@pytest.fixture
def server(one_server: TokenServer, clock: Clock) -> TokenServer:
    one_server.reset(clients={"flicker": SECRET}, refresh_tokens={FIRST: "flicker"}, clock=clock)
    return one_server


def signer(server: TokenServer, clock: Clock, tokens: Tokens, **keys: Any) -> RefreshedToken:
    found = opened(refreshing(server.url, **keys), tokens=tokens, clock=clock, key=KEY)
    assert isinstance(found, RefreshedToken)
    found._sleep = lambda seconds: None
    return found


def test_each_refresh_token_serves_once_and_runs_go_on_with_the_newest(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    for run in range(1, 6):
        assert server.accepts(bearer(signer(server, clock, tokens)))
        assert len(server.minted) == run
        clock.now_s += 3600
    assert server.asked[0]["refresh_token"] == FIRST
    assert len({form["refresh_token"] for form in server.asked}) == 5


def test_ten_polls_of_thirty_seconds_mint_one_token(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    for _ in range(10):
        bearer(signer(server, clock, tokens))
        clock.now_s += 30
    assert len(server.minted) == 1


def test_the_next_refresh_token_is_kept_before_the_access_token_is_used(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    value = bearer(signer(server, clock, tokens))
    kept = tokens.get(KEY)
    assert kept is not None
    assert kept.value == value
    assert kept.refresh in server.refresh_tokens
    assert "asking" not in kept.extra


def test_one_that_does_not_rotate_serves_on(server: TokenServer, clock: Clock) -> None:
    server.rotating = False
    tokens = MemoryTokens()
    auth = signer(server, clock, tokens)
    for _ in range(3):
        assert server.accepts(bearer(auth))
        clock.now_s += 3600
    assert {form["refresh_token"] for form in server.asked} == {FIRST}


def test_another_one_in_the_configuration_begins_anew(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    bearer(signer(server, clock, tokens))
    server.refresh_tokens["rt.authorised-anew"] = "flicker"
    assert server.accepts(bearer(signer(server, clock, tokens, refresh_token="rt.authorised-anew")))
    assert server.asked[-1]["refresh_token"] == "rt.authorised-anew"


def test_a_machine_with_an_earlier_configuration_does_not_send_what_has_served(
    server: TokenServer, clock: Clock
) -> None:
    tokens = MemoryTokens()
    earlier = signer(server, clock, tokens)
    bearer(earlier)
    server.refresh_tokens["rt.authorised-anew"] = "flicker"
    later = signer(server, clock, tokens, refresh_token="rt.authorised-anew")
    bearer(later)
    clock.now_s += 3600
    with pytest.raises(AuthFailed, match="replaced by another one, in a configuration that is newer") as failed:
        bearer(earlier)
    assert not failed.value.retryable
    assert server.accepts(bearer(later)), "the server would have taken it for stolen, and the account with it"


def test_one_that_does_not_rotate_may_be_taken_back(server: TokenServer, clock: Clock) -> None:
    server.rotating = False
    server.refresh_tokens["rt.another"] = "flicker"
    tokens = MemoryTokens()
    for configured in (FIRST, "rt.another", FIRST):
        assert server.accepts(bearer(signer(server, clock, tokens, refresh_token=configured)))
        assert server.asked[-1]["refresh_token"] == configured


@pytest.mark.parametrize("changed", [{"scope": "less"}, {"tells": ["id"]}])
def test_another_configuration_of_the_same_account_goes_on_with_the_newest(
    server: TokenServer, clock: Clock, changed: dict[str, Any]
) -> None:
    tokens = MemoryTokens()
    bearer(signer(server, clock, tokens))
    assert server.accepts(bearer(signer(server, clock, tokens, **changed)))
    assert server.asked[-1]["refresh_token"] != FIRST


def test_a_refused_access_token_is_renewed_once(server: TokenServer, clock: Clock) -> None:
    auth = signer(server, clock, MemoryTokens())
    bearer(auth)
    server.revoke_all()
    assert auth.renew(UNAUTHORISED)
    assert server.accepts(bearer(auth))
    assert not auth.renew(UNAUTHORISED)


def test_threads_and_streams_ask_once(server: TokenServer, clock: Clock) -> None:
    server.faults.plan("slow", seconds=0.2)
    tokens = MemoryTokens()
    streams, found = [signer(server, clock, tokens) for _ in range(3)], []
    threads = [threading.Thread(target=lambda each=each: found.append(bearer(each))) for each in streams * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == len(server.minted) == 1


# -- answers that are lost


def test_an_answer_that_is_lost_after_the_server_rotated_is_explained(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    server.faults.plan("commit_then_cut")
    with pytest.raises(AuthFailed) as lost:
        bearer(signer(server, clock, tokens))
    assert lost.value.retryable
    clock.now_s += 60
    with pytest.raises(AuthFailed, match="invalid_grant") as failed:
        bearer(signer(server, clock, tokens))
    assert not failed.value.retryable
    assert "a question at 2026-09-21T14:13:20.000Z got no answer that could be kept" in str(failed.value)
    assert "Authorise anew, and set refresh_token" in str(failed.value)
    assert FIRST not in str(failed.value)


@pytest.mark.parametrize("kind", ["503", "429", "html"])
def test_a_question_that_was_not_taken_costs_nothing(server: TokenServer, clock: Clock, kind: str) -> None:
    tokens = MemoryTokens()
    server.faults.plan(kind)
    with pytest.raises(AuthFailed):
        bearer(signer(server, clock, tokens))
    assert server.accepts(bearer(signer(server, clock, tokens)))
    kept = tokens.get(KEY)
    assert kept is not None
    assert "unanswered" not in kept.extra


def test_a_refused_refresh_token_is_told(server: TokenServer, clock: Clock) -> None:
    server.refresh_tokens.clear()
    with pytest.raises(AuthFailed, match="the refresh token of the configuration is refused: it was used elsewhere"):
        bearer(signer(server, clock, MemoryTokens()))


# -- several machines


class AnotherMachine(MemoryTokens):
    """The same tokens, seen from a machine that shares no lock."""

    def __init__(self, shared: MemoryTokens) -> None:
        super().__init__()
        self._tokens, self._lock = shared._tokens, shared._lock


def test_machines_that_share_no_lock_do_not_ask_at_a_time(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    server.faults.plan("slow", seconds=0.3)
    machines = [tokens, AnotherMachine(tokens), AnotherMachine(tokens)]
    found: list[str] = []

    def work(mine: MemoryTokens) -> None:
        auth = signer(server, clock, mine)
        auth._sleep = time.sleep
        found.append(bearer(auth))

    threads = [threading.Thread(target=work, args=(each,)) for each in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == len(server.minted) == 1


def test_who_died_elsewhere_is_waited_for_until_he_cannot_be_asking(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    bearer(signer(server, clock, tokens))
    clock.now_s += 3600
    died = signer(server, clock, AnotherMachine(tokens))
    claim, _ = died._claimed(None, alone=True)
    assert claim is not None
    with pytest.raises(AuthFailed, match="another machine is asking") as failed:
        bearer(signer(server, clock, tokens))
    assert failed.value.retryable
    assert failed.value.after_s == ASKING_MS / 1000
    clock.now_s += ASKING_MS / 1000
    assert server.accepts(bearer(signer(server, clock, tokens)))


def test_who_died_here_is_not_waited_for(server: TokenServer, clock: Clock) -> None:
    tokens = MemoryTokens()
    signer(server, clock, tokens)._claimed(None, alone=True)
    assert server.accepts(bearer(signer(server, clock, tokens)))


# -- stores that fail


class Failing(MemoryTokens):
    """A store that fails while `reads` or `writes` do not run out."""

    reads = writes = 0

    def get(self, key: str) -> Token | None:
        if self.reads > 0:
            self.reads -= 1
            raise StateError("cannot read s3://bucket/tokens/x")
        return super().get(key)

    def put(self, key: str, token: Token, *, replacing: Token | None) -> Token:
        if self.writes > 0 and token.value:
            self.writes -= 1
            raise StateError("cannot write s3://bucket/tokens/x")
        return super().put(key, token, replacing=replacing)


def test_nothing_is_asked_while_the_store_cannot_be_read(server: TokenServer, clock: Clock) -> None:
    tokens = Failing()
    tokens.reads = 1
    auth = signer(server, clock, tokens)
    with pytest.raises(AuthFailed, match="no token is asked for while it could not be kept") as failed:
        bearer(auth)
    assert failed.value.retryable
    assert server.asked == []
    assert server.accepts(bearer(auth))


def test_an_answer_that_cannot_be_kept_is_not_used_before_it_is(server: TokenServer, clock: Clock) -> None:
    tokens = Failing()
    tokens.writes = 5
    auth = signer(server, clock, tokens)
    with pytest.raises(AuthFailed, match="could not be kept, and is not used before"):
        bearer(auth)
    assert server.accepts(bearer(auth)), "the third write of the second attempt succeeds"
    assert len(server.asked) == 1
    kept = tokens.get(KEY)
    assert kept is not None
    assert kept.refresh in server.refresh_tokens
