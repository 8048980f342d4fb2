"""What one attempt at a destination can end in, and how an HTTP answer is judged.

`why` is for people; `status` is the answer's short name, such as `HTTP 400 Bad Request`, empty where there was none.

The vocabulary and the status policy are those of destination-apis.md, sections 1.1 and 1.2: a refusal that somebody
can mend (credentials, address) never costs an event, and only an event that can never be accepted is set aside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from http import HTTPStatus

import msgspec

from flicker_dagster.lots import Receipt
from flicker_dagster.times import parse_retry_after_s

__all__ = [
    "Ambiguous",
    "Blocked",
    "Delivered",
    "Duplicate",
    "Outcome",
    "PerItem",
    "Receipt",
    "Rejected",
    "Retry",
    "Split",
    "classify_http",
    "name_of",
    "status_name",
]

MAX_RETRY_AFTER_S = 900.0

RETRY = frozenset({408, 425, 429})
SPLIT = frozenset({413})
BLOCKED = frozenset({401, 403, 404, 405, 407, 415, 501, 505})
REJECTED = frozenset({400, 422})


class Delivered(msgspec.Struct, frozen=True):
    """The destination took all events, in its own terms."""

    status: str


class Duplicate(msgspec.Struct, frozen=True):
    """The destination proved that it has them already."""

    status: str


class Retry(msgspec.Struct, frozen=True):
    """Not now: try the same bytes again, after `after_s` if it said so.

    Beside a `Rejected` in a `PerItem`, `after_s=0` says that only the refused event stood in the way of this one."""

    why: str
    after_s: float | None = None
    status: str = ""


class Split(msgspec.Struct, frozen=True):
    """Too large as a whole: halve it.

    `teaches`: whatever is no smaller is refused as well, so that it need not be tried. False where the limit is not one of
    the events' bytes, such as that of a compressed body: what was taken then may have more bytes than what was refused, and
    is never to be cut before it is sent again.
    """

    why: str
    teaches: bool = True
    status: str = ""


class Rejected(msgspec.Struct, frozen=True):
    """Something in it can never be accepted: bisect to the guilty event."""

    why: str
    status: str = ""


class Blocked(msgspec.Struct, frozen=True):
    """Nothing will be accepted until somebody changes credentials, permission or address."""

    why: str
    status: str = ""


class Ambiguous(msgspec.Struct, frozen=True):
    """Sent, and no answer that tells: the same bytes go again under the same key."""

    why: str
    status: str = ""


class PerItem(msgspec.Struct, frozen=True):
    """An answer for each event, in their order. None of them is a `Split` or again a `PerItem`. `took` says that some of them
    were taken, where it is not known which."""

    items: tuple[Outcome, ...]
    status: str = ""
    took: bool = False


Outcome = Delivered | Duplicate | Retry | Split | Rejected | Blocked | Ambiguous | PerItem


def classify_http(
    status: int, headers: Mapping[str, str], said: str, *, success_status: Collection[int], now_ms: int
) -> Outcome:
    """The outcome an HTTP answer stands for. `said` is its reason as a log may hold it, or empty."""
    name = status_name(status)
    words = f"{name}: {said}" if said else name
    if status in success_status:
        return Delivered(name)
    if status in SPLIT:
        return Split(words, status=name)
    if status in REJECTED:
        return Rejected(words, name)
    if status in BLOCKED or 300 <= status < 400 or (400 <= status < 500 and status not in RETRY):
        return Blocked(words, name)
    if status in RETRY or status >= 500:
        asked_s = parse_retry_after_s(headers.get("Retry-After"), now_ms=now_ms)
        return Retry(words, None if asked_s is None else min(asked_s, MAX_RETRY_AFTER_S), name)
    return Ambiguous(words, name)  # another 2xx, such as 207: some of it was taken, and we do not know which


@lru_cache(1_000)
def name_of(outcome: Outcome | Receipt) -> str:
    """How an answer is counted and kept: as the server named it, else by its kind."""
    return outcome.status or _WORDS[type(outcome)]


_WORDS: dict[type, str] = {
    Delivered: "taken",
    Duplicate: "known there",
    Receipt: "taken, to be confirmed",
    PerItem: "an answer for each",
    Retry: "not now",
    Split: "too large",
    Rejected: "refused",
    Blocked: "blocked",
    Ambiguous: "no answer",
}


def status_name(status: int) -> str:
    """`HTTP 200 OK`, as the documented log line has it."""
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
