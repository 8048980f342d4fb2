"""How Flicker's errors become Dagster retries and failures that say what to do."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import random

import dagster as dg

from flicker_dagster.config.groups import RetryConfig
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.written import told
from flicker_dagster.errors import (
    CollectError,
    DeliverError,
    FlickerError,
    RegistryUnreadable,
    SecretUnset,
    StateError,
)
from flicker_dagster.orchestration import internals, names
from flicker_dagster.printable import cut_inside, visible

log = logging.getLogger("flicker.run")

PACKAGE = "flicker_dagster"
REMIND_S = 60.0

#: What ticks said in the last minute, and when (monotonic).
_told_s: dict[str, float] = {}

#: Share of a delay that is drawn at random, so that sources that failed together do not come back together.
JITTER = 0.1
#: Characters of an error on its run, where `status` and the sensor's skip reason find it.
MAX_ERROR_TAG = 600


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
    """Turn an error of the pipeline into `RetryRequested` or `Failure`, and tell it in one line in log, run and tag.

    What the vendor or SIEM asked us to wait is kept to: in the run where that is short, else the run ends and the sensor
    resumes then. What nobody can mend by waiting fails at once. The message is left on the run as a tag, where the sensor
    finds it for its skip reason. An error that is none of ours to expect is a defect: it keeps its stack.
    """
    try:
        yield
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt) as interrupt:
        # Dagster's retry policy would begin the op anew, and a run terminated in the UI would go on.
        message = f"{source.name}: terminated; what was fetched waits in the spool and the next run goes on from there"
        log.warning("%s", message)
        raise internals.told_failure(message, kind=type(interrupt).__name__) from None
    except FlickerError as error:
        message, kind = told(error, source), type(error).__name__
        asked_s = getattr(error, "retry_after_s", None)
        too_long = asked_s is not None and asked_s * 1000 > source.limits.max_wait_ms
        if _retryable(error) and not too_long and context.retry_number < source.retry.max_retries:
            wait_s = delay_s(source.retry, context.retry_number) * (1 + JITTER * random())
            wait_s = max(wait_s, asked_s or 0.0)
            log.warning("%s — retry %d in %.1f s", message, context.retry_number + 1, wait_s)
            raise internals.told_retry(
                message, kind=kind, max_retries=source.retry.max_retries, seconds_to_wait=wait_s
            ) from None
        log.error("%s", message)
        _leave_on_run(context, message, asked_s)
        raise internals.told_failure(message, kind=kind) from None
    except (dg.DagsterError, dg.RetryRequested, dg.Failure):
        raise
    except Exception as defect:
        message = (
            f"{source.name}: a defect in Flicker: {_where(defect)}; the run's page shows its stack, please report it"
        )
        log.error("%s", message)
        _leave_on_run(context, message, None)
        raise


@contextmanager
def as_tick(source: SourceConfig) -> Iterator[None]:
    """A tick that cannot be evaluated fails with one line, in Dagster's history of ticks and in the log.

    The log has it once a minute: a tick comes every few seconds.
    """
    try:
        yield
    except FlickerError as error:
        message, now_s = told(error, source), time.monotonic()
        if now_s - _told_s.get(message, -REMIND_S) >= REMIND_S:
            for old in [old for old, at_s in _told_s.items() if now_s - at_s >= REMIND_S]:
                del _told_s[old]
            _told_s[message] = now_s
            log.error("%s", message)
        raise internals.told_error(message, kind=type(error).__name__) from None


def _leave_on_run(context: dg.OpExecutionContext, message: str, asked_s: float | None) -> None:
    tags = {names.ERROR_TAG: cut_inside(message, MAX_ERROR_TAG)}
    if asked_s:
        tags[names.RESUME_TAG] = f"{time.time() + asked_s:.3f}"
    context.instance.add_run_tags(context.run_id, tags)


def _where(defect: Exception) -> str:
    """An unexpected error in one line: what, and the innermost place in this package where it went through."""
    frames = traceback.extract_tb(defect.__traceback__)
    ours = [frame for frame in frames if PACKAGE in Path(frame.filename).parts] or frames
    at = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    said = cut_inside(visible(" ".join(str(defect).split())), MAX_ERROR_TAG)
    return f"{type(defect).__name__}{f': {said}' if said else ''}{at}"


def _retryable(error: FlickerError) -> bool:
    if isinstance(error, CollectError | DeliverError):
        return error.retryable
    if isinstance(error, RegistryUnreadable | SecretUnset):
        return False
    return isinstance(error, StateError)
