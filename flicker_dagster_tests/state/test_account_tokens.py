"""Tokens that are kept under an earlier name of their account: the newest goes on, whatever is interrupted."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from flicker_dagster.errors import TokenUnreadable
from flicker_dagster.state.account_tokens import AccountTokens
from flicker_dagster.state.stores import LocalStore, Store
from flicker_dagster.state.token_keys import VARIABLE
from flicker_dagster.state.token_store import TokenStore
from flicker_dagster.transport.tokens import Token

KEY, ONE, TWO = "acme", bytes(range(32)).hex(), bytes(range(1, 33)).hex()
OLD, NEW = Token("old", minted_ms=1_000), Token("new", minted_ms=2_000)


@pytest.fixture
def tokens(store: Store, tmp_path: Path) -> TokenStore:
    return TokenStore(store, tmp_path, env={VARIABLE: ONE})


def of_account(tokens: TokenStore, *earlier: str) -> AccountTokens:
    return AccountTokens(tokens, earlier=earlier)


def test_a_token_goes_on_under_the_accounts_name(tokens: TokenStore) -> None:
    tokens.put("okta", OLD, replacing=None)
    assert of_account(tokens, "okta").get(KEY) == OLD == tokens.get(KEY)
    assert tokens.get("okta") is None


@pytest.mark.parametrize("names", [("okta", "former"), ("former", "okta")])
def test_of_several_the_newest_counts(tokens: TokenStore, names: tuple[str, str]) -> None:
    """A question that was never answered has no time: it gives way to any token."""
    tokens.put(KEY, Token("", refresh="asked with"), replacing=None)
    tokens.put("okta", NEW, replacing=None)
    tokens.put("former", OLD, replacing=None)
    assert of_account(tokens, *names).get(KEY) == NEW == tokens.get(KEY)


def test_what_is_older_than_the_accounts_own_takes_no_place(tokens: TokenStore) -> None:
    tokens.put(KEY, NEW, replacing=None)
    tokens.put("okta", OLD, replacing=None)
    assert of_account(tokens, "okta").get(KEY) == NEW == tokens.get(KEY)


def test_a_process_that_dies_in_between_loses_nothing(tokens: TokenStore) -> None:
    tokens.put("okta", OLD, replacing=None)
    with patch.object(TokenStore, "forget", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        of_account(tokens, "okta").get(KEY)
    assert tokens.get("okta") == OLD
    assert of_account(tokens, "okta").get(KEY) == OLD
    assert tokens.get("okta") is None


def test_one_that_cannot_be_read_is_told_unless_there_is_another(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    ours, theirs = (TokenStore(store, tmp_path, env={VARIABLE: key}) for key in (ONE, TWO))
    theirs.put("okta", OLD, replacing=None)
    with pytest.raises(TokenUnreadable):
        of_account(ours, "okta").get(KEY)
    ours.put(KEY, NEW, replacing=None)
    assert of_account(ours, "okta").get(KEY) == NEW
    assert theirs.get("okta") == OLD


def test_nothing_is_locked_or_written_where_nothing_is_kept(tmp_path: Path) -> None:
    tokens = TokenStore(LocalStore(tmp_path / "state"), tmp_path / "work", env={VARIABLE: ONE})
    assert of_account(tokens, "okta").get(KEY) is None
    assert list(tmp_path.iterdir()) == []
