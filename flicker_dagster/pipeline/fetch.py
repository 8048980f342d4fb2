"""Fetch: walk the vendor's pages into the spool, resuming at the page where the last attempt stopped.

Nothing here decides that an event was delivered: the position moves in `commit`, after the SIEM acknowledged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from flicker_dagster.collect.filters import EventFilter
from flicker_dagster.collect.walk import walk as walk_pages
from flicker_dagster.errors import CollectError, CursorRejected, NotClosed, RateLimited, SpoolFull
from flicker_dagster.failpoints import reach
from flicker_dagster.pipeline.begin import lower_begin
from flicker_dagster.pipeline.intake import Intake, Known
from flicker_dagster.pipeline.plan import (
    Slice,
    frontier_after,
    gap_ms,
    next_slice,
    refuse_if_not_retained,
    start_of,
    start_position,
    window_slice,
)
from flicker_dagster.pipeline.tally import Tally
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.spool import SpoolUnit, UnitState
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster.types import Page, Position, WalkState, Window

log = logging.getLogger("flicker.fetch")

#: Partial batches are closed at least every so many pages, so that a resume point is never far behind.
PAGES_PER_RESUME_POINT = 10

#: Clocks that differ by less are taken for equal: a Date header is cut to the second, and an answer takes its time.
SKEW_HEEDED_MS = 5_000


#: A window's interrupted walk is taken up again by later runs for so long after it began.
WALK_KEEPS_MS = 6 * 3_600_000


class FetchReport(msgspec.Struct, frozen=True):
    """What a fetch did. `stopped` says why it ended before the data did; `resume_at_ms` when to go on, if not at once."""

    unit: str
    tally: Tally
    complete: bool
    stopped: str | None = None
    resume_at_ms: int | None = None


def fetch_live(work: SourceWork, position: Position, *, redeliver: bool = False) -> FetchReport:
    """Collect from `position` to now into the live unit.

    A unit that already fetched from this very position goes on where it stopped, so a SIEM outage never stops
    fetching; any other position is a rewind, a new instance or a lost spool, and is walked afresh. With `redeliver`
    everything up to where collection stood is shipped again.
    """
    unit = work.live
    state = unit.state
    # Read even where the unit knows better: no registry, no collection, or its loss would go unnoticed for a whole poll.
    stood = work.registry.position(work.source.name)
    moved = state is not None and stood not in (state.registry_seen, state.frontier)
    if moved:
        log.warning(
            "%s: the registry %s does not stand where this Flicker left it but at %s: another Flicker or somebody moved "
            "it; collection goes on from its own position. Run one Flicker per registry",
            work.source.name,
            work.registry.where,
            None if stood is None else stood.last_timestamp,
        )
    if state is None or state.base != position or state.redeliver != redeliver:
        until_ms = _time_ms(stood) if redeliver else None
        state = UnitState(
            base=position,
            frontier=start_position(position, stood),
            walk=None,
            complete=False,
            redeliver=redeliver,
            redeliver_until_ms=until_ms,
            registry_seen=stood,
            skew_ms=0 if state is None else state.skew_ms,
            tally={},
        )
    tally = Tally.of(state.tally) if state.tally else Tally()
    gap = gap_ms(work.source, state.frontier or position, now_ms=work.now_ms() + state.skew_ms)
    tally.gap_ms = max(tally.gap_ms, gap)
    tally.registry_moved = tally.registry_moved or moved
    if gap:
        log.warning(
            "%s: collection stood at %s, before what the vendor still keeps", work.source.name, position.last_timestamp
        )
    intake = _intake(work, tally, position_ms=_time_ms(position), redeliver_until_ms=state.redeliver_until_ms)
    fetch = _Fetch(work, unit, state, intake, hand_over_s=work.source.flush_interval_ms / 1000)
    return fetch.run(lambda state, now_ms: next_slice(work.source, state.frontier, state.walk, now_ms=now_ms))


def fetch_window(work: SourceWork, window: Window, *, redeliver: bool = False, fresh: bool = False) -> FetchReport:
    """Read a window again and put into its unit what nobody has delivered yet. Stops early at a run's budget.

    `fresh` is for a new run: it begins anew, unless an earlier run was interrupted inside the same walk not long ago;
    that walk goes on at its page, or a window longer than a run's luck would never be read to its end.
    """
    unit = work.spool.unit(window.key)
    refuse_if_not_retained(work.source, window, now_ms=work.now_ms())
    state = unit.state
    tally = Tally.of(state.tally) if state is not None and state.tally else Tally()
    if state is None or (fresh and not _goes_on(state, redeliver=redeliver, now_ms=work.now_ms())):
        live = work.live.state
        skew_ms = 0 if live is None else live.skew_ms
        state = UnitState(base=None, frontier=None, skew_ms=skew_ms, began_ms=work.now_ms() + skew_ms)
        tally = tally.begun_again()
    state = msgspec.structs.replace(state, redeliver=redeliver)
    redeliver_until_ms = window.end_ms if redeliver else None
    intake = _intake(work, tally, window=window, redeliver_until_ms=redeliver_until_ms)
    fetch = _Fetch(work, unit, state, intake, window=window)
    return fetch.run(lambda state, now_ms: window_slice(work.source, window, state.walk, now_ms=now_ms))


def _goes_on(state: UnitState, *, redeliver: bool, now_ms: int) -> bool:
    """May a new run go on with the walk of a window that an earlier one left?"""
    if state.complete or state.walk is None or state.began_ms is None or state.redeliver != redeliver:
        return False
    return 0 <= now_ms - state.began_ms <= WALK_KEEPS_MS


def _intake(
    work: SourceWork,
    tally: Tally,
    *,
    position_ms: int | None = None,
    window: Window | None = None,
    redeliver_until_ms: int | None = None,
) -> Intake:
    batcher = work.new_batcher()
    waiting = [work.spool.unit(name).known() for name in work.spool.units()]
    return Intake(
        known=Known(work.ledger, waiting, redeliver_until_ms=redeliver_until_ms),
        batcher=batcher,
        event_filter=EventFilter(work.source),
        tally=tally,
        position_ms=position_ms,
        window=window,
    )


class _StoodInTheFuture(Exception):
    """The frontier lies past the vendor's clock."""

    def __init__(self, vendor_now_ms: int, skew_ms: int) -> None:
        super().__init__(vendor_now_ms)
        self.vendor_now_ms, self.skew_ms = vendor_now_ms, skew_ms


