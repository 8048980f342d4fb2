"""Signed assertions (RFC 7523), as a server looks at them: signature, audience, time, and each of them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

CLOCK_LEEWAY_S = 300
LONGEST_S = 3600
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class Assertions:
    """`audience` gives the address that they have to be for; `required` names claims that they must have beside the usual."""

    def __init__(
        self, audience: Callable[[], str], *, clock: Callable[[], float], required: tuple[str, ...] = ()
    ) -> None:
        self._audience = audience
        self._clock = clock
        self._required = required
        self._known_ids: set[str] = set()
        self.seen: list[dict[str, Any]] = []

    def fault_of(self, assertion: str, keys: Mapping[str, bytes], *, subject: str | None = None) -> str | None:
        """What is wrong with one; `keys` are those of issuers. `subject` is whom it has to be about, if anybody."""
        import jwt

        try:
            issuer = jwt.decode(assertion, options={"verify_signature": False}).get("iss", "")
            if issuer not in keys:
                return "Invalid grant: account not found"
            claims: dict[str, Any] = jwt.decode(
                assertion,
                keys[issuer],
                algorithms=_ALGORITHMS,
                audience=self._audience(),
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "require": ["iss", "aud", "iat", "exp", *self._required],
                },
            )
        except jwt.PyJWTError as error:
            return f"Invalid JWT: {type(error).__name__}"
        self.seen.append(claims)
        if subject is not None and claims.get("sub") != subject:
            return "Invalid JWT: sub is not the client"
        if claims.get("jti") in self._known_ids:
            return "Invalid JWT: jti was used before"
        self._known_ids |= {claims["jti"]} if "jti" in claims else set()
        now_s = self._clock()
        timely = claims["iat"] - CLOCK_LEEWAY_S <= now_s < claims["exp"] + CLOCK_LEEWAY_S
        if not timely or claims["exp"] - claims["iat"] > LONGEST_S:
            return (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
        return None
