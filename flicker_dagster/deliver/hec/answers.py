"""What an answer of the collector stands for, by the code in its body.

The codes are those of Splunk's "Troubleshoot HTTP Event Collector"; 23 to 27 as several implementations quote them. A code
stands for more than its HTTP status: 400 is a wrong index as well as a broken event.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Outcome, Rejected, Retry, Split, status_name
from flicker_dagster.json_text import read_json
from flicker_dagster.transport.exchange import Answer

SUCCESS = 0
ACK_DISABLED = 14
SLOW_DOWN = frozenset({24, 25})
BUSY = frozenset({8, 9, 18, 19, 20, 23, 26, 27})
#: Refusals that stand for one event of the request.
BAD_EVENT = frozenset({6, 12, 13})

_TOKEN = "check the token, and that it is enabled in Splunk"
_CHANNEL = "set ack: auto or required, so that requests name a channel"

#: Refusals that somebody has to mend, with what to do.
FIXES = {
    1: "enable the token in Splunk",
    2: _TOKEN,
    3: _TOKEN,
    4: _TOKEN,
    5: "the body did not arrive: look at what stands between, and try compression: none",
    7: "create the index, allow it in the token's settings, or change index",
    10: _CHANNEL,
    11: "something between changes the header X-Splunk-Request-Channel",
    14: "tick `Enable indexer acknowledgement` for the token, or set ack: auto",
    15: "change indexed_fields: Splunk refuses them, and every event has them",
    16: "remove the token from url; it is sent as a header",
    17: "the address leads to the health endpoint: check url",
    21: _TOKEN,
    22: "enable the token in Splunk",
}
#: Those of them that are about credentials.
CREDENTIALS = frozenset({1, 2, 3, 4, 16, 21, 22})

#: No counter of Splunk's gets there; what is larger was made up, and nothing could be asked about it.
LARGEST_COUNT = 10**18 - 1

_TOO_LARGE = re.compile(r"too (large|long|big)|larger than|exceed", re.IGNORECASE)


class Said(msgspec.Struct, frozen=True):
    """The members of an answer that count."""

    code: int | None = None
    ack_id: int | None = None
    invalid_event: int | None = None


@dataclass(frozen=True)
class Taken:
    """All events were received. `ack_id` names them where Splunk will tell when they are indexed."""

    ack_id: int | None = None
    slow_down: bool = False


@dataclass(frozen=True)
class RefusedAt:
    """Splunk stopped at the event at `index`: it is refused, those behind it were not read, those before it may have been
    taken, and `ack_id` then tells whether they are indexed."""

    index: int
    ack_id: int | None
    why: str


def read_said(body: bytes) -> Said | None:
    """The collector's answer; None for what is no JSON object."""
    if body.lstrip()[:1] != b"{":
        return None
    try:
        value = read_json(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return Said(*(_count(value.get(name)) for name in ("code", "ackId", "invalid-event-number")))


def judge(
    answer: Answer, said: str, *, count: int, after_s: float | None, plain: bool, credentials: Callable[[], str]
) -> Taken | RefusedAt | Outcome | None:
    """What an answer to a request of `count` events stands for; None where only its HTTP status tells.

    `said` is its reason, masked; `after_s` its Retry-After. `plain`: no acknowledgement is waited for, so that a body which
    did not arrive takes nothing away from a 200. `credentials` finds where they stand in the configuration.
    """
    name = status_name(answer.status)
    words = f"{name}: {said}" if said else name
    read = read_said(answer.body)
    code = None if read is None else read.code
    if answer.status == 413:
        return Split(words)
    if answer.status == 404:
        return Retry(f"{words}; Splunk Cloud says so during maintenance: if it lasts, check url", after_s)
    if answer.status == 200 and (code is None or code == SUCCESS or code in SLOW_DOWN):
        if read is not None:
            return Taken(read.ack_id, slow_down=code in SLOW_DOWN)
        begin = answer.body.lstrip()[:1]
        missing = not begin or (not answer.whole and begin != b"<")
        return Taken() if plain and missing else Ambiguous(f"{words}, expected Splunk's")
    if code in FIXES:
        place = f" (credentials: {credentials()})" if code in CREDENTIALS else ""
        return Blocked(f"{words}; {FIXES[code]}{place}")
    if code in BUSY:
        return Retry(words, after_s)
    if code in BAD_EVENT and read is not None:
        if read.invalid_event is not None and read.invalid_event < count and count > 1:
            return RefusedAt(read.invalid_event, read.ack_id, words)
        return Rejected(words, name)
    if answer.status in (400, 422):
        if _TOO_LARGE.search(said):
            return Split(words)
        if code is None:
            return Blocked(f"{words}; not Splunk's own words: something in between refuses it, check url and the proxy")
    return Ambiguous(words) if answer.status == 200 else None


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT
    return value if is_count else None
