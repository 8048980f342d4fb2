"""What an exchange tells of the account beside the events: who is asking, with which rights, and whose clock is wrong."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from flicker_dagster.collect.heard import Heard
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.times import parse_http_date_ms, parse_time_ms

#: Headers of answers that name the account, the person or the application.
WHO_HEADERS = (
    "x-ausername", "x-aaccountid", "x-user-id", "x-oauth-client-id", "openai-organization", "anthropic-organization-id",
)  # fmt: skip

#: Claims of a token that is a JWT: who, for which application, of which organization.
WHO_CLAIMS = (
    "upn", "preferred_username", "email", "unique_name", "sub", "app_displayname", "client_id", "appid", "azp", "cid",
    "tid", "org_id", "iss",
)  # fmt: skip

#: Claims and headers that list rights (RFC 8693's scope, Okta's and Microsoft's scp, Microsoft's roles; GitHub and Slack).
RIGHTS_CLAIMS = ("scope", "scp", "roles")
RIGHTS_HEADER, WANTED_HEADER = "x-oauth-scopes", "x-accepted-oauth-scopes"

#: Where refusals name the right that is missing.
WANTED_FIELDS = ("needed", "required_scope", "error.required_scope")

_JWT = re.compile(r"[A-Za-z0-9_-]{8,}\.([A-Za-z0-9_-]{8,})\.[A-Za-z0-9_-]*")
_WANTED_SCOPE = re.compile(r'scope="([^"]{1,500})"')
_SPLIT = re.compile(r"[\s,]+")


class Told(msgspec.Struct, frozen=True):
    """`who` are pairs of a label and a value; `rights` is None where nothing tells them; `missing` are rights that a refusal
    names. `ends_ms` is when the token ends, `ahead_ms` how far the vendor's clock is ahead of ours (0 where it may be the
    same, None where it tells none)."""

    who: list[tuple[str, str]]
    rights: list[str] | None
    missing: list[str]
    ends_ms: int | None
    ahead_ms: int | None


def told_by(heard: Heard) -> Told:
    headers = {name.lower(): value for name, value in heard.headers.items()}
    claims = _claims(heard.request.headers)
    who = [(name, str(claims[name])) for name in WHO_CLAIMS if isinstance(claims.get(name), str | int)]
    who += [(name, headers[name]) for name in WHO_HEADERS if headers.get(name)]
    rights = [word for name in RIGHTS_CLAIMS for word in _words(claims.get(name))] or None
    if rights is None and RIGHTS_HEADER in headers:
        rights = _words(headers[RIGHTS_HEADER])
    expiry = claims.get("exp")
    told_end = headers.get("github-authentication-token-expiration")
    return Told(
        who,
        rights,
        list(_missing(heard, headers, rights or [])),
        parse_time_ms(expiry, "unix") if expiry is not None else parse_time_ms(told_end),
        ahead_ms(heard, headers),
    )


def ahead_ms(heard: Heard, headers: Mapping[str, str]) -> int | None:
    """How far the vendor's clock is ahead of ours. Its Date is cut to the second, and was written at some instant between
    the request and the answer: what lies within that is no difference."""
    date_ms = parse_http_date_ms(headers.get("date"))
    if date_ms is None:
        return None
    least_ms, most_ms = date_ms - heard.got_ms, date_ms + 999 - heard.sent_ms
    return 0 if least_ms <= 0 <= most_ms else least_ms if least_ms > 0 else most_ms


def _missing(heard: Heard, headers: Mapping[str, str], rights: list[str]) -> Iterator[str]:
    if heard.status < 400:
        return
    asked = _WANTED_SCOPE.search(headers.get("www-authenticate", ""))
    if asked is not None:
        yield from (word for word in _words(asked[1]) if word not in rights)
    accepted = _words(headers.get(WANTED_HEADER))
    if accepted and RIGHTS_HEADER in headers and not set(accepted) & set(rights):
        yield " or ".join(accepted)
    try:
        said = json.loads(heard.refusal)
    except (ValueError, RecursionError):
        return
    for path in WANTED_FIELDS:
        found = lookup_any(said, readings(path)) if isinstance(said, dict) else None
        if isinstance(found, str):
            yield from (word for word in _words(found) if word not in rights)


def _claims(headers: Mapping[str, str]) -> dict[str, Any]:
    """What a token says of itself, where it is a JWT. Not verified: that is the vendor's business."""
    for value in headers.values():
        found = _JWT.search(value)
        if found is None:
            continue
        try:
            claims = json.loads(base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)))
        except (ValueError, RecursionError):
            continue
        if isinstance(claims, dict):
            return claims
    return {}


def _words(value: object) -> list[str]:
    if isinstance(value, list):
        return [each for each in value if isinstance(each, str)]
    return [word for word in _SPLIT.split(value) if word] if isinstance(value, str) else []
