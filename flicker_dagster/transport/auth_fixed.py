"""Signatures that need nothing but the configuration: a fixed header, a keyed hash of the body."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

from flicker_dagster.config.auth import HmacAuth
from flicker_dagster.transport.exchange import Answer, Request


class FixedHeader:
    """The same header on every request."""

    def __init__(self, name: str, value: str) -> None:
        self._header = {name: value}

    def sign(self, request: Request) -> Request:
        return msgspec.structs.replace(request, headers=request.headers | self._header)

    def renew(self, refused: Answer) -> bool:
        return False

    def secrets(self) -> tuple[str, ...]:
        return ()


class BodyHmac:
    """A keyed hash of the body as it is sent."""

    def __init__(self, auth: HmacAuth, secret: str) -> None:
        self._auth = auth
        self._secret = secret.encode()

    def sign(self, request: Request) -> Request:
        digest = hmac.digest(self._secret, request.body or b"", getattr(hashlib, self._auth.algorithm))
        text = digest.hex() if self._auth.encoding == "hex" else base64.b64encode(digest).decode()
        return msgspec.structs.replace(
            request, headers=request.headers | {self._auth.header or "": self._auth.prefix + text}
        )

    def renew(self, refused: Answer) -> bool:
        return False

    def secrets(self) -> tuple[str, ...]:
        return ()
