"""Signatures by parts: Python of others, kept to what an authenticator may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flicker_dagster.config.parts import failure_of, part
from flicker_dagster.errors import SecretUnset
from flicker_dagster.transport.addresses import BadAddress, origin_of
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.exchange import Answer, NoAuth, Request


class PartAuthenticator(NoAuth):
    """A part is called with its keys and gives an object with `sign(request) -> Request`, and with `renew`, `secrets`, `told`
    and `explain` of `Authenticator` where it has any of these. After a refusal the keys are read once more, and another part
    is made where they have changed. Raises ValueError where it cannot be made, SecretUnset."""

    def __init__(self, name: str, read: Callable[[bool], Mapping[str, str]]) -> None:
        self._name, self._read = name, read
        self._make = part(name)
        self._keys = dict(read(False))
        self._part = self._made(self._keys)

    def sign(self, request: Request) -> Request:
        try:
            signed = self._part.sign(request)
        except AuthFailed:
            raise
        except Exception as error:
            raise AuthFailed(f"the part {self._name} failed: {failure_of(error)}", retryable=False) from None
        if not isinstance(signed, Request):
            raise AuthFailed(
                f"the part {self._name} gave {type(signed).__name__}, expected the signed request", retryable=False
            )
        if request.url and not _same_server(signed.url, request.url):
            raise AuthFailed(
                f"the part {self._name} sends the request to another server, which no signature may", retryable=False
            )
        return signed

    def renew(self, refused: Answer) -> bool:
        if self._own("renew", False, refused):
            return True
        used = self._keys
        try:
            self._keys = dict(self._read(True))
        except SecretUnset:  # the refusal says more
            return False
        if self._keys == used:
            return False
        try:
            self._part = self._made(self._keys)
        except ValueError:  # the refusal says more
            return False
        return True

    def secrets(self) -> tuple[str, ...]:
        return tuple(self._own("secrets", ()))

    def told(self, name: str) -> str | None:
        return self._own("told", None, name)

    def explain(self, refused: Answer) -> str:
        return self._own("explain", "", refused)

    def _own(self, name: str, default: Any, *arguments: Any) -> Any:
        """What the part's own method says; the default where it has none, or where that fails."""
        method = getattr(self._part, name, None)
        if method is None:
            return default
        try:
            return method(*arguments)
        except AuthFailed:
            raise
        except Exception:
            return default

    def _made(self, keys: dict[str, str]) -> Any:
        try:
            made = self._make(keys)
        except Exception as error:
            raise ValueError(f"the part {self._name} cannot be made: {failure_of(error)}") from None
        if not callable(getattr(made, "sign", None)):
            raise ValueError(f"the part {self._name} gave {type(made).__name__}, expected an object with sign(request)")
        return made


def _same_server(one: str, other: str) -> bool:
    try:
        return origin_of(one) == origin_of(other)
    except BadAddress:
        return False
