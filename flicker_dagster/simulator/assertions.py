"""Signed assertions (RFC 7523): the key of a simulated account, and what is wrong with what was signed with it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Any

LONGEST_S = 3_600
LEEWAY_S = 300


@cache
def private_key_pem() -> str:
    """An RSA key of 2,048 bits in PKCS #8, the same for the whole process."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@cache
def _public_key() -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(private_key_pem().encode(), password=None).public_key()


class BadAssertion(Exception):
    """It is not signed with the account's key, or says what it may not; the text is for the answer."""


def claims_of(
    assertion: str,
    *,
    audiences: Collection[str],
    clock: Callable[[], float],
    key_id: str | None = None,
    required: Collection[str] = ("iss", "aud", "iat", "exp"),
) -> dict[str, Any]:
    """What an assertion of an hour at most claims; without audiences it may claim none. Raises BadAssertion."""
    import jwt

    try:
        if key_id is not None and jwt.get_unverified_header(assertion).get("kid", key_id) != key_id:
            raise BadAssertion("no key of this id")
        claims: dict[str, Any] = jwt.decode(
            assertion,
            _public_key(),
            algorithms=["RS256"],
            audience=list(audiences) or None,
            options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": list(required)},
        )
    except jwt.PyJWTError as error:
        raise BadAssertion(type(error).__name__) from None
    now_s, exp = clock(), claims.get("exp")
    iat = claims.get("iat", now_s)
    if not isinstance(exp, int | float) or not isinstance(iat, int | float):
        raise BadAssertion("times that are no numbers")
    if not iat - LEEWAY_S <= now_s < exp + LEEWAY_S or exp - iat > LONGEST_S:
        raise BadAssertion("not of this hour, or valid for longer than one")
    return claims
