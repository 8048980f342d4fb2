"""Declared limits: no span ever holds more requests than the usable part of its budget, however many ask, and whenever."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.collect.pace import FURTHEST_MS, next_place_ms, paces_of, take, usable
from flicker_dagster.config.rate_limit import RateLimit, RequestBudget

DAY_MS = 86_400_000
START_MS = 1_777_713_247_000.0


def places(config: RateLimit, gaps_ms: list[float]) -> list[float]:
    """When requests are sent by somebody who is ready for the next one so long after the last."""
    paces, taken, found = paces_of(config), {}, [START_MS]
    taken = take(paces, taken, at_ms=START_MS)
    for gap_ms in gaps_ms:
        place_ms = next_place_ms(paces, taken, ready_ms=found[-1] + gap_ms)
        taken = take(paces, taken, at_ms=place_ms)
        found.append(place_ms)
    return found


def most_in(times_ms: list[float], span_ms: float) -> int:
    """The most of them in any span of that length. A rounding error is no request too many."""
    return max(sum(1 for time_ms in times_ms if 0 <= time_ms - first_ms < span_ms - 0.01) for first_ms in times_ms)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, DAY_MS)), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.2, 0.5, 0.95]),
    st.lists(st.one_of(st.just(0.0), st.floats(0, DAY_MS)), max_size=60),
)
def test_no_span_holds_more_than_the_usable_part(
    budgets: list[tuple[int, int]], reserve: float, gaps_ms: list[float]
) -> None:
    config = RateLimit(budgets=[RequestBudget(requests=n, per_ms=ms) for n, ms in budgets], reserve=reserve)
    times_ms = places(config, gaps_ms)
    for requests, per_ms in budgets:
        assert most_in(times_ms, per_ms) <= usable(requests, reserve)


@pytest.mark.parametrize(
    ("requests", "per_ms", "at_once", "an_hour"),
    [(5, 10_000, 1, 1440), (600, 60_000, 120, 21_660), (1800, DAY_MS, 360, 45), (1, 60_000, 1, 60)],
)
def test_a_quarter_may_be_used_at_once_and_the_rest_flows(
    requests: int, per_ms: int, at_once: int, an_hour: float
) -> None:
    config = RateLimit(requests=requests, per_ms=per_ms)
    [pace] = paces_of(config)
    assert pace.burst == at_once
    assert pace.per_hour == pytest.approx(an_hour, rel=0.01)
    times_ms = places(config, [0.0] * (at_once + 1))
    assert times_ms[:at_once] == pytest.approx([START_MS] * at_once, abs=1)
    assert times_ms[at_once] == pytest.approx(START_MS + pace.every_ms)


def test_several_limits_hold_at_the_same_time() -> None:
    config = RateLimit(requests=600, per_ms=60_000, budgets=[RequestBudget(requests=30_000, per_ms=3_600_000)])
    times_ms = places(config, [0.0] * 3_000)
    assert most_in(times_ms[:600], 60_000) <= 480
    assert times_ms[-1] - START_MS > 4 * 60_000


def test_a_limit_comes_down_to_one_request_at_least() -> None:
    assert usable(1, 0.9) == 1
    assert math.isfinite(places(RateLimit(requests=1, per_ms=1_000, reserve=0.9), [0.0])[-1])


def test_what_a_machine_with_a_wrong_clock_wrote_does_not_stop_the_others() -> None:
    paces = paces_of(RateLimit(requests=60, per_ms=60_000))
    far = {paces[0].key: START_MS + 400 * DAY_MS}
    assert next_place_ms(paces, far, ready_ms=START_MS) == START_MS
    near = {paces[0].key: START_MS + FURTHEST_MS}
    assert next_place_ms(paces, near, ready_ms=START_MS) > START_MS


def test_budgets_that_are_whole_again_are_not_kept() -> None:
    first, second = (paces_of(RateLimit(requests=n, per_ms=1_000)) for n in (10, 20))
    taken = take(first, {}, at_ms=START_MS)
    assert set(take(second, taken, at_ms=START_MS + DAY_MS)) == {second[0].key}
    assert set(take(second, taken, at_ms=START_MS)) == {first[0].key, second[0].key}
