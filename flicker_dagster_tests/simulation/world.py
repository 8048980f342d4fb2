"""A simulated world: vendors, a SIEM, a store, machines, and Dagster's memory of each stream's position.

The product's own code does all the work (plan, fetch, spool, deliver, commit, registry, ledger, the sensor's fold); what is
simulated is around it: clock, disk, network, store, and the moment of each death.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.stores import LocalStore
from flicker_dagster_tests.simulation import steps
from flicker_dagster_tests.simulation.bucket import Bucket, SimStore
from flicker_dagster_tests.simulation.disk import base_of
from flicker_dagster_tests.simulation.machine import Machine
from flicker_dagster_tests.simulation.network import Route
from flicker_dagster_tests.simulation.siem import KINDS, Siem
from flicker_dagster_tests.simulation.streams import Clock, Stream, new_stream


class World:
    """What a script is played in. `trace` gets a line for everything that happens."""

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
        self.last_io = ""
        self.step = 0  # of the script
        #: What is done once, after so many more accesses to disk, network or store.
        self.meanwhile: tuple[int, Callable[[], object]] | None = None
        self.streams = [
            new_stream(number, shape, seed=script.seed, clock=self.clock) for number, shape in enumerate(script.streams)
        ]
        self.machines = [self._machine(number) for number in range(script.machines)]

    def close(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    def say(self, line: str) -> None:
        if self._trace is not None:
            self._trace(line.replace(str(self.home), "home").replace(self.home.name, "home"))

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
        self.last_io = what
        if self._trace is not None:
            self.say(f"        {what} {base_of(path)}" if path else f"        {what}")
        if self.meanwhile is not None:
            left, run = self.meanwhile
            self.meanwhile = (left - 1, run)
            if left <= 0:
                self.meanwhile = None
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
            response = stream.vendor.handle(request)
            assert not stream.vendor.raised, "the simulated vendor itself failed, see the log"
            return response

        def fault() -> str | None:
            return str(stream.faults.pop(0)) if stream.faults and isinstance(stream.faults[0], str) else None

        return Route(answer, fault, lambda: None)

    def _siem_network_fault(self) -> str | None:
        return str(self.siem_faults.pop(0)) if self.siem_faults and isinstance(self.siem_faults[0], str) else None

    def _store_fault_next(self) -> str | None:
        return str(self.store_faults.pop(0) or "") or None if self.store_faults else None

    # -- what player and laws look at

    def taken(self) -> set[str]:
        """Everything the SIEM has taken so far: what of it was not committed yet may come again when a disk is lost."""
        return {mark for siem in self.siems.values() for arrival in siem.arrivals for mark in arrival.ids}

    def lanes(self, stream: Stream) -> dict[str, Siem]:
        """The destinations of a stream by the names of its lanes."""
        number = self.streams.index(stream)
        kinds = self.script.streams[number].lanes
        return {kind if len(kinds) > 1 else "": self.siems[number, kind] for kind in kinds}

    def waits(self, stream: Stream, machine: Machine) -> bool:
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
