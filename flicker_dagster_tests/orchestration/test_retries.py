"""Retries wait 1 s, 2 s, 4 s … capped at 60 s, as documented."""

from __future__ import annotations

import dagster as dg

from flicker_dagster.config.groups import RetryConfig
from flicker_dagster.orchestration.retries import delay_s, retry_policy


def test_delays_double_up_to_the_cap() -> None:
    retry = RetryConfig()
    assert [delay_s(retry, n) for n in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_policy_shown_in_dagster_is_made_from_the_configuration() -> None:
    policy = retry_policy(RetryConfig(max_retries=3, initial_delay_ms=500))
    assert (policy.max_retries, policy.delay, policy.backoff) == (3, 0.5, dg.Backoff.EXPONENTIAL)
