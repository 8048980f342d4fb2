"""What a server's answer to the question for a token holds: the token, its end, the next refresh token, and what is told
beside them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from flicker_dagster.config.auth.base import MintsToken
from flicker_dagster.config.auth.oauth2 import OAuth2RefreshToken
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_text import read_json
from flicker_dagster.times import parse_time_ms
from flicker_dagster.transport.exchange import Answer
from flicker_dagster.transport.reasons import shape_of
from flicker_dagster.transport.tokens import Token

#: In `Token.extra`: before the name of what was told beside a token.
TOLD = "told."
LONGEST_TOLD_CHARS = 4 * 1024
#: Greater numbers are times, smaller ones seconds from now.
LONGEST_LIFE_S = 1e9

_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")


class NoToken(Exception):
    """The answer is none that was promised; its text says what was found and expected."""


class Places(msgspec.Struct, frozen=True):
    """Where in an answer everything stands. `of` says what `token` names; `bearer` that the answer may say what kind of
    token it is, and only that kind fits."""

    token: str = "access_token"
    of: Literal["body", "header", "cookie"] = "body"
    expires: str = "expires_in"
    lifetime_ms: int | None = None
    tells: tuple[str, ...] = ()
    refresh: str | None = None
    bearer: bool = True

    @classmethod
    def of_record(cls, record: MintsToken, *, bearer: bool) -> Places:
        refresh = record.refresh_token_field if isinstance(record, OAuth2RefreshToken) else None
        return cls(
            record.token_field,
            record.token_in,
            record.expires_field,
            record.lifetime_ms,
            tuple(record.tells),
            refresh,
            bearer and record.format.startswith("Bearer "),
        )


#: RFC 6749, 5.1.
STANDARD = Places()


def token_in(answer: Answer, places: Places, *, asked_ms: int) -> Token:
    """The token of a good answer. Raises NoToken."""
    value = object_in(answer.body)
    if value is None and places.of == "body":
        raise NoToken(f"{shape_of(answer.body)}, expected a JSON object with {places.token}")
    value = value or {}
    token = _token(answer, value, places)
    if not isinstance(token, str) or not _HEADER_VALUE.fullmatch(token):
        what = f"no {places.token}" if token is None else f"an {places.token} that fits no header"
        raise NoToken(f"{what} ({shape_of(answer.body)}), expected one")
    kind = value.get("token_type")
    if places.bearer and isinstance(kind, str) and kind.lower() != "bearer":
        raise NoToken(f"a token of type {kind[:40]!r}, expected Bearer")
    life_ms = _life_ms(_at(value, places.expires), asked_ms=asked_ms, server_now_ms=answer.server_now_ms)
    life_ms = places.lifetime_ms if life_ms is None else life_ms
    refresh = None if places.refresh is None else _at(value, places.refresh)
    return Token(
        token,
        expires_ms=None if life_ms is None else asked_ms + life_ms,
        refresh=refresh if isinstance(refresh, str) and refresh else None,
        extra=_told(value, places.tells),
        minted_ms=asked_ms,
    )


def object_in(body: bytes) -> dict[str, Any] | None:
    """The JSON object of an answer, or None."""
    try:
        value = read_json(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _token(answer: Answer, value: dict[str, Any], places: Places) -> Any:
    if places.of == "header":
        return answer.headers.get(places.token.lower())
    if places.of == "cookie":
        pairs = [line.partition(";")[0].partition("=") for line in answer.headers.get("set-cookie", "").splitlines()]
        return next((text.strip() for name, _, text in pairs if name.strip() == places.token), None)
    return _at(value, places.token)


def _at(value: dict[str, Any], path: str) -> Any:
    return lookup_any(value, readings(path)) if path else None


def _told(value: dict[str, Any], tells: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in tells:
        told = _at(value, path)
        text = told if isinstance(told, str) else str(told) if isinstance(told, int | float) else ""
        if 0 < len(text) <= LONGEST_TOLD_CHARS:
            found[TOLD + path] = text
    return found


def _life_ms(value: object, *, asked_ms: int, server_now_ms: int | None) -> int | None:
    """How long from the question on: of seconds (some servers send them as text), or of a time by the server's clock. None
    where it says nothing that can be used."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if math.isfinite(seconds) and seconds < LONGEST_LIFE_S:
        return int(seconds * 1000) if seconds >= 0 else None
    ends_ms = parse_time_ms(value)
    if ends_ms is None:
        return None
    return max(0, ends_ms - (asked_ms if server_now_ms is None else server_now_ms))
