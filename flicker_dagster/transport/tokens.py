"""Tokens that were minted: what keeps them, as far as an authenticator needs it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec


class Token(msgspec.Struct, frozen=True):
    """An access token with its end (milliseconds since the epoch, None for unknown), and what it takes to renew it. Its text
    shows neither."""

    value: str
    expires_ms: int | None = None
    refresh: str | None = None
    extra: dict[str, str] = {}
    minted_ms: int | None = None

    def __repr__(self) -> str:
        return f"Token(***, minted_ms={self.minted_ms}, expires_ms={self.expires_ms})"

    def __rich_repr__(self) -> Iterator[Any]:
        yield "minted_ms", self.minted_ms
        yield "expires_ms", self.expires_ms


class Tokens(Protocol):
    """A store of tokens by key, shared by runs and processes. Thread-safe. Raises StateError."""

    @property
    def place(self) -> str:
        """Where those are that `minting` keeps apart: who holds it there knows that no other one of the place does."""
        ...

    def get(self, key: str) -> Token | None: ...

    def put(self, key: str, token: Token, *, replacing: Token | None) -> Token:
        """Keep a token in place of the one that was read; gives the one that stands, which may be another's newer one."""
        ...

    def minting(self, key: str) -> AbstractContextManager[bool]:
        """Held while a token is minted: others that need the same one wait as far as the store can make them, and find
        it then. False where it is not held, for somebody else never let go of it."""
        ...


class MemoryTokens:
    """Tokens of this process only."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()
        self._minting: dict[str, threading.Lock] = {}
        self.place = f"memory {uuid.uuid4()}"

    def get(self, key: str) -> Token | None:
        return self._tokens.get(key)

    def put(self, key: str, token: Token, *, replacing: Token | None) -> Token:
        with self._lock:
            standing = self._tokens.get(key)
            if standing is not None and standing != replacing:
                return standing
            self._tokens[key] = token
            return token

    def minting(self, key: str) -> AbstractContextManager[bool]:
        with self._lock:
            return self._minting.setdefault(key, threading.Lock())  # type: ignore[return-value]
