"""Every way in which vendors tell their quota is read, and no text of theirs raises or waits for longer than is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from flicker_dagster.collect.quota import Quota
from flicker_dagster.collect.quota_headers import MAX_WAIT_S, MIN_WAIT_S, Told, read_quotas, wait_asked_for_s
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.errors import RateLimited

NOW_S = 1_777_713_247  # 2026-05-02T09:14:07Z
NOW_MS = NOW_S * 1000
DAY_S = 86_400.0

#: What an answer says, and the quotas it tells: name, remaining, limit, seconds to the reset, span.
CONVENTIONS: dict[str, tuple[dict[str, str], list[tuple[Any, ...]]]] = {
    "epoch seconds (Okta)": (
        {"X-Rate-Limit-Limit": "120", "X-Rate-Limit-Remaining": "7", "X-Rate-Limit-Reset": str(NOW_S + 9)},
        [("x-rate-limit", 7, 120, 9, None)],
    ),
    "epoch seconds (Auth0)": (
        {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "49", "x-ratelimit-reset": str(NOW_S + 1)},
        [("x-ratelimit", 49, 50, 1, None)],
    ),
    "epoch seconds without X (GitLab)": (
        {"RateLimit-Limit": "600", "RateLimit-Observed": "67", "RateLimit-Remaining": "533",
         "RateLimit-Reset": str(NOW_S + 30), "RateLimit-ResetTime": "Sat, 02 May 2026 09:14:37 GMT"},
        [("ratelimit", 533, 600, 30, None)],
    ),
    "an HTTP date": (
        {"RateLimit-Limit": "600", "RateLimit-Remaining": "0", "RateLimit-ResetTime": "Sat, 02 May 2026 09:14:37 GMT"},
        [("ratelimit", 0, 600, 30, None)],
    ),
    "epoch milliseconds and no limit (LaunchDarkly)": (
        {"X-Ratelimit-Global-Remaining": "4", "X-Ratelimit-Route-Remaining": "1",
         "X-Ratelimit-Reset": str(NOW_MS + 2_500)},
        [("x-ratelimit-global", 4, None, 2.5, None), ("x-ratelimit-route", 1, None, 2.5, None)],
    ),
    "seconds to wait, and the span (Datadog)": (
        {"X-RateLimit-Limit": "100", "X-RateLimit-Period": "60", "X-RateLimit-Remaining": "3",
         "X-RateLimit-Reset": "12"},
        [("x-ratelimit", 3, 100, 12, 60)],
    ),
    "a fraction of seconds to wait (HCP Terraform)": (
        {"X-RateLimit-Limit": "30", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0.725"},
        [("x-ratelimit", 0, 30, 0.725, None)],
    ),
    "seconds to wait and no limit (Netskope)": (
        {"ratelimit-remaining": "0", "ratelimit-reset": "4"},
        [("ratelimit", 0, None, 4, None)],
    ),
    "an ISO time to the minute (Atlassian)": (
        {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "2026-05-02T09:15Z"},
        [("x-ratelimit", 1, 10, 53, None)],
    ),
    "a limit with parameters (Snyk)": (
        {"X-RateLimit-Limit": "160, 160;w=1;name=api", "X-RateLimit-Remaining": "2", "X-RateLimit-Reset": "1"},
        [("x-ratelimit", 2, 160, 1, 1)],
    ),
    "keys and values (Zendesk)": (
        {"Zendesk-RateLimit-tickets-index": "total=100; remaining=7; resets=41"},
        [("zendesk-ratelimit-tickets-index", 7, 100, 41, None)],
    ),
    "a limit whose header has no suffix (Zendesk)": (
        {"X-Rate-Limit": "700", "X-Rate-Limit-Remaining": "699"},
        [("x-rate-limit", 699, 700, None, None)],
    ),
    "what was used (Salesforce)": (
        {"Sforce-Limit-Info": "api-usage=18/5000"},
        [("api-usage", 4982, 5000, None, DAY_S)],
    ),
    "what was used, of two (Salesforce)": (
        {"Sforce-Limit-Info": "api-usage=25/5000; per-app-api-usage=17/250(appName=sample)"},
        [("api-usage", 4975, 5000, None, DAY_S), ("per-app-api-usage", 233, 250, None, DAY_S)],
    ),
    "several pairs (HubSpot)": (
        {"X-HubSpot-RateLimit-Daily": "250000", "X-HubSpot-RateLimit-Daily-Remaining": "249999",
         "X-HubSpot-RateLimit-Secondly": "10", "X-HubSpot-RateLimit-Secondly-Remaining": "1",
         "X-HubSpot-RateLimit-Max": "100", "X-HubSpot-RateLimit-Remaining": "98",
         "X-HubSpot-RateLimit-Interval-Milliseconds": "10000"},
        [("x-hubspot-ratelimit-daily", 249999, 250000, None, DAY_S), ("x-hubspot-ratelimit-secondly", 1, 10, None, 1),
         ("x-hubspot-ratelimit", 98, 100, None, 10)],
    ),
    "several sets (Linear)": (
        {"x-ratelimit-requests-limit": "1500", "x-ratelimit-requests-remaining": "1499",
         "x-ratelimit-requests-reset": str(NOW_MS + 3_600_000), "x-ratelimit-complexity-limit": "250000",
         "x-ratelimit-complexity-remaining": "100", "x-ratelimit-complexity-reset": str(NOW_MS + 60_000)},
        [("x-ratelimit-requests", 1499, 1500, 3600, None), ("x-ratelimit-complexity", 100, 250000, 60, None)],
    ),
    "the unit behind, and durations (OpenAI)": (
        {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59",
         "x-ratelimit-reset-requests": "6m0.5s"},
        [("x-ratelimit-remaining-requests", 59, 60, 360.5, None)],
    ),
    "the draft's structured fields": (
        {"RateLimit": '"burst";r=5;t=2, "daily";r=900;t=5000',
         "RateLimit-Policy": '"daily";q=1000;w=86400,"burst";q=10;w=5'},
        [("burst", 5, 10, 2, 5), ("daily", 900, 1000, 5000, DAY_S)],
    ),
    "the draft's earlier dictionary": (
        {"RateLimit": "limit=100, remaining=50, reset=7", "RateLimit-Policy": "100;w=10"},
        [("ratelimit", 50, 100, 7, 10)],
    ),
    "nothing": ({"Content-Type": "application/json", "X-Figma-Rate-Limit-Type": "low", "X-Limit": "7"}, []),
    "a category, and no figures (Zoom)": ({"X-RateLimit-Category": "Heavy", "X-RateLimit-Type": "QPS"}, []),
    "what cannot be read": ({"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "few"}, []),
}  # fmt: skip


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_quotas_are_read_without_any_configuration(convention: str) -> None:
    headers, expected = CONVENTIONS[convention]
    assert read_quotas(HTTPHeaderDict(headers), RateLimit(), now_ms=NOW_MS) == [Told(*each) for each in expected]


def test_the_scarcest_of_several_pairs_decides() -> None:
    headers, _ = CONVENTIONS["several pairs (HubSpot)"]
    assert held_s(headers) == 1
    assert held_s(headers | {"X-HubSpot-RateLimit-Daily-Remaining": "20000"}) == MAX_WAIT_S
    assert held_s(headers | {"X-HubSpot-RateLimit-Secondly-Remaining": "9"}) == 0


def test_a_daily_allotment_that_is_used_up_to_the_reserve_is_asked_four_times_an_hour() -> None:
    assert held_s({"Sforce-Limit-Info": "api-usage=4001/5000"}) == MAX_WAIT_S
    assert held_s({"Sforce-Limit-Info": "api-usage=3999/5000"}) == 0


def test_a_limit_that_is_not_told_is_at_least_what_was_ever_left() -> None:
    quota = Quota(RateLimit(), max_wait_s=0, clock=lambda: float(NOW_S), sleep=lambda _: None)
    for remaining, wait_s in ((10, 0), (3, 0), (2, 5), (9, 0), (0, 5)):
        headers = {"X-Ratelimit-Route-Remaining": str(remaining), "X-Ratelimit-Reset": str(NOW_MS + 5_000)}
        quota.note(headers, vendor_now_ms=NOW_MS)
        assert wait_of(quota) == wait_s


@pytest.mark.parametrize(
    ("config", "headers", "told"),
    [
        ({"remaining_header": "Left", "limit_header": "Of"}, {"Left": "3", "Of": "9"}, Told("left", 3, 9)),
        (
            {"remaining_header": "X-Sentry-Rate-Limit-Remaining"},
            {"X-Sentry-Rate-Limit-Limit": "40", "x-sentry-rate-limit-remaining": "38", "X-RateLimit-Remaining": "1"},
            Told("x-sentry-rate-limit", 38, 40),
        ),
        ({"info_header": "Usage"}, {"usage": "limit=9; remaining=3; reset=2"}, Told("usage", 3, 9, 2)),
        (
            {"reset_header": "Next-At", "reset_format": "http_date"},
            {"X-RateLimit-Remaining": "3", "X-RateLimit-Limit": "9", "Next-At": "Sat, 02 May 2026 09:14:09 GMT"},
            Told("x-ratelimit", 3, 9, 2),
        ),
    ],
)
def test_headers_of_other_names_are_declared(config: Any, headers: dict[str, str], told: Told) -> None:
    assert read_quotas(headers, RateLimit(**config), now_ms=NOW_MS) == [told]


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {"Retry-After": "2.128"}, 2.128),  # Graph
        (429, {"retry-after": "2026-05-02T09:14:37Z"}, 30),  # Zoom
        (429, {"Retry-After-Ms": "2500"}, 2.5),
        (429, {"Retry-After": "1m30s"}, 90),
        (429, {"X-RateLimit-Reset": "0.725"}, MIN_WAIT_S),
        (429, {"X-RateLimit-Reset": "2026-05-02T09:15Z"}, 53),
        (429, {"RateLimit-Limit": "60", "RateLimit-Remaining": "0", "RateLimit-Reset": str(NOW_S + 20)}, 20),
        (429, {"X-Rate-Limit-Limit": "0", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": str(NOW_S + 5)}, 5),
        (429, {"Zendesk-RateLimit-x": "total=10; remaining=0; resets=41"}, 41),
        (403, {"Sforce-Limit-Info": "api-usage=5000/5000"}, MAX_WAIT_S),
        (403, {"X-RateLimit-Limit": "30", "X-RateLimit-Reset": str(NOW_S + 12)}, None),
        (429, CONVENTIONS["several pairs (HubSpot)"][0] | {"X-HubSpot-RateLimit-Secondly-Remaining": "0"}, 1),
    ],
)
def test_a_refusal_says_when_to_come_back(status: int, headers: dict[str, str], wait_s: float | None) -> None:
    assert wait_asked_for_s(status, headers, RateLimit(), now_ms=NOW_MS) == wait_s


def test_a_declared_header_of_a_refusal_comes_before_retry_after() -> None:
    config = RateLimit(retry_after_header="X-RateLimit-Reset")  # Datadog
    headers = {"Retry-After": "60", "X-RateLimit-Reset": "7"}
    assert wait_asked_for_s(429, headers, config, now_ms=NOW_MS) == 7
    assert wait_asked_for_s(429, {"Retry-After": "60"}, config, now_ms=NOW_MS) == 60


NAMES = sorted({name for headers, _ in CONVENTIONS.values() for name in headers} | {"Retry-After", "Retry-After-Ms"})
TEXTS = st.one_of(
    st.text(max_size=700),
    st.sampled_from([text for headers, _ in CONVENTIONS.values() for text in headers.values()]),
    st.sampled_from(["nan", "inf", "-inf", "1e999", "9" * 400, "-5", "0", "1_0", "٣", "0x10", "a" * 60_000, "a=" * 9_000]),
    st.from_regex(r"[0-9a-z=;,./\" TZ:+-]{0,60}"),
    st.integers(-(10**30), 10**30).map(str),
    st.floats().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
)  # fmt: skip


@pytest.mark.fuzz
@given(
    headers=st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=8),
    status=st.sampled_from([200, 403, 429, 503]),
    reset_format=st.sampled_from(["auto", "unix", "unix_ms", "seconds", "iso8601", "http_date"]),
)
def test_no_text_of_a_header_raises_or_waits_for_longer_than_is_allowed(
    headers: dict[str, str], status: int, reset_format: Any
) -> None:
    config = RateLimit(reset_format=reset_format)
    asked_s = wait_asked_for_s(status, headers, config, now_ms=NOW_MS)
    assert asked_s is None or MIN_WAIT_S <= asked_s <= MAX_WAIT_S
    assert held_s(headers, config) == 0 or MIN_WAIT_S <= held_s(headers, config) <= MAX_WAIT_S


def held_s(headers: dict[str, str], config: RateLimit | None = None) -> float:
    """How long the next request waits after an answer with these headers."""
    quota = Quota(config or RateLimit(), max_wait_s=0, clock=lambda: float(NOW_S), sleep=lambda _: None)
    quota.note(headers, vendor_now_ms=NOW_MS)
    return wait_of(quota)


def wait_of(quota: Quota) -> float:
    try:
        quota.wait("source")
    except RateLimited as limited:
        return limited.retry_after_s or -1
    return 0
