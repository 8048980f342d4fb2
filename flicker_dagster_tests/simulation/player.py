"""The script of a simulated world, played: its steps, the runs they make, all that goes wrong, and the calm at the end."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from flicker_dagster.errors import DeliverError, FlickerError, SourceBusy, StateError
from flicker_dagster.orchestration.cursor import LiveCursor, Outcome, fold
from flicker_dagster.pipeline.begin import begun_ms, starting_position
from flicker_dagster.pipeline.deliver import LiveReport, deliver_live, deliver_window
from flicker_dagster.pipeline.fetch import fetch_live
from flicker_dagster.pipeline.read_window import read_window
from flicker_dagster.pipeline.windows import HOUR_MS, closed_windows, window_of_key
from flicker_dagster.state import conflicts
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster.types import Position
from flicker_dagster_tests.simulation import steps
from flicker_dagster_tests.simulation.chaos import Killed
from flicker_dagster_tests.simulation.machine import Machine
from flicker_dagster_tests.simulation.streams import LOOKBACK_S, Stream
from flicker_dagster_tests.simulation.world import World

#: Once nothing goes wrong any more, so many polls of a stream are enough to deliver everything.
MOST_POLLS = 300
REST_S = 10

#: How long a run waits for another one that is alive.
LOCK_WAIT_S = 30.0


class Player:
    """Takes a world through its script: what happens in it, and the runs that Dagster would make."""

    def __init__(self, world: World) -> None:
        self.world = world

    def play(self) -> None:
        """The whole script, then calm until nothing is left to deliver. Raises AssertionError where that never comes."""
        random.seed(self.world.script.seed)
        with (
            patch.object(conflicts.time, "sleep", lambda _: None),
            _quiet(),
        ):
            for stream in self.world.streams:
                self._poll(stream, self.world.machines[0])  # collection begins: what happens from here on counts
            for number, step in enumerate(self.world.script.steps):
                self.world.step = number
                for siem in self.world.siems.values():
                    siem.step = number
                self.world.say(f"{number:3d} {step}")
                _PLAYED[type(step)](self, step)
            self._calm()

    # -- steps

    def _emit(self, step: steps.Emit) -> None:
        vendor = self.world.streams[step.stream].vendor
        at_ms, visible_ms = self.world.clock.now_ms - step.age_s * 1000, self.world.clock.now_ms + step.hidden_s * 1000
        vendor.poison = step.poison
        for number in range(step.count):
            vendor.emitter.emit(1, at_ms=at_ms + (0 if step.tied else number), visible_ms=visible_ms)
        vendor.poison = False

    def _wait(self, step: steps.Wait) -> None:
        self.world.clock.now_s += step.seconds

    def _poll_step(self, step: steps.Poll) -> None:
        stream, machine = self.world.streams[step.stream], self.world.machines[step.machine]
        self._troubled(stream, machine, step.trouble, lambda: self._poll(stream, machine))

    def _sweep_step(self, step: steps.Sweep) -> None:
        stream, machine = self.world.streams[step.stream], self.world.machines[step.machine]
        self.world.clock.now_s += 2 * 3600
        self._troubled(stream, machine, step.trouble, lambda: self._sweep(stream, machine))

    def _lose_disk(self, step: steps.LoseDisk) -> None:
        machine = self.world.machines[step.machine]
        for stream in self.world.streams:
            stream.excused |= self.world.taken()
        machine.lose_disk()

    def _edit(self, step: steps.Edit) -> None:
        stream = self.world.streams[step.stream]
        if step.key == "format":
            stream.reformatted.append(self.world.step)
        source, key, value = stream.source, step.key, step.value
        if key == "page_size":
            changed: dict[str, Any] = {"pagination": source.pagination.model_copy(update={key: value})}
        elif key == "run_pages":
            changed = {"limits": source.limits.model_copy(update={key: value})}
        elif key == "format":
            changed = {"destination": _edited(source.destination, key, value)}
        else:
            changed = {key: value}
        stream.source = source.model_copy(update=changed)

    def _rewind(self, step: steps.Rewind) -> None:
        stream = self.world.streams[step.stream]
        stood_ms = parse_time_ms(stream.cursor.position.last_timestamp) if stream.cursor else None
        if stood_ms is not None:
            stream.cursor = LiveCursor(Position(rfc3339_ms(stood_ms - step.by_s * 1000), None))

    # -- runs

    def _troubled(self, stream: Stream, machine: Machine, trouble: steps.Trouble, run: Callable[[], object]) -> None:
        """Do it while all that goes wrong; where the machine dies, it starts again."""
        stream.faults[:] = trouble.vendor
        self.world.siem_faults[:] = trouble.siem
        self.world.store_faults[:] = trouble.store
        machine.disk.full = trouble.disk_full
        if trouble.between_at is not None:
            other = next(other for other in self.world.machines if other is not machine)
            self.world.meanwhile = (trouble.between_at, lambda: self._come_between(stream, machine, other, trouble))
        machine.power.arm(trouble.dies_at)
        try:
            run()
        except Killed:
            self.world.say(f"      {machine.name} {'loses power' if trouble.power else 'is killed'}")
            self._all_open(machine)
            self._left_by(machine)
            machine.restart(self.world.chance, lost_power=trouble.power)
        machine.power.arm(None)
        machine.disk.full = False
        self.world.meanwhile = None
        for siem in self.world.siems.values():
            siem.under_way = ""
        for faults in (stream.faults, self.world.siem_faults, self.world.store_faults):
            faults.clear()

    def _come_between(self, stream: Stream, machine: Machine, other: Machine, trouble: steps.Trouble) -> None:
        """A run on another machine while one is at work: it waits until that one is not heard of any more, or gives up."""
        if trouble.paused:
            self._left_by(machine)
            for siem in self.world.siems.values():
                siem.under_way = machine.name if self.world.last_io.startswith("POST ") else ""
        self._poll(stream, other, wait_s=LOCK_WAIT_S if trouble.paused else 0)

    def _poll(self, stream: Stream, machine: Machine, *, wait_s: float = 0) -> LiveReport | None:
        """A live run as Dagster makes it: the sensor's request, fetch, deliver, materialisation, the sensor's fold. Gives
        what it reports, None where it failed."""
        stream.polls += 1
        request = f"r{stream.polls}"
        with machine.at_work():
            try:
                if stream.cursor is None:
                    with machine.work(stream.source, wait_s=wait_s) as work:
                        stream.cursor = LiveCursor(starting_position(work))
                stream.cursor = asked = stream.cursor.asking(request)
                failed = None
                try:
                    with machine.work(stream.source, wait_s=wait_s) as work:
                        fetch_live(work, asked.position)
                except FlickerError as error:
                    failed = error
                    if not self._something_waits(stream, machine):
                        raise
                with machine.work(stream.source, wait_s=wait_s) as work:
                    report = deliver_live(work)
                self._ledger_knows(stream, machine)
                if failed is not None:
                    raise failed
            except FlickerError as error:
                self._told(error, stream, machine)
                return None
        outcome = Outcome(request=request, start=report.start, end=report.end)
        if stream.cursor is not None:
            stream.cursor = fold(stream.cursor, outcome)
        self.world.say(
            f"      {stream.name} on {machine.name}: new {report.tally.new}, now {report.end.last_timestamp}"
        )
        return report

    def _something_waits(self, stream: Stream, machine: Machine) -> bool:
        with machine.work(stream.source) as work:
            return work.live.state is not None

    def _sweep(self, stream: Stream, machine: Machine) -> None:
        """Read the newest closed windows again."""
        with machine.at_work():
            try:
                with machine.work(stream.source) as work:
                    begun = begun_ms(work) or self.world.clock.now_ms
                    keys = [
                        w.key
                        for w in closed_windows(stream.source.window, begun, self.world.clock.now_ms - HOUR_MS // 6)
                    ][:2]
                for key in keys:
                    window = window_of_key(stream.source.grid, key)
                    with machine.work(stream.source) as work:
                        read_window(work, window, fresh=True)
                    with machine.work(stream.source) as work:
                        deliver_window(work, window)
                    self._ledger_knows(stream, machine)
            except FlickerError as error:
                self._told(error, stream, machine)

    def _told(self, error: FlickerError, stream: Stream, machine: Machine) -> None:
        self.world.say(f"      failed: {type(error).__name__}: {error}")
        if isinstance(error, DeliverError):
            self._ledger_knows(stream, machine)
        elif isinstance(error, StateError) and not isinstance(error, SourceBusy):
            self._all_open(machine)  # an answer that came and could not be written down
            self._left_by(machine)

    def _ledger_knows(self, stream: Stream, machine: Machine) -> None:
        for siem in self.world.lanes(stream).values():
            siem.ledger_knows(machine.name)

    def _left_by(self, machine: Machine) -> None:
        for siem in self.world.siems.values():
            siem.left_by(machine.name)

    def _all_open(self, machine: Machine) -> None:
        for siem in self.world.siems.values():
            siem.all_open(machine.name)

    def _calm(self) -> None:
        """Nothing goes wrong any more: everything must be delivered, and the polls come to rest."""
        self.world.say("    calm")
        for machine in self.world.machines:
            machine.disk.lasts = True
        self.world.clock.now_s += LOOKBACK_S
        for stream in self.world.streams:  # a destination that takes one more event does not refuse everything
            stream.vendor.emitter.emit(1, at_ms=self.world.clock.now_ms, visible_ms=self.world.clock.now_ms)
            self._rest(stream)

    def _rest(self, stream: Stream) -> None:
        for machine in self.world.machines:
            quiet = 0
            for _ in range(MOST_POLLS):
                self.world.clock.now_s += REST_S
                report = self._poll(stream, machine)
                if report is not None:  # a walk takes several polls, and one that began before may end first
                    stirs = report.tally.new or not report.settled or self.world.waits(stream, machine)
                    quiet = 0 if stirs else quiet + report.complete
                if quiet == 2:
                    break
            else:
                raise AssertionError(f"liveness: {stream.name} does not come to rest within {MOST_POLLS} polls")


def _edited(destination: Any, key: str, value: object) -> Any:
    """The format of whichever destination has one."""
    if isinstance(destination, list):
        return [_edited(each, key, value) for each in destination]
    return destination.model_copy(update={key: value}) if destination.type == "http" else destination


class _quiet:
    """The product's log lines are for people; ten thousand worlds have none."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._before)


_PLAYED: dict[type, Callable[[Player, Any], None]] = {
    steps.Emit: Player._emit,
    steps.Wait: Player._wait,
    steps.Poll: Player._poll_step,
    steps.Sweep: Player._sweep_step,
    steps.LoseDisk: Player._lose_disk,
    steps.Edit: Player._edit,
    steps.Rewind: Player._rewind,
}
