"""The two ops of a source's asset: `fetch` into the spool, `deliver` from it.

They share nothing but the spool on disk, so a retry or a re-execution resumes at the page or event that failed.
"""

# No `from __future__ import annotations` here: Dagster reads the annotation of `context` itself, not its text.

from collections.abc import Iterator

import dagster as dg

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import FlickerError, StateError
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.checks import (
    complete_check,
    delivered_check,
    doubt_check,
    gap_check,
    last_finding,
    marked,
)
from flicker_dagster.orchestration.metadata import live_metadata, window_metadata
from flicker_dagster.orchestration.recorded import RunsMade
from flicker_dagster.orchestration.retries import MAX_ERROR_TAG, as_dagster, retry_policy
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import gaps, is_settled, look_of, recent_looks
from flicker_dagster.pipeline.begin import begun_ms, starting_position
from flicker_dagster.pipeline.carry_over import carried_over
from flicker_dagster.pipeline.deliver import (
    WindowReport,
    deliver_leftovers,
    deliver_live,
    deliver_window,
    waiting_events,
)
from flicker_dagster.pipeline.doubts import doubt_of
from flicker_dagster.pipeline.fetch import FetchReport, fetch_live
from flicker_dagster.pipeline.forecast import forecast
from flicker_dagster.pipeline.read_window import read_window
from flicker_dagster.pipeline.windows import window_of_key
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.printable import cut_inside
from flicker_dagster.types import Position

#: How long a run waits for another one of its source that is alive: it is at work only while it ends.
LOCK_WAIT_S = 30.0


class FetchConfig(dg.Config):
    """Where a live run starts. Left empty, it starts where collection stands; a window run needs no position."""

    last_timestamp: str = ""
    cursor: str = ""
    redeliver: bool = False


def build_fetch(source: SourceConfig, settings: Settings) -> dg.OpDefinition:
    @dg.op(
        name=f"{names.graph_name(source.full_name)}__fetch",
        description=f"Walk {source.name}'s pages into the spool; ids already delivered are recognised.",
        out=dg.Out(dg.Nothing),
        retry_policy=retry_policy(source.retry),
        pool=names.pool_name(source.full_name, settings.place()),
        tags=names.source_tags(source.full_name),
    )
    def fetch(context: dg.OpExecutionContext, config: FetchConfig) -> None:
        with (
            as_dagster(context, source),
            settings.work(source) as work,
            carried_over(work),
            work.exclusive(wait_s=LOCK_WAIT_S),
        ):
            _put_mark(context, work)
            work.spool.note_run(context.run_id)
            expected = _forecast(context, work)
            try:
                reports = _fetch(context, work, config)
            except Exception:
                if context.retry_number >= source.retry.max_retries:
                    _deliver_leftovers(context, work)
                raise
        context.add_output_metadata(_fetch_metadata(reports) | expected)
        paused = max(reports, key=lambda report: report.resume_at_ms or 0)
        if paused.resume_at_ms:
            why = cut_inside(paused.stopped or "", MAX_ERROR_TAG)
            tags = {names.RESUME_TAG: f"{paused.resume_at_ms / 1000:.3f}", names.PAUSE_TAG: why}
            context.instance.add_run_tags(context.run_id, tags)

    return fetch


def build_deliver(source: SourceConfig, settings: Settings) -> dg.OpDefinition:
    asset = names.asset_key(source.full_name)
    destinations = " and ".join(record.type for record in source.lanes.values())

    @dg.op(
        name=f"{names.graph_name(source.full_name)}__deliver",
        description=f"Send what waits in the spool to {destinations}; commit when all is acknowledged.",
        ins={"fetched": dg.In(dg.Nothing)},
        out={
            "result": dg.Out(dg.Nothing),
            names.CHECK_COMPLETE: dg.Out(),
            names.CHECK_DELIVERED: dg.Out(),
        },
        retry_policy=retry_policy(source.retry),
        pool=names.pool_name(source.full_name, settings.place()),
        tags=names.source_tags(source.full_name),
    )
    def deliver(context: dg.AssetExecutionContext) -> Iterator[dg.Output | dg.AssetCheckResult]:
        op_context = context.op_execution_context
        with as_dagster(op_context, source), settings.work(source) as work, work.exclusive(wait_s=LOCK_WAIT_S):
            _refuse_another_spool(op_context, work)
            if _is_window_run(op_context):
                reports = [deliver_window(work, window_of_key(source.grid, key)) for key in op_context.partition_keys]
                for report in reports:
                    context.add_asset_metadata(window_metadata(report), partition_key=report.window.key)
                complete = _complete(context.instance, work, reports)
                settled = all(is_settled(source.sweep, report.window, report.began_ms) for report in reports)
                tallies = [report.tally for report in reports]
                lanes = [lane for report in reports for lane in report.lanes]
            else:
                live = deliver_live(work)
                context.add_asset_metadata(live_metadata(live, now_ms=work.now_ms()))
                complete = gap_check(asset, live) or doubt_check(asset, doubt_of(source.listing, live.tally))
                complete = complete or last_finding(context.instance, work)
                settled, tallies, lanes = True, [live.tally], live.lanes
            delivered = delivered_check(context.instance, work, tallies, lanes)
            state_id = work.state_id
        version = dg.DataVersion(names.data_version(state_id, op_context.run_id, settled=settled))
        op_context.set_data_version(asset, version)
        yield dg.Output(None, "result")
        yield marked(complete, state_id)
        yield marked(delivered, state_id)

    return deliver