class _Fetch:
    """One fetch into one unit: a run of slices, each a walk of pages."""

    def __init__(
        self,
        work: SourceWork,
        unit: SpoolUnit,
        state: UnitState,
        intake: Intake,
        *,
        hand_over_s: float | None = None,
        window: Window | None = None,
    ) -> None:
        self.work = work
        self.unit = unit
        self.state = state
        self.intake = intake
        self.hand_over_s = hand_over_s
        self.window = window
        self.started_s = work.clock()
        self.pages_before, self.new_before = intake.tally.pages, intake.tally.new
        self.first_new_s: float | None = None
        self.pages_since_resume_point = 0
        self.ahead = state  # the state once no event waits in memory

    def run(self, plan: Callable[[UnitState, int], Slice]) -> FetchReport:
        source = self.work.source
        try:
            if self.window is None and self.unit.state != self.state:
                self._save([], self.state)  # the delivery must know where this began, even if no page comes
            while True:
                piece = plan(self.state, self._now_ms())
                stopped = self._walk(piece)
                if stopped is not None:
                    return self._report(complete=False, stopped=stopped)
                done = msgspec.structs.replace(self.state, walk=None, complete=piece.last)
                if not piece.last and done.frontier is None:  # a window remembers its next slice, not a position
                    done = msgspec.structs.replace(done, walk=WalkState(start_ms=piece.walk.end_ms))
                self._save([], done)
                if piece.last:
                    return self._report(complete=True)
        except SpoolFull as full:
            if not self.work.spool.used_bytes():
                raise  # a full disk, and nothing here whose delivery would make room
            log.warning("%s: %s; fetching pauses until the SIEM takes events", source.name, full)
            return self._report(complete=False, stopped=str(full))
        except CollectError as error:
            self._keep_what_was_read()
            wait_s = error.retry_after_s if isinstance(error, RateLimited) else None
            if self.window is not None or wait_s is None or wait_s * 1000 <= source.limits.max_wait_ms:
                raise  # a window is read to its end or not at all; its walk goes on in the next run
            log.warning("%s: %s", source.name, error)
            return self._report(
                complete=False, stopped=str(error), resume_at_ms=self.work.now_ms() + int(wait_s * 1000)
            )
        finally:
            self.unit.sync()
            log.info("Fetched %d new events from %s", self.intake.tally.new, source.name)

    def _walk(self, piece: Slice) -> str | None:
        """Read one slice to its end. Answers why it stopped early, or None."""
        walk = piece.walk
        while True:  # each restart takes away its own reason: the cursor, or a frontier in the future
            try:
                return self._pages(piece, walk)
            except CursorRejected as rejected:
                if walk.cursor is None:
                    raise
                # The vendor forgot the cursor: ask again by time; what was already delivered is recognised by its id.
                log.warning("%s: %s; starting again from the position's time", self.work.source.name, rejected)
                self.intake.tally.cursor_resets += 1
                walk = start_of(self.work.source, self.state.frontier, walk, now_ms=self._now_ms())
            except _StoodInTheFuture as error:
                # Our clock is ahead of the vendor's, so collection would begin after events that are still to come.
                log.warning(
                    "%s: collection stood past the vendor's clock and goes on from there", self.work.source.name
                )
                lowered = Position(last_timestamp=rfc3339_ms(error.vendor_now_ms), cursor=None)
                self.state = msgspec.structs.replace(self.state, frontier=lowered, skew_ms=error.skew_ms)
                lower_begin(self.work, error.vendor_now_ms)
                walk = start_of(self.work.source, lowered, walk, now_ms=error.vendor_now_ms)

    def _pages(self, piece: Slice, walk: WalkState) -> str | None:
        newest_ms = walk.newest_ms
        for page in walk_pages(self.work.source, self.work.client, walk):
            now_ms = self._heed_vendor_clock(page)
            new_before = self.intake.tally.new
            batches = self.intake.take(page.decoded, now_ms=now_ms)
            if self.intake.tally.new > new_before and self.first_new_s is None:
                self.first_new_s = self.work.clock()
            newest_ms = _newest(newest_ms, page, now_ms)
            ended = page.next is None
            stopped = None if ended else self._over_budget()
            if ended or stopped or self.pages_since_resume_point >= PAGES_PER_RESUME_POINT:
                batches += self.intake.flush()
            resume = None if page.next is None else msgspec.structs.replace(page.next, newest_ms=newest_ms)
            self._save(batches, self._state_after(piece, page, resume, newest_ms, now_ms))
            reach("fetch.after_page")
            if stopped:
                return stopped
        return None

    def _heed_vendor_clock(self, page: Page) -> int:
        """The time by the vendor's clock, where its answer tells; what it tells is kept for the next plan."""
        if page.vendor_now_ms is None:
            return self._now_ms()
        skew_ms = page.vendor_now_ms - self.work.now_ms()
        skew_ms = skew_ms if abs(skew_ms) > SKEW_HEEDED_MS else 0
        if skew_ms != self.state.skew_ms:
            self.state = msgspec.structs.replace(self.state, skew_ms=skew_ms)
        stood_ms = _time_ms(self.state.frontier)
        if stood_ms is not None and stood_ms > page.vendor_now_ms + SKEW_HEEDED_MS:
            raise _StoodInTheFuture(page.vendor_now_ms, skew_ms)
        if self.window is not None and page.vendor_now_ms < self.window.end_ms:
            raise NotClosed(
                f"{self.work.source.name}: window {self.window.key} is still open by the vendor's clock; it is read again later"
            )
        return page.vendor_now_ms

    def _now_ms(self) -> int:
        return self.work.now_ms() + self.state.skew_ms

    def _state_after(
        self, piece: Slice, page: Page, resume: WalkState | None, newest_ms: int | None, now_ms: int
    ) -> UnitState:
        frontier = frontier_after(
            self.work.source, self.state.frontier, piece, page, resume, newest_ms=newest_ms, now_ms=now_ms
        )
        return msgspec.structs.replace(self.state, frontier=frontier, walk=resume, complete=False)

    def _save(self, batches: list, state: UnitState) -> None:
        """Commit a page to the spool. The resume point moves only when no event of it still waits in memory."""
        state = msgspec.structs.replace(state, tally=self.intake.tally.as_counts())
        self.ahead = state
        if self.intake.holds_events:
            self.pages_since_resume_point += 1
            before = self.state
            state = msgspec.structs.replace(state, walk=before.walk, frontier=before.frontier, tally=before.tally)
        else:
            self.pages_since_resume_point = 0
        self.unit.append(batches, state)
        self.state = state

    def _keep_what_was_read(self) -> None:
        """The vendor failed: close the partial batch, so that the next attempt asks for no page again. A small quota
        would otherwise be spent on the same pages for ever."""
        if self.intake.holds_events:
            self._save(self.intake.flush(), self.ahead)

    def _over_budget(self) -> str | None:
        now_s = self.work.clock()
        limits = self.work.source.limits
        if (
            self.hand_over_s is not None
            and self.first_new_s is not None
            and now_s - self.first_new_s >= self.hand_over_s
        ):
            return f"handed over after flush_interval_ms ({self.hand_over_s:g} s); the next poll goes on from here"
        if now_s - self.started_s >= limits.run_seconds:
            return f"stopped at limits.run_seconds ({limits.run_seconds}); the next poll goes on from here"
        if self.intake.tally.pages - self.pages_before >= limits.run_pages:
            return f"stopped at limits.run_pages ({limits.run_pages}); the next poll goes on from here"
        if self.intake.tally.new - self.new_before >= limits.run_events:
            return f"stopped at limits.run_events ({limits.run_events}); the next poll goes on from here"
        return None

    def _report(self, *, complete: bool, stopped: str | None = None, resume_at_ms: int | None = None) -> FetchReport:
        if stopped:
            log.info("%s: %s", self.work.source.name, stopped)
        return FetchReport(self.unit.name, self.intake.tally, complete, stopped, resume_at_ms)


def _newest(newest_ms: int | None, page: Page, now_ms: int) -> int | None:
    """The newest event time so far; an event dated in the future of the vendor's clock does not count."""
    times = [ms for ms in page.decoded.times_ms if ms is not None and ms <= now_ms]
    if not times:
        return newest_ms
    return max(times) if newest_ms is None else max(newest_ms, max(times))


def _time_ms(position: Position | None) -> int | None:
    return None if position is None or position.last_timestamp is None else parse_time_ms(position.last_timestamp)
