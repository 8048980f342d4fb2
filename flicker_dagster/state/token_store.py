"""Tokens that outlive a run: encrypted objects `tokens/<key>` in the state's store, replaced by compare-and-set.

An object is JSON: `version`, the `name` that the token is kept by, the `key` it was encrypted with (its public name), and nonce
and ciphertext of AES-256-GCM (NIST SP 800-38D) in base64. The token's name is authenticated with it: a token that was moved to
another one, whose owner would send it elsewhere, is damaged.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from flicker_dagster.errors import StateError, TokenUnreadable, WriteConflict
from flicker_dagster.lazy import lazy
from flicker_dagster.readers import reader
from flicker_dagster.state.conflicts import attempts
from flicker_dagster.state.files import exclusive, replace_file
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.stores import Store, Stored
from flicker_dagster.state.token_keys import VARIABLE, TokenKey, token_keys
from flicker_dagster.transport.tokens import Token

_read_token = reader(Token)

log = logging.getLogger("flicker.state")

VERSION = 1
FOLDER = "tokens/"
NONCE_BYTES = 12
#: Longer than any question to a token endpoint takes; whoever waited so long asks by itself.
MINTING_S = 60.0


class _Versioned(msgspec.Struct, frozen=True):
    version: int


_read_version = reader(_Versioned)


class _Sealed(msgspec.Struct, frozen=True):
    version: int
    name: str
    key: str
    nonce: bytes
    sealed: bytes


_read_sealed = reader(_Sealed)


class TokenStore:
    """The tokens of an installation. Thread-safe; several machines may share a store.

    Keys are looked up when first needed. No method shows a token in an error, and none is ever written in the clear.
    """

    def __init__(self, store: Store, work_dir: Path, *, env: Mapping[str, str] | None = None) -> None:
        self._store = store
        self._work_dir = work_dir
        self._env = os.environ if env is None else env

    @lazy
    def _keys(self) -> tuple[TokenKey, ...]:
        return token_keys(self._work_dir, self._env)

    def get(self, key: str) -> Token | None:
        """The token, or None where there is none. One of an older key is encrypted anew. Raises TokenUnreadable for one
        that is damaged or of a key that is not here, StateError."""
        found = self._store.read(_object(key))
        if found is None:
            return None
        token, used = self._opened(key, found)
        if used != self._keys[0]:
            with suppress(WriteConflict):  # another process renewed it, with its own first key
                self._store.write(_object(key), self._sealed(key, token), expected=found.version)
        return token

    def has(self, key: str) -> bool:
        """Whether one is kept, which need not be readable here. Raises StateError."""
        return self._store.read(_object(key)) is not None

    def put(self, key: str, token: Token, *, replacing: Token | None) -> Token:
        """Keep a token in place of the one that was read (None for nothing); gives the one that stands, which may be
        another's newer one. What nobody can read is replaced only by who read nothing, and who therefore could do without
        it. Raises StateError."""
        for _ in attempts(self._where(key)):
            found = self._store.read(_object(key))
            if found is not None:
                standing = self._standing(key, found, replacing)
                if standing is not None and standing != replacing:
                    return standing
            with suppress(WriteConflict):
                version = None if found is None else found.version
                self._store.write(_object(key), self._sealed(key, token), expected=version)
                return token
        raise AssertionError("attempts() raises when they are used up")

    def names(self) -> list[str]:
        """By which names tokens are kept, as far as they can be told without their keys. Raises StateError."""
        found: list[str] = []
        for at in self._store.list(FOLDER):
            stored = self._store.read(at)
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                name = None if stored is None else _read_sealed(stored.data).name
                found += [name] if name is not None and _object(name) == at else []
        return sorted(found)

    def of_stream(self, stream: str) -> list[str]:
        """Names of the tokens of a stream and its lanes. Raises StateError."""
        return [name for name in self.names() if name.rpartition("@")[0] == stream]

    def forget(self, key: str) -> None:
        """Raises StateError."""
        self._store.delete(_object(key))

    def carry_over(self, key: str, to: str) -> None:
        """A token of an earlier name under its new one, where there is none yet. Raises StateError."""
        token = self.get(key)
        if token is not None:
            self.put(to, token, replacing=None)

    @property
    def place(self) -> str:
        """This machine's work directory, by a name that no other has. Raises StateError."""
        return self._place

    @lazy
    def _place(self) -> str:
        path = self._work_dir / "token-locks" / ".place"
        try:
            with exclusive(path.with_name(".place.lock")):
                if not path.exists():
                    replace_file(path, secrets.token_hex(16).encode(), durable=True)
                # The name of the machine beside it, for directories that were copied.
                return f"{socket.gethostname()} {path.read_text()[:64]}"
        except OSError as error:
            raise StateError(f"cannot write {path}: {error.strerror}; check the path and its permissions") from error

    @contextmanager
    def minting(self, key: str) -> Iterator[bool]:
        """Processes of this machine take turns; those of others are told by `put` who was faster."""
        lock = self._work_dir / "token-locks" / f"{file_safe(key)}.lock"
        with ExitStack() as held:
            alone = True
            try:
                held.enter_context(exclusive(lock, wait_s=MINTING_S))
            except BlockingIOError:
                alone = False
                log.warning(
                    "another process has been minting the token of %s for %d s; minting as well", key, MINTING_S
                )
            except OSError as error:
                raise StateError(f"cannot lock {lock}: {error.strerror}; check the path and its permissions") from error
            yield alone

    # -- encryption

    def _sealed(self, key: str, token: Token) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        ours, nonce = self._keys[0], secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(ours.secret).encrypt(nonce, msgspec.json.encode(token), _bound(key, ours))
        return msgspec.json.encode(_Sealed(VERSION, key, ours.key_id, nonce, sealed))

    def _opened(self, key: str, found: Stored) -> tuple[Token, TokenKey]:
        """The token, and the key it was encrypted with."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            version = _read_version(found.data).version
            if version > VERSION:
                raise StateError(
                    f"{self._where(key)} was written by a newer Flicker (version {version}, expected {VERSION} at most); "
                    "run that one"
                )
            sealed = _read_sealed(found.data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._damaged(key) from None
        ours = next((each for each in self._keys if each.key_id == sealed.key), None)
        if ours is None:
            raise TokenUnreadable(
                f"{self._where(key)} is encrypted with the key {sealed.key[:32]}, and here are "
                f"{', '.join(each.key_id for each in self._keys)}. Set {VARIABLE} to the key that wrote it, the same on all "
                "machines; or remove the object, and authorise anew"
            )
        try:
            text = AESGCM(ours.secret).decrypt(sealed.nonce, sealed.sealed, _bound(key, ours))
            return _read_token(text), ours
        except (InvalidTag, ValueError, UnicodeDecodeError):  # ValueError: a nonce of a wrong length; no such token
            raise self._damaged(key) from None

    def _standing(self, key: str, found: Stored, replacing: Token | None) -> Token | None:
        try:
            return self._opened(key, found)[0]
        except TokenUnreadable as error:
            if replacing is not None:
                raise
            log.warning("%s. It is replaced by a new one", str(error).removesuffix("."))
            return None

    def _damaged(self, key: str) -> TokenUnreadable:
        return TokenUnreadable(
            f"{self._where(key)} is damaged, or was moved there from another name; restore it from a copy, or remove it and "
            "authorise anew"
        )

    def _where(self, key: str) -> str:
        return self._store.describe(_object(key))


def _object(key: str) -> str:
    return FOLDER + file_safe(key)


def _bound(key: str, used: TokenKey) -> bytes:
    """What is authenticated beside the token."""
    return "\x00".join(("flicker token", str(VERSION), used.key_id, _object(key))).encode()
