"""Google service accounts: an assertion signed with the account's key is traded for an access token (RFC 7523, 2.1;
"Using OAuth 2.0 for Server to Server Applications")."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from flicker_dagster.config.auth import GoogleServiceAccount
from flicker_dagster.config.secrets import resolve
from flicker_dagster.transport.auth_minted import MintedToken, identity
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.token_endpoint import TokenEndpoint
from flicker_dagster.transport.tokens import Token, Tokens

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: The longest that Google accepts.
ASSERTION_S = 3600
LARGEST_KEY_BYTES = 64 * 1024

_ADVICE = {
    "invalid_grant": "check that the account and its key still exist, and this machine's clock",
    "unauthorized_client": "allow the account this scope, by domain-wide delegation where there is a subject",
    "invalid_client": "check the key",
    "invalid_scope": "check scope",
}


class _Key(msgspec.Struct, frozen=True):
    """What is needed of the key file that Google's console gives."""

    type: str
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"

    def __repr__(self) -> str:
        return f"_Key({self.client_email})"


def service_account(
    auth: GoogleServiceAccount,
    *,
    env: Mapping[str, str] | None,
    tokens: Tokens,
    key: str,
    clock: Callable[[], float],
    ends: Callable[[], Deadline | None],
) -> MintedToken:
    """Raises SecretUnset, and ValueError for a key that cannot be used."""
    import jwt
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    found = _key_of(auth, env)
    try:
        private = load_pem_private_key(found.private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the private_key of the service account's key cannot be read, expected a PEM") from None
    if not isinstance(private, RSAPrivateKey):
        raise ValueError("the private_key of the service account's key is no RSA key, expected one")
    subject = None if auth.subject is None else resolve(auth.subject, env=env)
    endpoint = TokenEndpoint(found.token_uri, env=env, clock=clock, ends=ends, advice=_ADVICE)

    def mint() -> Token:
        now_s = int(clock())
        claims = {
            "iss": found.client_email,
            "scope": auth.scope,
            "aud": found.token_uri,
            "iat": now_s,
            "exp": now_s + ASSERTION_S,
            **({} if subject is None else {"sub": subject}),
        }
        named = {"kid": found.private_key_id} if found.private_key_id else {}
        assertion = jwt.encode(claims, private, algorithm="RS256", headers=named)
        return endpoint.ask({"grant_type": GRANT, "assertion": assertion}, secrets=(assertion,))

    return MintedToken(
        mint,
        tokens=tokens,
        key=key,
        identity=identity(
            found.token_uri, found.client_email, found.private_key_id, found.private_key, auth.scope, subject or ""
        ),
        renew_before_ms=auth.renew_before_ms,
        clock=clock,
    )


def _key_of(auth: GoogleServiceAccount, env: Mapping[str, str] | None) -> _Key:
    if auth.key_json is not None:
        where, text = "key_json", resolve(auth.key_json, env=env).encode()
    else:
        path = resolve(auth.key_file or "", env=env)
        where = f"key_file {path}"
        try:
            with open(path, "rb") as file:
                text = file.read(LARGEST_KEY_BYTES)
        except OSError as error:
            raise ValueError(f"{where} cannot be read: {error.strerror}") from None
    try:
        found = msgspec.json.decode(text, type=_Key)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # its words may hold what stands there
        raise ValueError(
            f"{where} is no key of a service account, expected JSON with type, client_email and private_key"
        ) from None
    if found.type != "service_account":
        raise ValueError(f"{where} is a key of type {found.type[:40]!r}, expected service_account")
    return found
