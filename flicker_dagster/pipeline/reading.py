"""Reading: one fetch into one unit of the spool, a run of slices, each a walk of pages.

Nothing here decides that an event was delivered: the position moves in `commit`, after the SIEM acknowledged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from flicker_dagster.collect.walk import walk as walk_pages
from flicker_dagster.errors import CollectError, EndUnproven, NotClosed, RateLimited, SpoolFull
from flicker_dagster.failpoints import reach
from flicker_dagster.pipeline.begin import lower_begin
from flicker_dagster.pipeline.doubts import all_untimed, doubt_of
from flicker_dagster.pipeline.intake import Intake
from flicker_dagster.pipeline.plan import QUIET_DISTANCE_MS, Slice, after_slice, frontier_after, newest_after, time_of
from flicker_dagster.pipeline.resuming import by_time, failed_again, is_to_be_left, speaks_of_place
from flicker_dagster.pipeline.tally import Tally, sum_of
from flicker_dagster.pipeline.windows import DAY_MS
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.fetched_objects import FetchedObjects
from flicker_dagster.state.spool import SpoolUnit, UnitState
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.types import Page, Position, Remembered, WalkState, Window

log = logging.getLogger("flicker.fetch")

#: Partial lots are closed at least every so many pages, so that a resume point is never far behind.
PAGES_PER_RESUME_POINT = 10

#: Clocks that differ by less are taken for equal: a Date header is cut to the second, and an answer takes its time.
SKEW_HEEDED_MS = 5_000

#: Clocks that differ by more show that one of them is no clock (a cached answer, a proxy, a reset): collection must not jump
#: to another year because of it. Within it the distance of a quiet position covers what a Date moves.
SKEW_BELIEVED_MS = QUIET_DISTANCE_MS


class FetchReport(msgspec.Struct, frozen=True):
    """What a fetch did. `stopped` says why it ended before the data did; `resume_at_ms` when to go on, if not at once."""

    unit: str
    tally: Tally
    complete: bool
    stopped: str | None = None
    resume_at_ms: int | None = None


class _StoodInTheFuture(Exception):
    """The frontier lies past the vendor's clock."""

    def __init__(self, vendor_now_ms: int, skew_ms: int) -> None:
        super().__init__(vendor_now_ms)
        self.vendor_now_ms, self.skew_ms = vendor_now_ms, skew_ms


