"""Tokens that were minted: what keeps them, as far as an authenticator needs it."""

from __future__ import annotations

import threading
from typing import Protocol

import msgspec


class Token(msgspec.Struct, frozen=True):
    """An access token with its end (milliseconds since the epoch, None for unknown), and what it takes to renew it."""

    value: str
    expires_ms: int | None = None
    refresh: str | None = None
    extra: dict[str, str] = {}


class Tokens(Protocol):
    """A store of tokens by key, shared by runs and processes."""

    def get(self, key: str) -> Token | None: ...

    def put(self, key: str, token: Token, *, replacing: Token | None) -> Token:
        """Keep a token in place of the one that was read; gives the one that stands, which may be another's newer one."""
        ...


class MemoryTokens:
    """Tokens of this process only."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Token | None:
        return self._tokens.get(key)

    def put(self, key: str, token: Token, *, replacing: Token | None) -> Token:
        with self._lock:
            standing = self._tokens.get(key)
            if standing is not None and standing != replacing:
                return standing
            self._tokens[key] = token
            return token