def _refuse_another_spool(context: dg.OpExecutionContext, work: SourceWork) -> None:
    """What this run's fetch wrote lies in the spool of the machine that it ran on. Raises StateError elsewhere: a green run
    would say that its events were delivered."""
    run = context.run
    if not work.spool.knows_run({run.run_id, run.parent_run_id, run.root_run_id}):
        raise StateError(
            f"{work.source.name}: the spool in {work.spool.directory} is not the one that this run's fetch wrote; it ran on "
            "another machine or work directory. Nothing was lost: run it again from fetch on, with both steps in one place "
            "(Flicker's own launcher does so; elsewhere use an in-process executor or a shared work directory)"
        )


def _complete(instance: dg.DagsterInstance, work: SourceWork, reports: list[WindowReport]) -> dg.AssetCheckResult:
    """The check over this run's windows and the recorded ones. Windows from before collection began are a backfill, which
    says nothing of live collection."""
    doubts = [doubt for report in reports if (doubt := doubt_of(work.source.listing, report.tally)) is not None]
    began_ms = begun_ms(work)
    own = [
        look_of(report.window.key, window_metadata(report), recorded_s=report.began_ms / 1000)
        for report in reports
        if began_ms is not None and report.window.start_ms >= began_ms
    ]
    if not own:
        return last_finding(instance, work, backfilled=[report.window for report in reports], doubts=doubts)
    recorded = recent_looks(instance, work)
    return complete_check(
        names.asset_key(work.source.full_name),
        own + recorded,
        live=work.source.live,
        lookback_ms=work.source.lookback_ms,
        gaps=gaps(instance, work),
        doubts=doubts,
    )


def _fetch(context: dg.OpExecutionContext, work: SourceWork, config: FetchConfig) -> list[FetchReport]:
    redeliver = config.redeliver or context.run.tags.get(names.REDELIVER_TAG) == "true"
    if _is_window_run(context):
        windows = [window_of_key(work.source.grid, key) for key in context.partition_keys]
        fresh = context.retry_number == 0
        backfill = context.run.tags.get(names.MODE_TAG) != names.SWEEP
        return [read_window(work, window, redeliver=redeliver, fresh=fresh, backfill=backfill) for window in windows]
    if config.last_timestamp:
        position = Position(last_timestamp=config.last_timestamp, cursor=config.cursor or None)
    else:
        position = starting_position(work)
    return [fetch_live(work, position, redeliver=redeliver)]


def _forecast(context: dg.OpExecutionContext, work: SourceWork) -> dict[str, str]:
    """What a backfill will take of the vendor's quota, for its log and metadata. Sweeps are no news."""
    if not _is_window_run(context) or context.run.tags.get(names.MODE_TAG) == names.SWEEP:
        return {}
    try:
        windows = [window_of_key(work.source.grid, key) for key in context.partition_keys]
        words = forecast(work, windows).words
    except FlickerError:  # whoever reads will say so
        return {}
    context.log.info(f"{work.source.name}: {len(windows)} window(s) to read: {words}")
    return {"forecast": words}


def _put_mark(context: dg.OpExecutionContext, work: SourceWork) -> None:
    """A run from the UI carries no tags of ours: maintenance finds it by this one."""
    if context.retry_number == 0:
        RunsMade(work.layout.work_dir).add(context.run_id)
    if context.run.tags.get(names.STATE_TAG) != work.state_id:
        context.instance.add_run_tags(context.run_id, {names.STATE_TAG: work.state_id})


def _deliver_leftovers(context: dg.OpExecutionContext, work: SourceWork) -> None:
    """The vendor failed for good in this run: what was fetched before must still not wait for its recovery."""
    waiting = waiting_events(work)
    if not waiting:
        return
    context.log.warning(f"{work.source.name}: delivering {waiting} events fetched before the vendor failed")
    for lane in deliver_leftovers(work):
        if lane.failed is not None:
            context.log.warning(f"{work.source.name}: they wait on, {lane.failed}")


def _is_window_run(context: dg.OpExecutionContext) -> bool:
    return context.has_partition_key or context.has_partition_key_range


def _fetch_metadata(reports: list[FetchReport]) -> dict[str, int | str]:
    totals: dict[str, int | str] = {
        key: sum(getattr(report.tally, key) for report in reports)
        for key in ("seen", "new", "known", "late", "filtered", "untimed", "pages", "bytes")
    }
    stopped = [report.stopped for report in reports if report.stopped]
    return totals | ({"stopped early": "; ".join(stopped)} if stopped else {})
