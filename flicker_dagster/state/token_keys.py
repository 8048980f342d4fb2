"""The keys that tokens are encrypted with: of the environment, else of a file that is made beside the spool.

`FLICKER_TOKEN_KEY` holds one key or several, with commas or blanks between: the first encrypts, all of them decrypt, so that
a new one can be put in front and the old one be left out later. It may be `${file:/run/secrets/token-key}`.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import re
import secrets
import stat
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import msgspec

from flicker_dagster.config.secrets import resolve
from flicker_dagster.errors import SecretUnset, StateError
from flicker_dagster.state.files import exclusive, replace_file

log = logging.getLogger("flicker.state")

VARIABLE = "FLICKER_TOKEN_KEY"
FILE_NAME = "token-key"
KEY_BYTES = 32
MAKE_ONE = "make one with `openssl rand -base64 32`"

_LARGEST_FILE_BYTES = 64 * 1024
_OTHERS = 0o077


class TokenKey(msgspec.Struct, frozen=True):
    """A key and its public name, which says nothing of it. Its text shows the name only."""

    key_id: str
    secret: bytes

    @classmethod
    def of(cls, secret: bytes) -> TokenKey:
        return cls(blake2b(secret, digest_size=8, person=b"token key id").hexdigest(), secret)

    def __repr__(self) -> str:
        return f"TokenKey({self.key_id})"

    def __rich_repr__(self):
        yield self.key_id


def token_keys(work_dir: Path, env: Mapping[str, str] | None = None) -> tuple[TokenKey, ...]:
    """The keys there are, the one to encrypt with first. Without any a file `token-key` of mode 0600 is made in `work_dir`.
    Raises StateError for what is no key."""
    env = os.environ if env is None else env
    path = work_dir / FILE_NAME
    given = env.get(VARIABLE, "").strip()
    if not given:
        return _keys_in(_file(path) or _made(path), str(path))
    try:
        keys = _keys_in(resolve(given, env=env), VARIABLE)
    except SecretUnset as error:
        raise StateError(f"{VARIABLE}: {error}") from None
    before = _file(path)  # what was encrypted before the variable was set
    others = () if before is None else _keys_in(before, str(path))
    return (*keys, *(key for key in others if key not in keys))


def _keys_in(text: str, where: str) -> tuple[TokenKey, ...]:
    words = re.split(r"[\s,]+", text.strip())
    if words == [""]:
        raise StateError(f"{where} holds no key, expected {KEY_BYTES} bytes as base64 or hex; {MAKE_ONE}")
    return tuple(_key(word, number, len(words), where) for number, word in enumerate(words, 1))


def _key(word: str, number: int, of: int, where: str) -> TokenKey:
    try:
        if re.fullmatch(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", word):
            return TokenKey.of(bytes.fromhex(word))
        padded = word.rstrip("=") + "=" * (-len(word.rstrip("=")) % 4)
        secret = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        which = where if of == 1 else f"key {number} of {where}"
        raise StateError(
            f"{which} is no key: found {len(word)} characters, expected {KEY_BYTES} bytes as base64 or hex; {MAKE_ONE}"
        )
    return TokenKey.of(secret)


def _file(path: Path) -> str | None:
    """The text of the key file, which is closed to others if it was open; None where there is none."""
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & _OTHERS:
                os.fchmod(file.fileno(), mode & ~_OTHERS)
                log.warning("%s could be read by others, and is closed to them now: consider another key", path)
            return file.read(_LARGEST_FILE_BYTES).decode("ascii", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed("read", path, error) from error


def _made(path: Path) -> str:
    """The text of the key file, made by whoever comes first."""
    try:
        with exclusive(path.with_name(f".{path.name}.lock")):
            found = _file(path)
            if found is not None:
                return found
            text = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n"
            replace_file(path, text.encode(), durable=True)
            return text
    except OSError as error:
        raise _failed("make", path, error) from error


def _failed(doing: str, path: Path, error: OSError) -> StateError:
    return StateError(
        f"cannot {doing} the key of tokens {path}: {error.strerror or type(error).__name__}; check the path and its "
        f"permissions, or set {VARIABLE}"
    )
