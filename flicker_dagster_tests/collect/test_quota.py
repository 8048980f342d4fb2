"""The vendor's quota: a reserve is left to others, resets are told by the vendor's clock, waits are clamped."""

from __future__ import annotations

from typing import Any

import pytest

from flicker_dagster.collect.quota import Quota, seconds_to_reset, wait_asked_for_s
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.errors import RateLimited

NOW_S = 1_777_713_247.0
NOW_MS = int(NOW_S * 1000)


class Paced:
    """A quota whose sleeps move its own clock."""

    def __init__(self, *, max_wait_s: float = 60.0, **config: Any) -> None:
        self.now_s = NOW_S
        self.slept: list[float] = []
        self.quota = Quota(RateLimit(**config), max_wait_s=max_wait_s, clock=lambda: self.now_s, sleep=self._sleep)

    def answer(self, *, remaining: int, reset_in_s: float = 30, vendor_ahead_s: float = 0) -> None:
        vendor_s = self.now_s + vendor_ahead_s
        headers = {
            "X-RateLimit-Limit": "100",
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(int(vendor_s + reset_in_s)),
        }
        self.quota.note(headers, vendor_now_ms=int(vendor_s * 1000))

    def ask(self) -> float:
        """How long the next request waits, seconds."""
        before = len(self.slept)
        self.quota.wait("source")
        return sum(self.slept[before:])

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@pytest.mark.parametrize(("remaining", "wait_s"), [(100, 0), (21, 0), (20, 30), (0, 30)])
def test_a_fifth_of_the_quota_is_left_to_others(remaining: int, wait_s: float) -> None:
    paced = Paced()
    paced.answer(remaining=remaining)
    assert paced.ask() == pytest.approx(wait_s)


def test_without_a_reserve_the_quota_is_used_up() -> None:
    paced = Paced(reserve=0.0)
    paced.answer(remaining=1)
    assert paced.ask() == 0
    paced.answer(remaining=0)
    assert paced.ask() == pytest.approx(30)


def test_a_renewed_quota_ends_the_wait() -> None:
    paced = Paced()
    paced.answer(remaining=5)
    paced.answer(remaining=99)
    assert paced.ask() == 0


@pytest.mark.parametrize("vendor_ahead_s", [-86_400, -120, 120, 86_400])
def test_the_reset_is_told_by_the_vendors_clock(vendor_ahead_s: float) -> None:
    paced = Paced()
    paced.answer(remaining=0, vendor_ahead_s=vendor_ahead_s)
    assert paced.ask() == pytest.approx(30)


def test_a_wait_longer_than_a_run_should_hold_is_left_to_the_sensor() -> None:
    paced = Paced(max_wait_s=60)
    paced.answer(remaining=0, reset_in_s=600)
    with pytest.raises(RateLimited) as caught:
        paced.ask()
    assert caught.value.retry_after_s == pytest.approx(600)
    assert str(caught.value).startswith("source: the vendor's quota is used up to the reserve")
    assert paced.slept == []


@pytest.mark.parametrize(("reset_in_s", "wait_s"), [(-3_600, 1), (86_400, 900)])
def test_a_reset_in_the_past_or_far_away_is_clamped(reset_in_s: float, wait_s: float) -> None:
    paced = Paced(max_wait_s=10_000)
    paced.answer(remaining=0, reset_in_s=reset_in_s)
    assert paced.ask() == pytest.approx(wait_s)


def test_requests_are_a_least_time_apart() -> None:
    paced = Paced(min_interval_ms=2_000)
    assert paced.ask() == 0
    assert paced.ask() == pytest.approx(2)
    paced.now_s += 1.5
    assert paced.ask() == pytest.approx(0.5)


def test_headers_that_say_nothing_readable_are_no_quota() -> None:
    paced = Paced()
    for headers in ({}, {"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "few"}, {"X-RateLimit-Remaining": "0"}):
        paced.quota.note(headers, vendor_now_ms=None)
        assert paced.ask() == 0


@pytest.mark.parametrize(
    ("reset_format", "text", "seconds"),
    [
        ("unix", str(int(NOW_S) + 7), 7.0),
        ("unix_ms", str(NOW_MS + 7_000), 7.0),
        ("seconds", "7", 7.0),
        ("iso8601", "2026-05-02T09:14:14Z", 7.0),
        ("unix", "soon", None),
    ],
)
def test_a_reset_is_read_in_its_format(reset_format: Any, text: str, seconds: float | None) -> None:
    config = RateLimit(reset_header="Reset-At", reset_format=reset_format)
    assert seconds_to_reset({"Reset-At": text}, config, now_ms=NOW_MS) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {}, 30),
        (429, {"Retry-After": "7"}, 7),
        (429, {"Retry-After": "Sat, 02 May 2026 09:14:17 GMT"}, 10),
        (429, {"Retry-After": "0"}, 1),
        (429, {"Retry-After": "86400"}, 900),
        (429, {"X-RateLimit-Reset": str(int(NOW_S) + 12)}, 12),
        (403, {}, None),
        (403, {"X-RateLimit-Remaining": "3"}, None),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW_S) + 12)}, 12),
        (403, {"Retry-After": "7"}, 7),
        (503, {}, None),
        (503, {"Retry-After": "7"}, 7),
        (500, {"Retry-After": "7"}, None),
        (401, {"Retry-After": "7"}, None),
    ],
)
def test_which_refusals_ask_to_wait_and_how_long(status: int, headers: dict[str, str], wait_s: float | None) -> None:
    assert wait_asked_for_s(status, headers, RateLimit(), now_ms=NOW_MS) == wait_s
