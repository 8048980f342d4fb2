"""Errors that chaos must not bring forth: a tick or a step may fail by an outage, in our own words, and by nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
from dagster._core.scheduler.instigation import TickStatus
from dagster_shared.error import SerializableErrorInfo

from flicker_dagster import errors

#: Errors of ours say what is the matter with a vendor, the SIEM or the state.
OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.FlickerError)}
#: The code server or a run's process was killed.
KILLED = {"DagsterUserCodeUnreachableError", "DagsterExecutionInterruptedError", "ChildProcessCrashException"}


def surprises(home: Path) -> Counter[str]:
    """How often each unexpected error was the cause of a failed tick or step of the instance in `home`."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return Counter(unexpected([*_of_ticks(instance), *_of_steps(instance)]))


def unexpected(found: Iterable[SerializableErrorInfo]) -> list[str]:
    """The root of each error in whose chain is neither an error of ours nor a kill."""
    return [chain[-1].message.strip() for chain in map(_chain, found) if not _names(chain) & (OURS | KILLED)]


def _of_ticks(instance: dg.DagsterInstance) -> Iterable[SerializableErrorInfo]:
    for state in instance.all_instigator_state():
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, statuses=[TickStatus.FAILURE]):
            if tick.error is not None:
                yield tick.error


def _of_steps(instance: dg.DagsterInstance) -> Iterable[SerializableErrorInfo]:
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])):
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
            if entry.dagster_event is not None and (error := entry.dagster_event.step_failure_data.error) is not None:
                yield error


def _chain(error: SerializableErrorInfo) -> list[SerializableErrorInfo]:
    chain = [error]
    while (cause := chain[-1].cause) is not None:
        chain.append(cause)
    return chain


def _names(chain: list[SerializableErrorInfo]) -> set[str]:
    return {each.cls_name for each in chain if each.cls_name is not None}
