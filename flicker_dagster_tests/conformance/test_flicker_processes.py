"""Processes that are ended, and two of them at once: what the original and helr drop or do twice."""

from __future__ import annotations

import signal
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import SourceBusy
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.deliver import deliver_live
from flicker_dagster.pipeline.fetch import fetch_live
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.simulator.faults import Fault, Faults
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.types import Position
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.conformance.rows import row, rows

rows(
    "flicker",
    {
        15: "SIGTERM drops the buffer, the retry queue and the last seconds of the registry",
        21: "two writers of one registry erase each other's entries",
    },
)
rows("helr", {9: "two replicas poll everything twice: no lock, no lease"})


@row(
    "flicker-15",
    behaviour="what was read lies in the spool and the position has not moved; the next process goes on from there",
)
def test_a_process_ended_by_sigterm_leaves_everything_on_the_disk(tmp_path: Path) -> None:
    with plain_scene(tmp_path, buffer_size=10) as scene:
        scene.emit(90)
        scene.siem.faults = holding = _Holding()
        process = get_context("forkserver").Process(target=_poll, args=(scene.source, scene.layout))
        process.start()
        assert holding.asked.wait(60), "the process never reached the SIEM"
        process.terminate()
        process.join(60)
        assert process.exitcode == -signal.SIGTERM
        holding.released.set()
        scene.siem.faults = Faults()
        requests = scene.vendor.requests
        scene.deliver()
        assert scene.vendor.requests == requests, "nothing is read again"
        scene.assert_each_once()


class _Holding(Faults):
    """A SIEM that keeps its callers waiting, and then has stored nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.released = threading.Event(), threading.Event()

    def take(self) -> Fault | None:
        self.asked.set()
        self.released.wait(60)
        return Fault("503")


def _poll(source: SourceConfig, layout: StateLayout) -> None:
    with SourceWork(source, layout) as work, work.spool.lock():
        fetch_live(work, starting_position(work))
        deliver_live(work)


@row("flicker-21", behaviour="conditional writes: what another wrote meanwhile is read again and merged")
def test_two_writers_keep_each_others_entries(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        one, other = scene.layout.registry(), scene.layout.registry()
        assert one.position("a") is None
        assert other.position("b") is None
        position = Position("2026-01-31T12:00:00.000Z", None)
        one.commit("a", position, seen=None)
        other.commit("b", position, seen=None)
        assert (scene.layout.registry().position("a"), scene.layout.registry().position("b")) == (position, position)


@row(
    "helr-9",
    behaviour="one run at a time per source and work directory, by a lock that ends with its holder; two Flickers on one "
    "registry share the ledger, which is asked again just before anything is sent",
)
def test_a_second_run_of_a_source_waits_its_turn(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(3)
        with (
            scene.work() as work,
            scene.work() as other,
            work.spool.lock(),
            pytest.raises(SourceBusy, match="another run is at work"),
            other.spool.lock(),
        ):
            deliver_live(other)
        scene.poll()
        scene.assert_each_once()


@row("helr-9", "flicker-21", behaviour="")
def test_two_flickers_on_one_registry_lose_nothing_and_send_nothing_twice(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as one:
        other = Scene(one.vendor, one.siem, one.source, tmp_path / "other", one.clock)
        other.state = one.state
        for each in (one, other, one, other):
            one.clock.now_s += 5
            one.emit(15)
            assert each.poll().drained.known == 0
        one.assert_each_once()
        one.clock.now_s += 5
        one.emit(15)
        one.fetch()
        other.fetch()
        assert [each.deliver().drained.known for each in (one, other)] == [0, 15]
        one.assert_each_once()
