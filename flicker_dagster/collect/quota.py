"""The vendor's quota: a share of it is left to others, told in headers or declared, over all that use the account."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from flicker_dagster.collect.account import Account, Book
from flicker_dagster.collect.pace import next_place_ms, paces_of, take
from flicker_dagster.collect.quota_headers import (
    MAX_WAIT_S,
    MIN_WAIT_S,
    UNTOLD_WAIT_S,
    QuotaReader,
    Told,
    clamped,
    seconds_to_reset,
    told_wait_s,
    wait_asked_for_s,
)
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.errors import RateLimited

__all__ = [
    "MAX_WAIT_S", "MIN_WAIT_S", "UNTOLD_WAIT_S", "Quota", "seconds_to_reset", "told_wait_s", "wait_asked_for_s",
]  # fmt: skip


class Quota:
    """Keeps a share of the vendor's quota for others, and at least `min_interval_ms` between two requests.

    `book` is where this account's notes lie that other runs read as well; without one, nothing is shared.
    """

    def __init__(
        self,
        config: RateLimit,
        *,
        max_wait_s: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        book: Book | None = None,
    ) -> None:
        self._config = config
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._sleep = sleep
        self._reader = QuotaReader(config)
        self._account = Account(book, clock=clock)
        late_ms, least_ms = (0.0, 0) if book is None else (book.ahead_ms, book.least_per_ms)
        self._paces = paces_of(config, used_late_ms=late_ms, least_per_ms=least_ms)
        #: What this process keeps by itself, where what is shared is kept over longer spans.
        self._own_paces = paces_of(config) if least_ms else []
        self._own: dict[str, float] = {}
        self._not_before_s = 0.0
        self._last_s = 0.0
        self._most: dict[str, float] = {}

    def wait(self, source: str, *, at_most_s: float = math.inf) -> None:
        """Wait before the next request. Raises RateLimited where that would hold the run for too long, or longer than
        `at_most_s`."""
        now_s = self._clock()
        latest_s = now_s + min(self._max_wait_s, at_most_s, MAX_WAIT_S)
        held_s = max(self._not_before_s, self._account.held_until_s())
        ready_s = max(now_s, held_s, self._last_s + self._config.min_interval_ms / 1000)
        why = "the vendor's quota is used up to the reserve (rate_limit.reserve), or it asked for a pause"
        if self._paces and ready_s <= max(now_s, latest_s):
            if self._own_paces:
                ready_s = next_place_ms(self._own_paces, self._own, ready_ms=ready_s * 1000) / 1000
            place_s = self._account.place_s(self._paces, ready_s=ready_s, latest_s=max(now_s, latest_s))
            if place_s > ready_s:
                why = "the requests that its limits allow (rate_limit.requests) are used up to the reserve"
            ready_s = place_s
        wait_s = ready_s - now_s
        if wait_s > 0 and ready_s > latest_s:
            raise RateLimited(
                f"{source}: {why}; waiting {clamped(wait_s):.0f} s for its reset. Increase polling_frequency_ms "
                "(poll less frequently)",
                retry_after_s=clamped(wait_s),
            )
        if self._own_paces:
            self._own = take(self._own_paces, self._own, at_ms=ready_s * 1000)
        if wait_s > 0:
            self._sleep(wait_s)
        self._last_s = self._clock()

    def note(self, headers: Mapping[str, str], *, vendor_now_ms: int | None) -> None:
        """Read what an answer says of the quota; below the reserve nothing is asked before the reset."""
        now_s = self._clock()
        quotas = self._reader.read(headers, now_ms=vendor_now_ms or int(now_s * 1000))
        was_held = self._not_before_s > now_s
        waits_s = [wait_s for told in quotas if (wait_s := self._wait_for_s(told)) is not None]
        if waits_s:
            self._not_before_s = now_s + clamped(max(waits_s))
            self._account.hold(self._not_before_s, reserve=True)
        else:
            self._not_before_s = 0.0
            if was_held:
                self._account.free()
        if quotas:
            self._account.note(min(quotas, key=self._share_left))

    def hold(self, wait_s: float) -> None:
        """The vendor asked for a pause, by a refusal or in an answer's body: nobody who uses this account asks before."""
        self._account.hold(self._clock() + clamped(wait_s))

    def _wait_for_s(self, told: Told) -> float | None:
        """How long a quota that is down to the reserve has to be waited for; None where there is more, or nothing tells."""
        limit = told.limit
        if limit is None:  # the most that was ever left, and the request that was answered, are the least it can be
            limit = self._most[told.name] = max(told.remaining + 1, self._most.get(told.name, 0.0))
        elif limit <= 0:
            return None
        return None if told.remaining > limit * self._config.reserve else told.refilled_s

    def _share_left(self, told: Told) -> float:
        limit = told.limit or self._most.get(told.name) or 0.0
        return told.remaining / limit if limit > 0 else math.inf
