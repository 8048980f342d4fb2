"""The vendor's quota: what a refusal asks us to wait, what the headers say is left, and the pace between requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from flicker_dagster.config.groups import RateLimit
from flicker_dagster.errors import RateLimited
from flicker_dagster.times import parse_retry_after_s, parse_time_ms

#: Waits are clamped: a reset in the past must not spin, one far away must not hold a source for a day unseen.
MIN_WAIT_S, MAX_WAIT_S = 1.0, 900.0

#: A 429 that says nothing about when to come back.
UNTOLD_WAIT_S = 30.0

#: Names used where the preset or configuration gives none.
USUAL = {
    "limit": ("X-RateLimit-Limit", "X-Rate-Limit-Limit", "RateLimit-Limit"),
    "remaining": ("X-RateLimit-Remaining", "X-Rate-Limit-Remaining", "RateLimit-Remaining"),
    "reset": ("X-RateLimit-Reset", "X-Rate-Limit-Reset"),
}


class Quota:
    """Keeps a share of the vendor's quota for others, and at least `min_interval_ms` between two requests."""

    def __init__(
        self, config: RateLimit, *, max_wait_s: float, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._config = config
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._sleep = sleep
        self._not_before_s = 0.0
        self._last_s = 0.0

    def wait(self, source: str, *, at_most_s: float = math.inf) -> None:
        """Wait before the next request. Raises RateLimited where that would hold the run for too long, or longer than
        `at_most_s`."""
        now_s = self._clock()
        wait_s = max(self._not_before_s - now_s, self._last_s + self._config.min_interval_ms / 1000 - now_s)
        if wait_s > 0 and wait_s > min(self._max_wait_s, at_most_s):
            raise RateLimited(
                f"{source}: the vendor's quota is used up to the reserve (rate_limit.reserve); "
                f"waiting {wait_s:.0f} s for its reset. Increase polling_frequency_ms (poll less frequently)",
                retry_after_s=wait_s,
            )
        if wait_s > 0:
            self._sleep(wait_s)
        self._last_s = self._clock()

    def note(self, headers: Mapping[str, str], *, vendor_now_ms: int | None) -> None:
        """Read what an answer says of the quota; below the reserve nothing is asked before the reset."""
        limit = _number(_header(headers, self._config.limit_header, "limit"))
        remaining = _number(_header(headers, self._config.remaining_header, "remaining"))
        if limit is None or remaining is None or limit <= 0 or remaining > limit * self._config.reserve:
            self._not_before_s = 0.0
            return
        now_ms = vendor_now_ms or int(self._clock() * 1000)
        reset_s = seconds_to_reset(headers, self._config, now_ms=now_ms)
        self._not_before_s = self._clock() + _clamp(reset_s) if reset_s else 0.0


def wait_asked_for_s(status: int, headers: Mapping[str, str], config: RateLimit, *, now_ms: int) -> float | None:
    """Seconds to wait if this refusal is a rate limit, else None.

    429 always is; 403 with nothing remaining or with Retry-After is (GitHub, Google); 503 with Retry-After is.
    """
    told_s = parse_retry_after_s(headers.get("Retry-After"), now_ms=now_ms)
    if status == 403 and told_s is None:
        if _number(_header(headers, config.remaining_header, "remaining")) != 0:
            return None
    elif status not in (403, 429) and not (status == 503 and told_s is not None):
        return None
    if told_s is None:
        told_s = seconds_to_reset(headers, config, now_ms=now_ms)
    return _clamp(UNTOLD_WAIT_S if told_s is None else told_s)


def told_wait_s(headers: Mapping[str, str], config: RateLimit, *, now_ms: int) -> float | None:
    """Seconds that any refusal asks to wait; None where it does not say."""
    told_s = parse_retry_after_s(headers.get("Retry-After"), now_ms=now_ms)
    told_s = seconds_to_reset(headers, config, now_ms=now_ms) if told_s is None else told_s
    return None if told_s is None else _clamp(told_s)


def seconds_to_reset(headers: Mapping[str, str], config: RateLimit, *, now_ms: int) -> float | None:
    """Seconds until the quota is filled again, by the vendor's own clock; None where the headers do not tell."""
    text = _header(headers, config.reset_header, "reset")
    if text is None:
        return None
    if config.reset_format == "seconds":
        return _number(text)
    at_ms = parse_time_ms(text, config.reset_format)
    return None if at_ms is None else (at_ms - now_ms) / 1000


def _header(headers: Mapping[str, str], name: str | None, kind: str) -> str | None:
    for candidate in (name,) if name else USUAL[kind]:
        found = headers.get(candidate)
        if found is not None:
            return found
    return None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _clamp(seconds: float) -> float:
    return min(MAX_WAIT_S, max(MIN_WAIT_S, seconds))
