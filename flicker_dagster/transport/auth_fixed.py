"""Signatures that need nothing but the configuration: headers, and a parameter in the address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote_plus

import msgspec

from flicker_dagster.errors import SecretUnset
from flicker_dagster.transport.exchange import Answer, NoAuth, Request


class _Reread(NoAuth):
    """Values of the configuration, by name. After a refusal they are read once more: a secret may have been rotated.
    Thread-safe: what is held is replaced as a whole.

    `read` gives them, asking for what is `fresh` where it is given True. Raises SecretUnset.
    """

    def __init__(self, read: Callable[[bool], Mapping[str, str]]) -> None:
        self._read = read
        self._first = self._held = dict(read(False))

    def renew(self, refused: Answer) -> bool:
        used = self._held
        try:
            self._held = dict(self._read(True))
        except SecretUnset:  # the refusal says more
            return False
        return self._held != used

    def secrets(self) -> tuple[str, ...]:
        """The first ones are masked as the configuration's."""
        if self._held == self._first:
            return ()
        return tuple(word for value in self._held.values() for word in (value, value.split(" ")[-1]))


class FixedHeaders(_Reread):
    """The same headers on every request."""

    def sign(self, request: Request) -> Request:
        return msgspec.structs.replace(request, headers=request.headers | self._held)


class QueryParameters(_Reread):
    """The same parameters in every address, once: what a link of the server repeats of them is replaced."""

    def sign(self, request: Request) -> Request:
        return msgspec.structs.replace(request, url=with_parameters(request.url, self._held))


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """An address with these parameters in place of others of their names; the rest stays as it is spelt."""
    before, mark, query = url.partition("#")[0].partition("?")
    kept = [
        pair for pair in query.split("&") if mark and pair and unquote_plus(pair.partition("=")[0]) not in parameters
    ]
    ours = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items()]
    return f"{before}?{'&'.join([*kept, *ours])}"
