"""Signing with a private key: JSON Web Tokens (RFC 7519), and what their texts may say of the key."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from pydantic import JsonValue

from flicker_dagster.config.auth.signed import SigningKey
from flicker_dagster.config.placeholders import fill, fill_all
from flicker_dagster.config.secrets import resolve
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.lazy import lazy
from flicker_dagster.transport.token_answer import object_in

LARGEST_KEY_BYTES = 64 * 1024
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
#: In claims: another UUID each time they are signed.
NEW_UUID = "\x00uuid"


class Signer:
    """One private key. Thread-safe.

    Raises SecretUnset, and ValueError for a key that cannot be read or does not fit the algorithm, in words without it.
    """

    def __init__(self, record: SigningKey, *, env: Mapping[str, str] | None, fresh: bool = False) -> None:
        self._record = record
        self._env = env
        self._fresh = fresh
        self._where, self._text = self._read()
        self._json = object_in(self._text.encode()) if self._text.lstrip().startswith("{") else None
        self._private = self._loaded()
        self.key_id = self._key_id()
        self._headers = {name: self.filled(text) for name, text in record.assertion_headers.items()}

    def __repr__(self) -> str:
        return f"Signer({self._where})"

    @property
    def identity(self) -> str:
        """What tells this key and its use from others; as secret as the key."""
        return "\n".join((self._text, self.key_id or "", self._record.algorithm, repr(sorted(self._headers.items()))))

    def filled(self, template: str, also: Mapping[str, str] | None = None) -> str:
        """A template with what it says of the key, and `also` other names. Raises ValueError for what the key does not
        hold, SecretUnset."""
        return fill(template, self._values(also), env=self._env, fresh=self._fresh)

    def claims(self, claims: Mapping[str, JsonValue], also: Mapping[str, str] | None = None) -> dict[str, JsonValue]:
        """Declared claims, filled in but for what each signature has anew."""
        found = fill_all(
            dict(claims), self._values({"uuid": NEW_UUID, **(also or {})}), env=self._env, fresh=self._fresh
        )
        assert isinstance(found, dict)
        return found

    def signed(self, claims: Mapping[str, JsonValue], now_s: float) -> str:
        """A JWT of claims, and of when they are good."""
        import jwt

        issued_s = int(now_s) - self._record.backdated_ms // 1000
        life_s = max(1, self._record.assertion_ms // 1000)
        filled = {"iat": issued_s, "exp": int(now_s) + life_s, **_with_uuid(dict(claims))}
        headers = self._headers if self.key_id is None else {"kid": self.key_id, **self._headers}
        return jwt.encode(filled, self._private, algorithm=self._record.algorithm, headers=headers)

    # -- the key

    def _read(self) -> tuple[str, str]:
        record = self._record
        for name in ("key_json", "key_pem"):
            template = getattr(record, name)
            if template is not None:
                return name, resolve(template, env=self._env, fresh=self._fresh)
        path = resolve(record.key_file or "", env=self._env, fresh=self._fresh)
        try:
            with open(path, "rb") as file:
                return f"key_file {path}", file.read(LARGEST_KEY_BYTES).decode()
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no path
            why = getattr(error, "strerror", None) or "it is no text"
            raise ValueError(f"key_file {path} cannot be read: {why}; check the path and its permissions") from None

    def _loaded(self) -> Any:
        import jwt
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        record = self._record
        if self._json is not None and "kty" in self._json:
            try:
                private = jwt.PyJWK.from_dict(self._json, algorithm=record.algorithm).key
            except (jwt.PyJWTError, ValueError, TypeError, KeyError):
                raise self._unfit("is a JWK that cannot be read") from None
            return self._fitting(private)
        pem = self._pem()
        secret = None if record.key_passphrase is None else self.filled(record.key_passphrase).encode()
        try:
            return self._fitting(load_pem_private_key(pem.encode(), password=secret))
        except TypeError:  # encrypted and no passphrase, or the other way round
            what = "is encrypted and key_passphrase is missing" if secret is None else "is not encrypted"
            raise ValueError(f"{self._where} {what}, expected a PEM that fits key_passphrase") from None
        except (ValueError, UnsupportedAlgorithm) as error:
            if isinstance(error, _Unfit):
                raise
            hint = " (or the passphrase is wrong)" if secret else ""
            raise ValueError(f"{self._where} holds a private key that cannot be read{hint}, expected a PEM") from None

    def _pem(self) -> str:
        if self._json is None:
            if "-----BEGIN" not in self._text:
                raise ValueError(f"{self._where} is no private key, expected a PEM, a JWK, or JSON that holds a PEM")
            pem = self._text
        else:
            pem = lookup_any(self._json, readings(self._record.key_field))
            if not isinstance(pem, str):
                names = ", ".join(map(str, self._json))[:200] or "nothing"
                raise ValueError(
                    f"{self._where} holds no private key at {self._record.key_field} (it has {names}), expected a PEM there; "
                    "check that it is the key's file, and key_field"
                )
        return pem.replace("\\n", "\n")  # as variables hold it

    def _fitting(self, private: Any) -> Any:
        from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

        kinds = {
            "RS": rsa.RSAPrivateKey,
            "PS": rsa.RSAPrivateKey,
            "ES": ec.EllipticCurvePrivateKey,
            "Ed": (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey),
        }
        algorithm = self._record.algorithm
        if not isinstance(private, kinds[algorithm[:2]]):
            raise self._unfit(f"is no private key for {algorithm}")
        curves = {"ES256": 256, "ES384": 384, "ES512": 521}
        if algorithm in curves and private.key_size != curves[algorithm]:
            raise self._unfit(f"is a key of {private.key_size} bits, which {algorithm} does not sign with")
        return private

    def _unfit(self, what: str) -> _Unfit:
        return _Unfit(f"{self._where} {what}; check the key and algorithm")

    def _key_id(self) -> str | None:
        if self._record.key_id is not None:
            return self.filled(self._record.key_id)
        named = [(self._json or {}).get(name) for name in ("kid", "private_key_id")]
        return next((name for name in named if isinstance(name, str) and name), None)

    # -- what texts may say of it

    def _values(self, also: Mapping[str, str] | None) -> Callable[[str], str]:
        def value(name: str) -> str:
            if also and name in also:
                return also[name]
            if name == "uuid":
                return str(uuid.uuid4())
            if name == "key_sha256":
                return self._fingerprint
            if name.startswith("certificate_"):
                return self._certificate(name.removeprefix("certificate_"))
            return self._member(name.removeprefix("key."))

        return value

    def _member(self, path: str) -> str:
        found = None if self._json is None else lookup_any(self._json, readings(path))
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        if not isinstance(found, str):
            raise ValueError(f"{self._where} holds no text at {path}, expected one for {{key.{path}}}")
        return found

    @lazy
    def _fingerprint(self) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(sha256(public).digest()).decode()

    def _certificate(self, hash_name: str) -> str:
        """As `x5t` and `x5t#S256` want it (RFC 7515, 4.1.7)."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.x509 import load_pem_x509_certificate

        found = _CERTIFICATE.search(self._text)
        if found is None:
            raise ValueError(f"{self._where} holds no certificate, expected one beside the key")
        try:
            certificate = load_pem_x509_certificate(found[0].encode())
        except ValueError:
            raise ValueError(f"{self._where} holds a certificate that cannot be read") from None
        digest = certificate.fingerprint(hashes.SHA1() if hash_name == "sha1" else hashes.SHA256())
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class _Unfit(ValueError):
    """A key that can be read, and does not sign as it is to."""


def _with_uuid(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(NEW_UUID, str(uuid.uuid4())) if NEW_UUID in value else value
    if isinstance(value, list):
        return [_with_uuid(each) for each in value]
    return {key: _with_uuid(each) for key, each in value.items()} if isinstance(value, dict) else value