class Reading:
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
        objects: FetchedObjects | None = None,
    ) -> None:
        self.work = work
        self.objects = objects
        self.unit = unit
        self.state = state
        self.intake = intake
        self.hand_over_s = hand_over_s
        self.window = window
        self.started_s = work.clock()
        self.pages_before, self.new_before = intake.tally.pages, intake.tally.new
        self.first_new_s: float | None = None
        self.pages_since_resume_point = 0
        self.tally_before_page = Tally.of(intake.tally.as_counts())
        self.within_page = False  # among the objects of a page, which is listed again by who goes on there
        self.ended = False
        self.ahead = state  # the state once no event waits in memory
        self.asking: WalkState | None = None  # the request of the walk that is under way
        self.left: CollectError | None = None  # why a resume point was left, until its walk by time has answered
        self.again_by_time = False
        self.told_of_a_wrong_clock = False

    def run(self, plan: Callable[[UnitState, int], Slice]) -> FetchReport:
        source = self.work.source
        seconds = source.limits.run_seconds
        deadline = self.work.client.deadline = Deadline.after(seconds, f"limits.run_seconds ({seconds})")
        try:
            if self.window is None and self.unit.state != self.state:
                self._save([], self.state)  # the delivery must know where this began, even if no page comes
            while True:
                piece = plan(self.state, self._now_ms())
                try:
                    stopped = self._pages(piece)
                except _StoodInTheFuture as error:
                    self._stand_back(error)
                    continue
                except CollectError as error:
                    if deadline.left_s <= 0 and self.intake.tally.pages > self.pages_before:
                        self._keep_what_was_read()
                        stopped = f"stopped at {deadline.limit}; the next poll goes on from here"
                    elif self._starts_again(error):
                        continue
                    else:
                        raise
                if stopped is not None:
                    return self._report(complete=False, stopped=stopped)
                if piece.last and self.window is not None and all_untimed(self.intake.tally):
                    raise EndUnproven(
                        f"{doubt_of(source.listing, self.intake.tally)}. Window {self.window.key} is not verified"
                    )
                walk = None if piece.last else after_slice(source.listing.time, self.state.frontier, piece.walk)
                self._save([], msgspec.structs.replace(self.state, walk=walk, complete=piece.last))
                if piece.last:
                    return self._report(complete=True)
        except SpoolFull as full:
            if not self.work.spool.used_bytes():
                raise  # a full disk, and nothing here whose delivery would make room
            log.warning("%s; fetching pauses until the SIEM takes events", full.one_line(source.name))
            return self._report(complete=False, stopped=str(full))
        except CollectError as error:
            wait_s = error.retry_after_s if isinstance(error, RateLimited) else None
            if self.window is not None or wait_s is None:
                raise  # a window is read to its end or not at all; its walk goes on in the next run
            if wait_s <= min(source.limits.max_wait_ms / 1000, deadline.left_s):
                raise  # it is waited for in this run
            log.warning("%s: %s", source.name, error)
            return self._report(
                complete=False, stopped=str(error), resume_at_ms=self.work.now_ms() + int(wait_s * 1000)
            )
        finally:
            self.work.client.deadline = None
            self.unit.sync()
            if self.ended or self.intake.tally.new:  # a failure is told by itself, and is no "0 new events"
                log.info("Fetched %d new events from %s", self.intake.tally.new, source.name)

    def _starts_again(self, error: CollectError) -> bool:
        """Is what failed a resume point that is to be left, and its span asked for by time?

        The resume point itself stays on the disk until the walk by time has had an answer, so that an outage or a wrong
        token costs nothing that was read.
        """
        self._keep_what_was_read()
        if self.asking is None or not speaks_of_place(self.asking, error):
            return False
        self._save([], failed_again(self.state, self.asking))
        if self.again_by_time or not is_to_be_left(self.state, error):
            return False
        self.again_by_time, self.left = True, error
        if self.window is None:
            self.intake.tally.cursor_resets += 1
        else:  # its count begins anew with its reading
            self.intake.tally, self.pages_before = self.intake.tally.begun_again(), 0
        self.state = by_time(self.state)
        self._begin_page()
        return True

    def _begin_page(self) -> None:
        self.within_page, self.tally_before_page = False, Tally.of(self.intake.tally.as_counts())

    def _stand_back(self, error: _StoodInTheFuture) -> None:
        """Our clock is ahead of the vendor's, so collection would begin after events that are still to come."""
        log.warning("%s: collection stood past the vendor's clock and goes on from there", self.work.source.name)
        lowered = Position(last_timestamp=rfc3339_ms(error.vendor_now_ms), cursor=None)
        self.state = msgspec.structs.replace(self.state, frontier=lowered, walk=None, skew_ms=error.skew_ms)
        lower_begin(self.work, error.vendor_now_ms)

    def _pages(self, piece: Slice) -> str | None:
        """Read one slice to its end. Answers why it stopped early, or None. Raises EndUnproven for a window."""
        listing, walk = self.work.source.listing, piece.walk
        self.asking = walk
        newest_ms = walk.newest_ms
        pages = walk_pages(
            listing,
            self.work.client,
            walk,
            seen_before=self._names_next_pages,
            windows=self.window is not None,
            objects=self.objects,
        )
        for page in pages:
            self.work.fence.refuse_if_lost()
            now_ms = self._heed_vendor_clock(page)
            self._heed_paging(page)
            new_before = self.intake.tally.new
            lots = self.intake.take(page.decoded, now_ms=now_ms) if page.already is None else []
            if page.already is not None:
                self.intake.already(page.already, page.object_ms)
            if self.intake.tally.new > new_before and self.first_new_s is None:
                self.first_new_s = self.work.clock()
            newest_ms = newest_after(newest_ms, page, now_ms, by_arrival=listing.by_arrival)
            ended = page.next is None
            stopped = None if ended else self._over_budget()
            if ended or stopped or page.object or self.pages_since_resume_point >= PAGES_PER_RESUME_POINT:
                lots += self.intake.flush()
            if page.unproven is not None:
                return self._may_have_ended_early(lots, page.unproven)
            self.within_page = page.object is not None or page.already is not None
            resume = None if page.next is None else msgspec.structs.replace(page.next, newest_ms=newest_ms)
            self._save(lots, self._state_after(piece, page, resume, newest_ms, now_ms))
            self._remember(page, now_ms)
            if not self.within_page and self.objects is not None:
                self._begin_page()
            self.asking = resume
            self._tell_of_the_start_again()
            reach("fetch.after_page")
            if stopped:
                return stopped
        return None

    def _remember(self, page: Page, now_ms: int) -> None:
        """An object whose events are on the disk is not fetched again."""
        if page.object is None or self.objects is None:
            return
        self.unit.sync()
        at_ms = now_ms if page.object_ms is None else page.object_ms
        digests = page.decoded.digests
        self.objects.add(page.object, at_ms, Remembered(len(digests), sum_of(digests)))

    def _may_have_ended_early(self, lots: list, why: str) -> str:
        """What was read is delivered; the position stays, since what was not read may lie before the newest event."""
        self.intake.tally.unproven = why
        self._save(lots, msgspec.structs.replace(self.state, walk=None, complete=False, failed=None))
        if self.window is not None:
            raise EndUnproven(f"{self.work.source.name}: {why}. Window {self.window.key} is not verified")
        return why

    def _tell_of_the_start_again(self) -> None:
        if self.left is not None:
            log.warning("%s; collection started again by time, and repeats nothing", self.left)
            self.left = None

    def _names_next_pages(self) -> bool:
        return self.state.paging_seen or self.work.names_next_pages()

    def _heed_paging(self, page: Page) -> None:
        """Remember that this vendor does name next pages: only then does a page without one prove anything."""
        if page.names_paging and not self.state.paging_seen:
            self.work.walk_notes.note(paging_shape=self.work.shape)
            self.state = msgspec.structs.replace(self.state, paging_seen=True)

    def _heed_vendor_clock(self, page: Page) -> int:
        """The time by the vendor's clock, where its answer tells; what it tells is kept for the next plan."""
        if page.vendor_now_ms is None:
            return self._now_ms()
        skew_ms = page.vendor_now_ms - self.work.now_ms()
        if abs(skew_ms) > SKEW_BELIEVED_MS:
            self._tell_of_a_wrong_clock(page.vendor_now_ms)
            now_ms = min(page.vendor_now_ms, self._now_ms())  # the position follows the earlier one
            self._refuse_if_open(now_ms)
            return now_ms
        skew_ms = skew_ms if abs(skew_ms) > SKEW_HEEDED_MS else 0
        if skew_ms != self.state.skew_ms:
            self.state = msgspec.structs.replace(self.state, skew_ms=skew_ms)
        stood_ms = time_of(self.state.frontier)
        if stood_ms is not None and stood_ms > page.vendor_now_ms + SKEW_HEEDED_MS:
            raise _StoodInTheFuture(page.vendor_now_ms, skew_ms)
        self._refuse_if_open(page.vendor_now_ms)
        return page.vendor_now_ms

    def _refuse_if_open(self, now_ms: int) -> None:
        if self.window is not None and now_ms < self.window.end_ms:
            raise NotClosed(
                f"{self.work.source.name}: window {self.window.key} is still open by the vendor's clock; it is read again later"
            )

    def _tell_of_a_wrong_clock(self, vendor_now_ms: int) -> None:
        if not self.told_of_a_wrong_clock:
            self.told_of_a_wrong_clock = True
            log.warning(
                "%s: the vendor's clock (its Date header) and ours are %.0f days apart; the Date is not believed: check the "
                "clock of this machine, and what stands between it and the vendor",
                self.work.source.name,
                (vendor_now_ms - self.work.now_ms()) / DAY_MS,
            )

    def _now_ms(self) -> int:
        return self.work.now_ms() + self.state.skew_ms

    def _state_after(
        self, piece: Slice, page: Page, resume: WalkState | None, newest_ms: int | None, now_ms: int
    ) -> UnitState:
        frontier = frontier_after(
            self.work.source.listing, self.state.frontier, piece, page, resume, newest_ms=newest_ms, now_ms=now_ms
        )
        return msgspec.structs.replace(self.state, frontier=frontier, walk=resume, complete=False, failed=None)

    def _save(self, lots: list, state: UnitState) -> None:
        """Commit a page to the spool. The resume point moves only when no event of it still waits in memory."""
        tally = self.intake.tally.within_page(self.tally_before_page) if self.within_page else self.intake.tally
        state = msgspec.structs.replace(state, tally=tally.as_counts())
        self.ahead = state
        if self.intake.holds_events:
            self.pages_since_resume_point += 1
            before = self.state
            state = msgspec.structs.replace(state, walk=before.walk, frontier=before.frontier, tally=before.tally)
        else:
            self.pages_since_resume_point = 0
        self.unit.append(lots, state)
        self.state = state

    def _keep_what_was_read(self) -> None:
        """The vendor failed: close the partial lot, so that the next attempt asks for no page again. A small quota
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
        self.ended = True
        if stopped:
            level = logging.WARNING if self.intake.tally.unproven else logging.INFO
            log.log(level, "%s: %s", self.work.source.name, stopped)
        return FetchReport(self.unit.name, self.intake.tally, complete, stopped, resume_at_ms)
