"""How Flicker's errors become Dagster retries and failures that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import random

import dagster as dg

from flicker_dagster.config.models import RetryConfig, SourceConfig
from flicker_dagster.errors import (
    CollectError,
    DeliverError,
    FlickerError,
    RegistryUnreadable,
    SecretUnset,
    StateError,
)
from flicker_dagster.orchestration import names

#: Share of a delay that is drawn at random, so that sources that failed together do not come back together.
JITTER = 0.1
MAX_ERROR_TAG = 300


def retry_policy(retry: RetryConfig) -> dg.RetryPolicy:
    """1 s, 2 s, 4 s … as documented. The cap is `delay_s`'s: Dagster's policy has none."""
    return dg.RetryPolicy(
        max_retries=retry.max_retries,
        delay=retry.initial_delay_ms / 1000,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.PLUS_MINUS,
    )


def delay_s(retry: RetryConfig, retry_number: int) -> float:
    """Wait before retry `retry_number` (0 for the first): doubling from the initial delay, capped."""
    return min(retry.max_delay_ms, retry.initial_delay_ms * 2**retry_number) / 1000


@contextmanager
def as_dagster(context: dg.OpExecutionContext, source: SourceConfig) -> Iterator[None]:
    """Turn an error of the pipeline into `RetryRequested` or `Failure`.

    What the vendor or SIEM asked us to wait is kept to: in the run where that is short, else the run ends and the sensor
    resumes then. What nobody can mend by waiting fails at once. The message is left on the run as a tag, where the sensor
    finds it for its skip reason.
    """
    try:
        yield
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt) as interrupt:
        # Dagster's retry policy would begin the op anew, and a run terminated in the UI would go on.
        message = f"{source.name}: terminated; what was fetched waits in the spool and the next run goes on from there"
        raise dg.Failure(description=message, allow_retries=False) from interrupt
    except FlickerError as error:
        message = str(error)
        asked_s = getattr(error, "retry_after_s", None)
        too_long = asked_s is not None and asked_s * 1000 > source.limits.max_wait_ms
        if _retryable(error) and not too_long and context.retry_number < source.retry.max_retries:
            wait_s = delay_s(source.retry, context.retry_number) * (1 + JITTER * random())
            wait_s = max(wait_s, asked_s or 0.0)
            context.log.warning(f"{message} — retry {context.retry_number + 1} in {wait_s:.1f} s")
            raise dg.RetryRequested(max_retries=source.retry.max_retries, seconds_to_wait=wait_s) from error
        tags = {names.ERROR_TAG: message[:MAX_ERROR_TAG]}
        if asked_s:
            tags[names.RESUME_TAG] = f"{_now_s() + asked_s:.3f}"
        context.instance.add_run_tags(context.run_id, tags)
        raise dg.Failure(description=message, allow_retries=False) from error


def _retryable(error: FlickerError) -> bool:
    if isinstance(error, CollectError | DeliverError):
        return error.retryable
    if isinstance(error, RegistryUnreadable | SecretUnset):
        return False
    return isinstance(error, StateError)


def _now_s() -> float:
    import time

    return time.time()
