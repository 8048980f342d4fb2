"""What an answer's headers say of the vendor's quota: how much of it is left, when it is filled again, how long to wait.

Vendors agree on nothing here, so everything is read that documents and clients of them show: three headers whose names differ
in a prefix (Okta, GitHub, GitLab, Auth0), several such sets at once (HubSpot, Linear, LaunchDarkly), all of it in one text
(Zendesk, Salesforce, and `RateLimit` of draft-ietf-httpapi-ratelimit-headers), limits with parameters (Snyk). A reset is a time
of the epoch, an ISO or HTTP date, or seconds to wait, whole (Datadog) or not (HCP Terraform). What cannot be read says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from flicker_dagster.collect.quota_texts import (
    LONGEST_TEXT,
    duration_s,
    first_of,
    groups_of,
    leading,
    number_of,
    parts_of,
    policy_of,
    when,
)
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.times import parse_retry_after_s

#: Waits are clamped: a reset in the past must not spin, one far away must not hold a source for a day unseen.
MIN_WAIT_S, MAX_WAIT_S = 1.0, 900.0

#: A 429 that says nothing about when to come back.
UNTOLD_WAIT_S = 30.0

#: Headers that say when to come back, and what one of them is to a second.
RETRY_HEADERS = {
    "retry-after": 1.0,
    "retry-after-ms": 0.001,
    "x-ms-retry-after-ms": 0.001,
    "x-retry-after": 1.0,
    "x-ratelimit-retry-after": 1.0,
}

#: What the name of a quota says of the span that it is for, seconds.
SPANS_S = {
    "second": 1.0, "secondly": 1.0, "minute": 60.0, "minutely": 60.0, "hour": 3_600.0, "hourly": 3_600.0,
    "day": 86_400.0, "daily": 86_400.0, "api-usage": 86_400.0, "per-app-api-usage": 86_400.0,
}  # fmt: skip

_REMAINING, _LIMIT = ("remaining", "r"), ("limit", "total", "q")
_RESET, _WINDOW = ("reset", "resets", "t"), ("w", "window")

_USED = re.compile(r"([0-9]{1,15})/([0-9]{1,15})")


#: So many sets of header names are remembered.
MOST_PLANS = 16


class Told(msgspec.Struct, frozen=True):
    """One quota, in the vendor's own unit. `reset_s` is how long until it is filled again, `span_s` what it is for."""

    name: str
    remaining: float
    limit: float | None = None
    reset_s: float | None = None
    span_s: float | None = None

    @property
    def refilled_s(self) -> float | None:
        """Seconds until there is more of it, at most; None where nothing tells."""
        return self.span_s if self.reset_s is None else self.reset_s


class _Set(msgspec.Struct, frozen=True):
    """The headers of one quota, by their names in the answer."""

    name: str
    remaining: str
    limit: str | None
    reset: str | None
    period: str | None
    interval_ms: str | None
    span_s: float | None


class _Plan(msgspec.Struct, frozen=True):
    """What to read of answers with the same header names; `texts` may tell quotas in one text."""

    sets: list[_Set]
    texts: list[str]
    policy: str | None


class QuotaReader:
    """Reads the quotas that a vendor's answers tell. Which headers belong together is found out once for each set of names."""

    def __init__(self, config: RateLimit) -> None:
        self._config = config
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._reset: tuple[str, float | None, float | None] = ("", None, None)

    def read(self, headers: Mapping[str, str], *, now_ms: int) -> list[Told]:
        """Every quota that an answer tells. `now_ms` is the time by the vendor's own clock."""
        names = tuple(headers)
        plan = self._plans.get(names)
        if plan is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = self._plans[names] = _plan_of(names, self._config)
        if not plan.texts:
            return []
        found: list[Told] = []
        for each in plan.sets:
            remaining = leading(headers[each.remaining])
            if remaining is not None:
                limit_text = headers[each.limit] if each.limit else None
                reset_s = self._reset_s(headers[each.reset], now_ms) if each.reset else None
                span_s = _span_s(each, headers, limit_text)
                found.append(Told(each.name, remaining, leading(limit_text), reset_s, span_s))
        for name in plan.texts:
            text = headers[name]
            if "=" in text:
                policy = headers[plan.policy][:LONGEST_TEXT] if plan.policy else ""
                found += _of_text(name.lower(), text[:LONGEST_TEXT], policy, self._config, now_ms)
        return found

    def _reset_s(self, text: str, now_ms: int) -> float | None:
        """A time stays the same for a whole span: it is parsed once."""
        if text != self._reset[0]:
            self._reset = (text, *when(text, self._config.reset_format))
        _, at_ms, in_s = self._reset
        return in_s if at_ms is None else (at_ms - now_ms) / 1000


def read_quotas(headers: Mapping[str, str], config: RateLimit, *, now_ms: int) -> list[Told]:
    """`QuotaReader.read`, once."""
    return QuotaReader(config).read(headers, now_ms=now_ms)


def wait_asked_for_s(status: int, headers: Mapping[str, str], config: RateLimit, *, now_ms: int) -> float | None:
    """Seconds to wait if this refusal is a rate limit, else None.

    429 always is; 403 with nothing remaining or with Retry-After is (GitHub, Google); 503 with Retry-After is. A limit that
    only the body tells is a matter of the rules for answers.
    """
    if status not in (403, 429, 503):
        return None
    told_s = _retry_s(headers, config, now_ms=now_ms)
    if told_s is None and status == 503:
        return None
    if told_s is None:
        spent = [told for told in read_quotas(headers, config, now_ms=now_ms) if told.remaining <= 0]
        if status == 403 and not spent:
            return None
        told_s = max((told.refilled_s for told in spent if told.refilled_s is not None), default=None)
    if told_s is None:
        told_s = seconds_to_reset(headers, config, now_ms=now_ms)
    return clamped(UNTOLD_WAIT_S if told_s is None else told_s)


