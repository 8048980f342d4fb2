"""The only private Dagster imports of this package, behind names of our own.

The warm launcher executes a run in a process that Dagster did not start, and Dagster has no public call for that. If
any of these has moved, `available()` says so and the launcher falls back to Dagster's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg


def available() -> str | None:
    """None if every internal is where we expect it, else what is missing."""
    try:
        from dagster._core.definitions.reconstruct import ReconstructableJob  # noqa: F401
        from dagster._core.origin import JobPythonOrigin  # noqa: F401
        from dagster._grpc.impl import core_execute_run  # noqa: F401
        from dagster._serdes import deserialize_value, serialize_value  # noqa: F401
        from dagster._utils.hosted_user_process import recon_job_from_origin  # noqa: F401
        from dagster._utils.interrupts import capture_interrupts  # noqa: F401
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


def instance_from(packed_ref: str) -> dg.DagsterInstance:
    from dagster._core.instance.ref import InstanceRef
    from dagster._serdes import deserialize_value

    return dg.DagsterInstance.from_ref(deserialize_value(packed_ref, InstanceRef))


def preload(module: str) -> None:
    """Load a code location's definitions into this process, so that a fork of it has them."""
    from dagster._core.code_pointer import ModuleCodePointer
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    ReconstructableRepository(ModuleCodePointer(module, "defs")).get_definition()


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
