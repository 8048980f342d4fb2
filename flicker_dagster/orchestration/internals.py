"""The only private Dagster imports of this package, behind names of our own.

The warm launcher executes a run in a process that Dagster did not start, and Dagster has no public call for that. If
any of these has moved, `available()` says so and the launcher falls back to Dagster's own.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg


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


def last_evaluation(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """The newest evaluation of a check; runs that planned one and failed before it do not count."""
    from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES

    records = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES
    )
    return records[0].evaluation if records else None


def stored_cursor(context: dg.SensorEvaluationContext) -> str | None:
    """The sensor's cursor as it is stored at this moment, which an operator may have edited since the tick began."""
    for state in context.instance.all_instigator_state():
        if state.instigator_name == context.sensor_name:
            return getattr(state.instigator_data, "cursor", None)
    return None


def report_lost_worker(run: dg.DagsterRun, instance: dg.DagsterInstance, how: str) -> None:
    """Fail a run whose process ended without finishing it."""
    instance.report_engine_event(f"Run worker ended without finishing the run: {how}", run)
    instance.report_run_failed(run)


def asset_events(instance: dg.DagsterInstance) -> AssetEvents:
    """The rows that Dagster keeps of assets across runs, in SQLite's index or in PostgreSQL."""
    return AssetEvents(instance)


class AssetEvents:
    """Dagster deletes a run with its materialisations, and has no call that deletes a run and leaves those."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        from dagster._core.storage.event_log import schema

        self._instance = instance
        self._connect: Any = instance.event_log_storage.index_connection  # type: ignore[attr-defined]
        self._events = schema.SqlEventLogStorageTable
        self._tags = schema.AssetEventTagsTable
        self._checks = schema.AssetCheckExecutionsTable

    def forget(self, run_ids: list[str]) -> int:
        """Delete what these runs recorded, but not the latest materialisation of any asset or partition, nor the latest
        evaluation of any check. Gives the number of rows deleted."""
        import sqlalchemy as db

        events, checks = self._events, self._checks
        with self._connect() as connection:
            gone = self._ids(connection, db.select(events.c.id).where(events.c.run_id.in_(run_ids)))
            gone -= self._latest(connection, events, _MATERIALIZED, run_ids)
            old = self._ids(connection, db.select(checks.c.id).where(checks.c.run_id.in_(run_ids)))
            old -= self._latest(connection, checks, None, run_ids)
            for some in _portions(sorted(gone)):
                connection.execute(self._tags.delete().where(self._tags.c.event_id.in_(some)))
                connection.execute(events.delete().where(events.c.id.in_(some)))
            for some in _portions(sorted(old)):
                connection.execute(checks.delete().where(checks.c.id.in_(some)))
        return len(gone) + len(old)

    def runs(self) -> set[str]:
        """Ids of all runs that have left rows."""
        import sqlalchemy as db

        with self._connect() as connection:
            return {
                row[0]
                for table in (self._events, self._checks)
                for row in connection.execute(db.select(table.c.run_id).distinct())
                if row[0]
            }

    def _latest(self, connection: Any, table: Any, kind: str | None, run_ids: list[str]) -> set[int]:
        """Of each asset (or check) and partition that these runs touched, the id of the newest row of any run."""
        import sqlalchemy as db

        own = [table.c.run_id.in_(run_ids)] + ([] if kind is None else [table.c.dagster_event_type == kind])
        keys = {row[0] for row in connection.execute(db.select(table.c.asset_key).where(*own).distinct())}
        of = [table.c.asset_key, table.c.partition] + ([table.c.check_name] if kind is None else [])
        # A planned evaluation is none: every run plans all checks of its asset, and evaluates those it has an answer to.
        done = table.c.execution_status.in_(_EVALUATED) if kind is None else table.c.dagster_event_type == kind
        wanted = [table.c.asset_key.in_(keys), done]
        return self._ids(connection, db.select(db.func.max(table.c.id)).where(*wanted).group_by(*of))

    def _ids(self, connection: Any, query: Any) -> set[int]:
        return {row[0] for row in connection.execute(query)}


def delete_run_row(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run with its tags, and nothing that it recorded."""
    instance.run_storage.delete_run(run_id)


_MATERIALIZED = "ASSET_MATERIALIZATION"
_EVALUATED = ("SUCCEEDED", "FAILED")


def _portions(ids: list[int], size: int = 500) -> Iterator[list[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
