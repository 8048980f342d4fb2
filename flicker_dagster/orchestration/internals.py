"""The private Dagster imports of this package, behind names of our own (its tables are in `recorded`).

The warm launcher executes a run in a process that Dagster did not start, and Dagster has no public call for that. If
any of these has moved, `available()` says so and the launcher falls back to Dagster's own.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

from flicker_dagster.orchestration import names


def available() -> str | None:
    """None if every internal is where we expect it, else what is missing."""
    try:
        from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext  # noqa: F401
        from dagster._core.definitions.reconstruct import ReconstructableJob  # noqa: F401
        from dagster._core.errors import DagsterUserCodeProcessError  # noqa: F401
        from dagster._core.origin import JobPythonOrigin  # noqa: F401
        from dagster._grpc.impl import core_execute_run  # noqa: F401
        from dagster._serdes import deserialize_value, serialize_value  # noqa: F401
        from dagster._utils.hosted_user_process import recon_job_from_origin  # noqa: F401
        from dagster._utils.interrupts import capture_interrupts  # noqa: F401
        from dagster_shared.error import SerializableErrorInfo  # noqa: F401
    except ImportError as error:
        return str(error)
    return None


def module_of(run: dg.DagsterRun) -> str | None:
    """The Python module a run's job was loaded from, or None where it came from something else."""
    origin = run.job_code_origin
    return None if origin is None else getattr(origin.repository_origin.code_pointer, "module", None)


def pack(value: Any) -> str:
    from dagster._serdes import serialize_value

    return serialize_value(value)


def ref_from(packed_ref: str) -> Any:
    """An instance's reference, as `pack` wrote it."""
    from dagster._core.instance.ref import InstanceRef
    from dagster._serdes import deserialize_value

    return deserialize_value(packed_ref, InstanceRef)


def instance_from(packed_ref: str) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_ref(ref_from(packed_ref))


def preload(module: str) -> None:
    """Load a code location's definitions into this process, so that a fork of it has them."""
    from dagster._core.code_pointer import ModuleCodePointer
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    ReconstructableRepository(ModuleCodePointer(module, "defs")).get_definition()


def initializes() -> bool:
    """Is a code location being loaded, for the first time or anew? False in a run worker, which loads what there is."""
    context, types = _load_context()
    return context is not None and context.load_type == types.INITIALIZATION


def hand_over(key: str, value: str) -> None:
    """Give the runs of the code location that is being loaded a text; they find it with `handed_over`."""
    context, _ = _load_context()
    if context is not None:
        context.add_to_pending_reconstruction_metadata(key, value)


def handed_over(key: str) -> str | None:
    context, types = _load_context()
    if context is None or context.load_type != types.RECONSTRUCTION:
        return None
    found = context.reconstruction_metadata.get(key)
    return found if isinstance(found, str) else None


def _load_context() -> tuple[Any, Any]:
    """Dagster's own context of loading, or None outside of one; and the kinds of loading."""
    from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType

    return (DefinitionsLoadContext.get() if DefinitionsLoadContext.is_set() else None), DefinitionsLoadType


def execute(run: dg.DagsterRun, instance: dg.DagsterInstance) -> Iterator[dg.DagsterEvent]:
    """Execute a created run in this process, as a run worker of Dagster's own does."""
    from dagster._grpc.impl import core_execute_run
    from dagster._utils.hosted_user_process import recon_job_from_origin

    assert run.job_code_origin is not None
    job = recon_job_from_origin(run.job_code_origin)
    yield from core_execute_run(job, run, instance, inject_env_vars=True)


def capture_interrupts() -> Any:
    """Turn SIGTERM and SIGINT into Dagster's own interruption, so that a terminated run ends as CANCELED."""
    from dagster._utils.interrupts import capture_interrupts as capture

    return capture()


def told_failure(message: str, *, kind: str, metadata: Mapping[str, Any] | None = None) -> dg.Failure:
    """A `Failure`, never retried, that Dagster records and shows as this one line, without any stack."""
    return _told(dg.Failure)(
        description=message,
        metadata=metadata,
        allow_retries=False,
        user_code_process_error_infos=[_one_line(message, kind)],
    )


