"""A simulated world: vendors, a SIEM, a store, machines, and Dagster's memory of each stream's position; played by a script.

The product's own code does all the work (plan, fetch, spool, deliver, commit, registry, ledger, the sensor's fold); what is
simulated is around it: clock, disk, network, store, and the moment of each death.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flicker_dagster.errors import DeliverError, FlickerError, SourceBusy, StateError
from flicker_dagster.orchestration.cursor import LiveCursor, Outcome, fold
from flicker_dagster.pipeline.begin import begun_ms, starting_position
from flicker_dagster.pipeline.deliver import LiveReport, deliver_live, deliver_window
from flicker_dagster.pipeline.fetch import fetch_live
from flicker_dagster.pipeline.read_window import read_window
from flicker_dagster.pipeline.windows import HOUR_MS, closed_windows, window_of_key
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.state import conflicts
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.stores import LocalStore
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster.types import Position
from flicker_dagster_tests.simulation import steps
from flicker_dagster_tests.simulation.bucket import Bucket, SimStore
from flicker_dagster_tests.simulation.chaos import Killed
from flicker_dagster_tests.simulation.disk import base_of
from flicker_dagster_tests.simulation.machine import Machine
from flicker_dagster_tests.simulation.network import Route
from flicker_dagster_tests.simulation.siem import KINDS, Siem
from flicker_dagster_tests.simulation.streams import LOOKBACK_S, Clock, Stream, new_stream

#: Once nothing goes wrong any more, so many polls of a stream are enough to deliver everything.
MOST_POLLS = 300
REST_S = 10

#: How long a run waits for another one that is alive.
LOCK_WAIT_S = 30.0


class World:
    """Plays a script. `trace` gets a line for everything that happens."""

    def __init__(self, script: steps.Script, trace: Callable[[str], None] | None = None) -> None:
        self.script = script
        self.clock = Clock()
        self.chance = random.Random(script.seed ^ 0x5EED)
        self.siems = {
            (number, kind): KINDS[kind](script.manners)
            for number, shape in enumerate(script.streams)
            for kind in shape.lanes
        }
        self.siem_faults: list[int | str] = []
        self.store_faults: list[int | str] = []
        self.bucket = Bucket()
        self.home = Path(tempfile.mkdtemp(prefix="simulation-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self._trace = trace
        self._last_io = ""
        self.step = 0  # of the script
        self._between: tuple[int, Callable[[], object]] | None = None
        self.streams = [
            new_stream(number, shape, seed=script.seed, clock=self.clock) for number, shape in enumerate(script.streams)
        ]
        self.machines = [self._machine(number) for number in range(script.machines)]

    def close(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    # -- playing

    def play(self) -> None:
        """The whole script, then calm until nothing is left to deliver. Raises AssertionError where that never comes."""
        random.seed(self.script.seed)
        with (
            patch.object(conflicts.time, "sleep", lambda _: None),
            _quiet(),
        ):
            for stream in self.streams:
                self._poll(stream, self.machines[0])  # collection begins: what happens from here on counts
            for number, step in enumerate(self.script.steps):
                self.step = number
                for siem in self.siems.values():
                    siem.step = number
                self.say(f"{number:3d} {step}")
                _PLAYED[type(step)](self, step)
            self._calm()

    def say(self, line: str) -> None:
        if self._trace is not None:
            self._trace(line.replace(str(self.home), "home").replace(self.home.name, "home"))

    # -- steps

    def _emit(self, step: steps.Emit) -> None:
        vendor = self.streams[step.stream].vendor
        at_ms, visible_ms = self.clock.now_ms - step.age_s * 1000, self.clock.now_ms + step.hidden_s * 1000
        vendor.poison = step.poison
        for number in range(step.count):
            vendor.emitter.emit(1, at_ms=at_ms + (0 if step.tied else number), visible_ms=visible_ms)
        vendor.poison = False

    def _wait(self, step: steps.Wait) -> None:
        self.clock.now_s += step.seconds

    def _poll_step(self, step: steps.Poll) -> None:
        stream, machine = self.streams[step.stream], self.machines[step.machine]
        self._troubled(stream, machine, step.trouble, lambda: self._poll(stream, machine))

    def _sweep_step(self, step: steps.Sweep) -> None:
        stream, machine = self.streams[step.stream], self.machines[step.machine]
        self.clock.now_s += 2 * 3600
        self._troubled(stream, machine, step.trouble, lambda: self._sweep(stream, machine))

    def _lose_disk(self, step: steps.LoseDisk) -> None:
        machine = self.machines[step.machine]
        for stream in self.streams:
            stream.excused |= self._taken(stream)
        machine.lose_disk()

    def _edit(self, step: steps.Edit) -> None:
        stream = self.streams[step.stream]
        if step.key == "format":
            stream.reformatted.append(self.step)
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
        stream = self.streams[step.stream]
        stood_ms = parse_time_ms(stream.cursor.position.last_timestamp) if stream.cursor else None
        if stood_ms is not None:
            stream.cursor = LiveCursor(Position(rfc3339_ms(stood_ms - step.by_s * 1000), None))

    # -- runs

    def _troubled(self, stream: Stream, machine: Machine, trouble: steps.Trouble, run: Callable[[], object]) -> None:
        """Do it while all that goes wrong; where the machine dies, it starts again."""
        stream.faults[:] = trouble.vendor
        self.siem_faults[:] = trouble.siem
        self.store_faults[:] = trouble.store
        machine.disk.full = trouble.disk_full
        if trouble.between_at is not None:
            other = next(other for other in self.machines if other is not machine)
            self._between = (trouble.between_at, lambda: self._come_between(stream, machine, other, trouble))
        machine.power.arm(trouble.dies_at)
        try:
            run()
        except Killed:
            self.say(f"      {machine.name} {'loses power' if trouble.power else 'is killed'}")
            self._all_open(machine)
            self._left_by(machine)
            machine.restart(self.chance, lost_power=trouble.power)
        machine.power.arm(None)
        machine.disk.full = False
        self._between = None
        for siem in self.siems.values():
            siem.under_way = ""
        for faults in (stream.faults, self.siem_faults, self.store_faults):
            faults.clear()

    def _come_between(self, stream: Stream, machine: Machine, other: Machine, trouble: steps.Trouble) -> None:
        """A run on another machine while one is at work: it waits until that one is not heard of any more, or gives up."""
        if trouble.paused:
            self._left_by(machine)
            for siem in self.siems.values():
                siem.under_way = machine.name if self._last_io.startswith("POST ") else ""
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
        self.say(f"      {stream.name} on {machine.name}: new {report.tally.new}, now {report.end.last_timestamp}")
        return report

    def _something_waits(self, stream: Stream, machine: Machine) -> bool:
        with machine.work(stream.source) as work:
            return work.live.state is not None

    def _sweep(self, stream: Stream, machine: Machine) -> None:
        """Read the newest closed windows again."""
        with machine.at_work():
            try:
                with machine.work(stream.source) as work:
                    begun = begun_ms(work) or self.clock.now_ms
                    keys = [
                        w.key for w in closed_windows(stream.source.window, begun, self.clock.now_ms - HOUR_MS // 6)
                    ][:2]
                for key in keys:
                    window = window_of_key(stream.source, key)
                    with machine.work(stream.source) as work:
                        read_window(work, window, fresh=True)
                    with machine.work(stream.source) as work:
                        deliver_window(work, window)
                    self._ledger_knows(stream, machine)
            except FlickerError as error:
                self._told(error, stream, machine)

    def _told(self, error: FlickerError, stream: Stream, machine: Machine) -> None:
        self.say(f"      failed: {type(error).__name__}: {error}")
        if isinstance(error, DeliverError):
            self._ledger_knows(stream, machine)
        elif isinstance(error, StateError) and not isinstance(error, SourceBusy):
            self._all_open(machine)  # an answer that came and could not be written down
            self._left_by(machine)

    def _ledger_knows(self, stream: Stream, machine: Machine) -> None:
        for siem in self.lanes(stream).values():
            siem.ledger_knows(machine.name)

    def _left_by(self, machine: Machine) -> None:
        for siem in self.siems.values():
            siem.left_by(machine.name)

    def _all_open(self, machine: Machine) -> None:
        for siem in self.siems.values():
            siem.all_open(machine.name)

    def _calm(self) -> None:
        """Nothing goes wrong any more: everything must be delivered, and the polls come to rest."""
        self.say("    calm")
        for machine in self.machines:
            machine.disk.lasts = True
        self.clock.now_s += LOOKBACK_S
        for stream in self.streams:  # a destination that takes one more event does not refuse everything
            stream.vendor.emitter.emit(1, at_ms=self.clock.now_ms, visible_ms=self.clock.now_ms)
            self._rest(stream)

    def _rest(self, stream: Stream) -> None:
        for machine in self.machines:
            quiet = 0
            for _ in range(MOST_POLLS):
                self.clock.now_s += REST_S
                report = self._poll(stream, machine)
                if report is not None:  # a walk takes several polls, and one that began before may end first
                    stirs = report.tally.new or not report.settled or self._waits(stream, machine)
                    quiet = 0 if stirs else quiet + report.complete
                if quiet == 2:
                    break
            else:
                raise AssertionError(f"liveness: {stream.name} does not come to rest within {MOST_POLLS} polls")

    # -- what it is made of

    def _machine(self, number: int) -> Machine:
        routes = {f"vendor-{n}": self._vendor_route(stream) for n, stream in enumerate(self.streams)}
        directory = self.home / f"machine-{number}"
        machine: list[Machine] = []
        for (stream, kind), siem in self.siems.items():
            routes[f"{kind}-{stream}"] = self._siem_route(siem, lambda: machine[0])

        def layout(home: Path) -> StateLayout:
            if not self.script.remote:
                store = LocalStore(home / "state")
                return StateLayout(store, "registry.json", store, home / "work")
            remote = SimStore(self.bucket, "", lambda what: machine[0].io(what), self._store_fault_next)
            return StateLayout(remote, "registry.json", remote, home / "work")

        machine.append(
            Machine(
                "AB"[number],
                directory,
                layout=layout,
                routes=routes,
                clock=self.clock,
                sleep=self.clock.sleep,
                on_io=self._on_io,
            )
        )
        machine[0].disk.on_sync = lambda name: self._on_sync(name, machine[0])
        return machine[0]

    def _on_io(self, what: str, path: str) -> None:
        self._last_io = what
        if self._trace is not None:
            self.say(f"        {what} {base_of(path)}" if path else f"        {what}")
        if self._between is not None:
            left, run = self._between
            self._between = (left - 1, run)
            if left <= 0:
                self._between = None
                self.say("      meanwhile:")
                run()

    def _on_sync(self, name: str, machine: Machine) -> None:
        if name.startswith("journal."):  # what a destination said is written down
            for siem in self.siems.values():
                siem.written_down(machine.name)

    def _siem_route(self, siem: Siem, machine: Callable[[], Machine]) -> Route:
        def answer(request: Request) -> Response:
            siem.machine = machine().name
            if self.siem_faults and isinstance(self.siem_faults[0], int):
                siem.answers.append(int(self.siem_faults.pop(0)))
            return siem.handle(request)

        return Route(answer, self._siem_network_fault, lambda: siem.all_open(machine().name))

    def _vendor_route(self, stream: Stream) -> Route:
        def answer(request: Request) -> Response:
            if stream.faults and isinstance(stream.faults[0], int) and (status := int(stream.faults.pop(0))):
                return Response.json({"message": f"simulated {status}"}, status, [("Retry-After", "1")])
            return stream.vendor.handle(request)

        def fault() -> str | None:
            return str(stream.faults.pop(0)) if stream.faults and isinstance(stream.faults[0], str) else None

        return Route(answer, fault, lambda: None)

    def _siem_network_fault(self) -> str | None:
        return str(self.siem_faults.pop(0)) if self.siem_faults and isinstance(self.siem_faults[0], str) else None

    def _store_fault_next(self) -> str | None:
        return str(self.store_faults.pop(0) or "") or None if self.store_faults else None

    def _taken(self, stream: Stream) -> set[str]:
        """Everything the SIEM has taken so far: what of it was not committed yet may come again when a disk is lost."""
        return {mark for siem in self.siems.values() for arrival in siem.arrivals for mark in arrival.ids}

    # -- what the laws look at

    def lanes(self, stream: Stream) -> dict[str, Siem]:
        """The destinations of a stream by the names of its lanes."""
        number = self.streams.index(stream)
        kinds = self.script.streams[number].lanes
        return {kind if len(kinds) > 1 else "": self.siems[number, kind] for kind in kinds}

    def _waits(self, stream: Stream, machine: Machine) -> bool:
        """Does anything wait for any lane, those included that nobody waits for?"""
        with machine.look(stream.source) as work:
            return any(work.live.waiting_of(lane).events for lane in stream.source.lanes)

    def dead_letters(self, stream: Stream, name: str) -> list[str]:
        machine = self.machines[0]
        found: list[str] = []
        with machine.at_work(), suppress(FlickerError), machine.work(stream.source) as work:
            for lane in (lane for lane in work.lanes if lane.name == name):
                for letter_id in lane.dead_letters.list():
                    found += [json.loads(letter.event)["mark"] for letter in lane.dead_letters.read(letter_id)]
        return found


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


_PLAYED: dict[type, Callable[[World, Any], None]] = {
    steps.Emit: World._emit,
    steps.Wait: World._wait,
    steps.Poll: World._poll_step,
    steps.Sweep: World._sweep_step,
    steps.LoseDisk: World._lose_disk,
    steps.Edit: World._edit,
    steps.Rewind: World._rewind,
}
