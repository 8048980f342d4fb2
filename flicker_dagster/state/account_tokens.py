"""The tokens of an account that was called otherwise before: `account` was added to a source, or a source was renamed.

A refresh token that serves once is lost where its successor is not found: what is kept under an earlier name is looked for
each time, and goes on under the name that the account has now. Of several the newest counts, for the successor of a token
that serves once is always younger.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from flicker_dagster.errors import TokenUnreadable
from flicker_dagster.state.token_store import TokenStore
from flicker_dagster.transport.tokens import Token


class AccountTokens:
    """The tokens of a state, for the account of a source and the names that it may have had. Thread-safe."""

    def __init__(self, tokens: TokenStore, *, earlier: Sequence[str]) -> None:
        self._tokens = tokens
        self._earlier = earlier

    @property
    def place(self) -> str:
        return self._tokens.place

    def get(self, key: str) -> Token | None:
        """Raises what `TokenStore.get` raises; of a token under an earlier name only where there is no other."""
        standing = self._tokens.get(key)
        for name in self._earlier:
            standing = self._newer_of(name, key, standing)
        return standing

    def put(self, key: str, token: Token, *, replacing: Token | None) -> Token:
        return self._tokens.put(key, token, replacing=replacing)

    def minting(self, key: str) -> AbstractContextManager[bool]:
        return self._tokens.minting(key)

    def _newer_of(self, name: str, key: str, standing: Token | None) -> Token | None:
        """The account's token, for which that of an earlier name is taken where it is newer. A process that mints under that
        name, by a configuration of before, is waited for."""
        if not self._tokens.has(name):
            return standing
        with self._tokens.minting(name):
            try:
                kept = self._tokens.get(name)
            except TokenUnreadable:
                if standing is None:
                    raise
                return standing
            if kept is None:
                return standing
            if standing is None or (kept.minted_ms or 0) > (standing.minted_ms or 0):
                standing = self._tokens.put(key, kept, replacing=standing)
            if standing == kept:
                self._tokens.forget(name)
            return standing