def told_wait_s(headers: Mapping[str, str], config: RateLimit, *, now_ms: int) -> float | None:
    """Seconds that any refusal asks to wait; None where it does not say."""
    told_s = _retry_s(headers, config, now_ms=now_ms)
    told_s = seconds_to_reset(headers, config, now_ms=now_ms) if told_s is None else told_s
    return None if told_s is None else clamped(told_s)


def seconds_to_reset(headers: Mapping[str, str], config: RateLimit, *, now_ms: int) -> float | None:
    """Seconds until the quota is filled again, by the vendor's own clock; of several, the longest. None where the headers
    do not tell."""
    small = {name.lower(): name for name in headers}
    declared = config.reset_header.lower() if config.reset_header else None
    names = [declared] if declared else [name for name in small if "limit" in name and "reset" in name]
    found: list[float] = []
    for name in names:
        if name in small:
            at_ms, in_s = when(headers[small[name]], config.reset_format)
            found += [
                seconds for seconds in (in_s, None if at_ms is None else (at_ms - now_ms) / 1000) if seconds is not None
            ]
    return max(found, default=None)


def clamped(seconds: float) -> float:
    """A wait as it is kept to, whatever was asked for."""
    return min(MAX_WAIT_S, max(MIN_WAIT_S, seconds))


def _plan_of(names: tuple[str, ...], config: RateLimit) -> _Plan:
    """Which of these headers tell a quota. Of each there may be a set of headers, found by the one with what remains."""
    declared = (config.limit_header, config.remaining_header, config.reset_header, config.info_header)
    wanted = {name.lower() for name in declared if name}
    named = {name.lower(): name for name in names if "limit" in name.lower() or name.lower() in wanted}
    if config.remaining_header:
        remaining = [config.remaining_header.lower()]
    else:
        remaining = [name for name in named if "remaining" in name]
    sets = [_set_of(name, named, config) for name in remaining if name in named]
    if config.info_header:
        texts = [named[name] for name in (config.info_header.lower(),) if name in named]
    else:
        texts = [named[name] for name in named if "policy" not in name]
    # Not empty where there is anything to read at all.
    return _Plan(sets, texts or [each.remaining for each in sets], named.get("ratelimit-policy"))


def _set_of(name: str, named: dict[str, str], config: RateLimit) -> _Set:
    base = name.removesuffix("-remaining")
    limits: list[str] = []
    resets: list[str] = []
    if base == name and "remaining" in name:  # x-ratelimit-remaining-requests
        limits, resets = [name.replace("remaining", "limit")], [name.replace("remaining", "reset")]
    elif base != name:
        limits = [f"{base}-limit", base, f"{base}-max"]
        resets = [f"{base}-reset", f"{base}-resettime", f"{base.rpartition('-')[0]}-reset"]
    limits = [config.limit_header.lower()] if config.limit_header else limits
    resets = [config.reset_header.lower()] if config.reset_header else resets
    return _Set(
        base,
        named[name],
        next((named[each] for each in limits if each in named), None),
        next((named[each] for each in resets if each in named), None),
        named.get(f"{base}-period"),
        named.get(f"{base}-interval-milliseconds"),
        SPANS_S.get(base.rpartition("-")[2]),
    )


def _span_s(each: _Set, headers: Mapping[str, str], limit_text: str | None) -> float | None:
    """The span of a quota: its window in the limit's text, a header of its own, or what its name says."""
    if limit_text and ";" in limit_text:
        window = number_of(dict(parts_of(limit_text[:LONGEST_TEXT])).get("w"))
        if window is not None:
            return window
    if each.period is not None:
        return leading(headers[each.period])
    if each.interval_ms is not None:
        interval_ms = leading(headers[each.interval_ms])
        return None if interval_ms is None else interval_ms / 1000
    return each.span_s


def _of_text(name: str, text: str, policy_text: str, config: RateLimit, now_ms: int) -> list[Told]:
    """Quotas that are told in one text, a list of keys and values."""
    found: list[Told] = []
    for number, group in enumerate(groups_of(text)):
        for key, value in group.items():
            used = _USED.fullmatch(value)
            if used is not None:  # Sforce-Limit-Info: api-usage=18/5000
                limit = float(used[2])
                found.append(Told(key, limit - float(used[1]), limit, None, SPANS_S.get(key)))
        remaining = first_of(group, _REMAINING)
        if remaining is None:
            continue
        policy = policy_of(group, number, groups_of(policy_text))
        limit = first_of(group, _LIMIT)
        at_ms, in_s = when(next((group[key] for key in _RESET if key in group), ""), config.reset_format)
        found.append(
            Told(
                group.get("", name),
                remaining,
                first_of(policy, _LIMIT) if limit is None else limit,
                in_s if at_ms is None else (at_ms - now_ms) / 1000,
                first_of(group | policy, _WINDOW),
            )
        )
    return found


def _retry_s(headers: Mapping[str, str], config: RateLimit, *, now_ms: int) -> float | None:
    small = {name.lower(): headers[name] for name in headers}
    declared = {config.retry_after_header.lower(): 1.0} if config.retry_after_header else {}
    for name, unit_s in (declared | RETRY_HEADERS).items():
        text = small.get(name)
        if text is None:
            continue
        text = text[:LONGEST_TEXT].strip()
        if declared.get(name) is not None:
            at_ms, found_s = when(text, "auto")
            found_s = found_s if at_ms is None else (at_ms - now_ms) / 1000
        else:
            found_s = parse_retry_after_s(text, now_ms=now_ms)
            found_s = duration_s(text) if found_s is None else found_s * unit_s
        if found_s is not None:
            return found_s
    return None
