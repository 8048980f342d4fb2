"""SASL as a broker speaks it: PLAIN (RFC 4616), SCRAM (RFC 5802, 7677) and OAUTHBEARER (RFC 7628)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable

ITERATIONS = 4096


class Refused(Exception):
    """The credentials are not right."""


class Session:
    """One conversation. `step` takes what the client said and gives the answer; `done` says that it is over."""

    def __init__(self, mechanism: str, users: dict[str, str], tokens: Callable[[str], bool]) -> None:
        self.done = False
        self._users = users
        self._tokens = tokens
        self._step = {"PLAIN": self._plain, "OAUTHBEARER": self._bearer}.get(mechanism, self._scram_first)
        self._hash = "sha512" if mechanism.endswith("512") else "sha256"

    def step(self, said: bytes) -> bytes:
        """Raises Refused."""
        return self._step(said)

    def _plain(self, said: bytes) -> bytes:
        _, user, password = said.decode().split("\x00")
        self._check(self._users.get(user) == password)
        return b""

    def _bearer(self, said: bytes) -> bytes:
        fields = said.decode().split("\x01")
        token = next((field[len("auth=Bearer ") :] for field in fields if field.startswith("auth=Bearer ")), "")
        self._check(self._tokens(token))
        return b""

    def _scram_first(self, said: bytes) -> bytes:
        bare = said.decode().split(",", 2)[2]
        named = dict(part.split("=", 1) for part in bare.split(","))
        if named["n"] not in self._users:
            raise Refused
        salt, nonce = os.urandom(16), named["r"] + base64.b64encode(os.urandom(12)).decode()
        first = f"r={nonce},s={base64.b64encode(salt).decode()},i={ITERATIONS}"
        self._salted = hashlib.pbkdf2_hmac(self._hash, self._users[named["n"]].encode(), salt, ITERATIONS)
        self._said = f"{bare},{first}"
        self._step = self._scram_final
        return first.encode()

    def _scram_final(self, said: bytes) -> bytes:
        without_proof, _, proof = said.decode().rpartition(",p=")
        signed = f"{self._said},{without_proof}".encode()
        key = self._hmac(self._salted, b"Client Key")
        signature = self._hmac(hashlib.new(self._hash, key).digest(), signed)
        expected = bytes(a ^ b for a, b in zip(key, signature))
        self._check(hmac.compare_digest(base64.b64decode(proof), expected))
        server = self._hmac(self._hmac(self._salted, b"Server Key"), signed)
        return b"v=" + base64.b64encode(server)

    def _hmac(self, key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, self._hash)

    def _check(self, is_right: bool) -> None:
        if not is_right:
            raise Refused
        self.done = True
