"""A machine: its disk, its ways to store and network, and the work it does for a stream as a run of Dagster's would."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flicker_dagster.collect import client as vendor_client
from flicker_dagster.collect.client import VendorClient
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.lazy import lazy
from flicker_dagster.pipeline import deliver_lanes
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state import append_only, files, leases, run_lock, spool, spool_unit, stores
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.transport import exchange
from flicker_dagster_tests.simulation.chaos import Power
from flicker_dagster_tests.simulation.disk import SimDisk
from flicker_dagster_tests.simulation.network import Network, Route, SimConnections

#: The modules that write to the disk by `os`.
DISK_MODULES = (append_only, files, run_lock, spool, spool_unit, stores)


class SimWork(SourceWork):
    """A source's work on the virtual clock."""

    @lazy
    def client(self) -> VendorClient:
        return VendorClient(self.source, env=self.env, clock=self.clock, sleep=self.sleep)


class NoRenewal:
    """In place of the thread that renews a lease: it is renewed where a write finds it old."""

    def __init__(self, *_: object) -> None:
        return

    def end(self) -> None:
        return


def _one_after_the_other(tasks: list[Callable[[], None]], _: object) -> None:
    """Lanes in place of threads, so that a seed decides all."""
    for task in tasks:
        task()


class Machine:
    """One machine. While it works, the product's `os` and connections are its own (`at_work`)."""

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        layout: Callable[[Path], StateLayout],
        routes: dict[str, Route],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        on_io: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.directory = directory
        self.power = Power()
        self.disk = SimDisk(self._io)
        self._clock, self._sleep, self._on_io = clock, sleep, on_io
        self.layout = layout(directory)
        self._network = Network(routes, self._io, clock)

    def io(self, what: str) -> None:
        self._io(what)

    def _io(self, what: str, path: str = "") -> None:
        self.power.spend()
        self._on_io(what, path)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        def connections(url: str, **options: object) -> SimConnections:
            return SimConnections(self._network, url)

        own = [
            (vendor_client, "Connections", connections),
            (exchange, "Connections", connections),
            (deliver_lanes, "run_all", _one_after_the_other),
            (leases, "Renewal", NoRenewal),
            *((module, "os", self.disk) for module in DISK_MODULES),
        ]
        before = [getattr(module, name) for module, name, _ in own]
        for module, name, double in own:
            setattr(module, name, double)
        try:
            yield
        finally:
            for (module, name, _), stood in zip(own, before, strict=True):
                setattr(module, name, stood)

    @contextmanager
    def work(self, source: SourceConfig, *, wait_s: float = 0) -> Iterator[SimWork]:
        """What one op of a run sees: nothing is remembered but what lies on disk and in the store. It is the only run of its
        stream; where another one is, it waits for `wait_s`."""
        work = self.look(source)
        with work, work.exclusive(wait_s=wait_s):
            yield work

    def look(self, source: SourceConfig) -> SimWork:
        """The same for who only reads, and needs not be alone for it."""
        return SimWork(source, self.layout, env={}, clock=self._clock, sleep=self._sleep, elapsed=self._clock)

    def restart(self, chance: random.Random, *, lost_power: bool) -> None:
        self.power.restart()
        if lost_power:
            self.disk.lose_power(chance)
        else:
            self.disk.forget()

    def lose_disk(self) -> None:
        shutil.rmtree(self.directory / "work", ignore_errors=True)
        self.disk.forget()
