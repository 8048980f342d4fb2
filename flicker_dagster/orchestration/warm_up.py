"""Import everything a run will need, by doing once what a run does.

Dagster, SQLAlchemy and Alembic import much of themselves only when first used; a list of modules would be wrong with
the next release, so a throw-away job of the same shape is executed against a temporary instance.
"""

# No `from __future__ import annotations` here: Dagster reads the annotation of `context` itself, not its text.

import logging
import sys

import dagster as dg

from flicker_dagster.orchestration import internals

log = logging.getLogger("flicker.warm_up")


def warm_up() -> None:
    """Run the throw-away job. Leaves no thread and no open file behind."""
    # What a live run of the pipeline imports.
    import flicker_dagster.pipeline.deliver
    import flicker_dagster.pipeline.fetch  # noqa: F401

    if internals.available() is None:
        from dagster._grpc.impl import core_execute_run  # noqa: F401
    logging.disable(logging.CRITICAL)
    try:
        with dg.DagsterInstance.local_temp(overrides={"telemetry": {"enabled": False}}) as instance:
            result = _throw_away_job().execute_in_process(instance=instance, partition_key="2026-01-01")
            assert result.success
    finally:
        logging.disable(logging.NOTSET)
    sys.stderr.flush()


def _throw_away_job() -> dg.JobDefinition:
    policy = dg.RetryPolicy(max_retries=1, delay=1)

    @dg.op(retry_policy=policy, pool="warm_up", out=dg.Out(dg.Nothing))
    def fetch() -> None:
        return None

    @dg.op(
        retry_policy=policy,
        pool="warm_up",
        ins={"fetched": dg.In(dg.Nothing)},
        out={"result": dg.Out(dg.Nothing), "ok": dg.Out()},
    )
    def deliver(context: dg.AssetExecutionContext):
        context.add_asset_metadata({"n": 1}, partition_key="2026-01-01")
        yield dg.Output(None, "result")
        yield dg.AssetCheckResult(asset_key="warm_up", check_name="ok", passed=True)

    @dg.graph_asset(
        name="warm_up",
        partitions_def=dg.DailyPartitionsDefinition("2026-01-01"),
        check_specs=[dg.AssetCheckSpec("ok", asset="warm_up")],
    )
    def warm() -> dict[str, object]:
        result, ok = deliver(fetched=fetch())
        return {"result": result, "warm_up_ok": ok}

    job = dg.define_asset_job("warm_up_job", executor_def=dg.in_process_executor)
    return dg.Definitions(assets=[warm], jobs=[job]).resolve_job_def("warm_up_job")