def told_retry(message: str, *, kind: str, max_retries: int, seconds_to_wait: float) -> dg.RetryRequested:
    """A `RetryRequested` whose reason is shown as this one line, without any stack."""
    return _told(dg.RetryRequested)(
        max_retries=max_retries,
        seconds_to_wait=seconds_to_wait,
        user_code_process_error_infos=[_one_line(message, kind)],
    )


def told_error(message: str, *, kind: str) -> Exception:
    """For a tick: it fails, and Dagster records and shows this one line, without any stack."""
    from dagster._core.errors import DagsterUserCodeProcessError

    return DagsterUserCodeProcessError(message, user_code_process_error_infos=[_one_line(message, kind)])


@functools.cache
def _told(kind: type) -> Any:
    """Dagster takes what an error has to say for itself only from an error that came from another process: that one
    it shows as it was told, and of any other it shows the stacks of the error and of all its causes."""
    from dagster._core.errors import DagsterUserCodeProcessError

    return type(f"Told{kind.__name__}", (DagsterUserCodeProcessError, kind), {})


def _one_line(message: str, kind: str) -> Any:
    from dagster_shared.error import SerializableErrorInfo

    return SerializableErrorInfo(message=message, stack=[], cls_name=kind)


def keep_instance(context: dg.SensorEvaluationContext | dg.ScheduleEvaluationContext) -> None:
    """Let a tick use the instance that this process has open already.

    Dagster opens it anew for each tick and asks the database for its revision, which was 60 % of a quiet tick's CPU.
    """
    ref = context.instance_ref
    if ref is not None and getattr(context, "_instance", ref) is None:
        context._instance = _opened(ref)


_kept_instances: list[dg.DagsterInstance] = []
_keeping = threading.Lock()


def _opened(ref: Any) -> dg.DagsterInstance:
    with _keeping:
        if not _kept_instances or _kept_instances[0].get_ref() != ref:
            _kept_instances[:] = [dg.DagsterInstance.from_ref(ref)]
        return _kept_instances[0]


#: Evaluations looked at to find one's own among those of another location with a check of the same key.
_EVALUATIONS = 50


def last_evaluation(
    instance: dg.DagsterInstance,
    key: dg.AssetCheckKey,
    *,
    state_id: str,
    knows: Callable[[dg.AssetCheckEvaluation], bool] = lambda _found: True,
) -> dg.AssetCheckEvaluation | None:
    """The newest evaluation of a check that bears the mark of a state and that `knows` takes for an answer; runs that
    planned one and failed before it do not count."""
    from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES

    for limit in (1, _EVALUATIONS):
        for record in instance.event_log_storage.get_asset_check_execution_history(
            key, limit=limit, status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES
        ):
            found = record.evaluation
            mark = None if found is None else found.metadata.get(names.STATE_TAG)
            if found is not None and mark is not None and mark.value == state_id and knows(found):
                return found
    return None


def stored_cursor(context: dg.SensorEvaluationContext) -> str | None:
    """The sensor's cursor as it is stored at this moment, which an operator may have edited since the tick began.

    Other locations have sensors of the same name, and a location that was renamed leaves its rows behind: the one meant
    is found by location, repository and name together. None where nothing is stored, or nobody says where the sensor is.
    """
    from dagster._core.remote_origin import RemoteRepositoryOrigin

    location, repository = context.code_location_origin, context.repository_name
    if location is None or repository is None:
        return None
    origin = RemoteRepositoryOrigin(location, repository).get_instigator_origin(context.sensor_name)
    state = context.instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id())
    return None if state is None else getattr(state.instigator_data, "cursor", None)


def location_of(run: dg.DagsterRun) -> str | None:
    """The code location and repository that a run was asked for in, as Dagster spells the two; None for one in process."""
    origin = run.remote_job_origin
    return None if origin is None else origin.repository_origin.get_label()


def report_lost_worker(run: dg.DagsterRun, instance: dg.DagsterInstance, how: str) -> None:
    """Fail a run whose process ended without finishing it."""
    instance.report_engine_event(f"Run worker ended without finishing the run: {how}", run)
    instance.report_run_failed(run)
