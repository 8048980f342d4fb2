"""A probe gives up long before Dagster gives up its tick."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from flicker_dagster.config.groups import Limits
from flicker_dagster.errors import BadAnswer, RateLimited, VendorUnavailable
from flicker_dagster.orchestration import bounded, probing
from flicker_dagster.orchestration.bounded import Bounded, NotDone
from flicker_dagster.orchestration.probing import MOST, REST_S, Probes, hurried
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.probe import ProbeResult, probe
from flicker_dagster.types import Position
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.conformance.harness import plain_scene
from flicker_dagster_tests.waiting import until

DAGSTER_TICK_S = 60


def test_a_probe_and_a_whole_tick_end_well_within_half_of_dagsters_time() -> None:
    assert probing.TURN_S + probing.TOTAL_S < bounded.TICK_S < DAGSTER_TICK_S / 2


def test_patience_that_is_shorter_already_stays() -> None:
    limits = Limits(connect_timeout_ms=1, read_timeout_ms=2, max_wait_ms=3, page_bytes=4)
    assert hurried(a_source(limits=limits)).limits == limits


def test_a_vendor_that_does_not_answer_ends_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "READ_MS", 200)
    with plain_scene(tmp_path) as scene:
        scene.poll()
        scene.source = hurried(scene.source)
        scene.vendor.faults.plan("slow", seconds=3)
        with scene.work() as work, pytest.raises(VendorUnavailable, match="no answer"):
            probe(work, starting_position(work))


def test_a_used_up_quota_is_not_waited_for_in_a_tick(tmp_path: Path) -> None:
    with plain_scene(tmp_path, vendor_options={}) as scene:
        scene.poll()
        scene.source = hurried(scene.source)
        with scene.work() as work:
            position = starting_position(work)
            work.client._quota._not_before_s = scene.clock() + 30
            work.client._quota._clock = scene.clock
            with pytest.raises(RateLimited):
                probe(work, position)


@pytest.fixture
def trickle() -> Iterator[str]:
    """The address of a vendor that sends a byte of its header now and then, for ever."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.recv(65536)
                for byte in itertools.chain(b"HTTP/1.1 200 OK\r\nX: ", itertools.repeat(ord("a"))):
                    if over.wait(0.05):
                        return
                    connection.sendall(bytes([byte]))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/events"
        over.set()


def test_a_vendor_that_trickles_ends_in_a_probes_time_and_is_left_to_runs_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trickle: str
) -> None:
    monkeypatch.setattr(probing, "TOTAL_S", 1.0)
    monkeypatch.setattr(probing, "SLOW_S", 0.5)
    now_s = [0.0]
    probes = Probes(clock=lambda: now_s[0] + time.monotonic())
    with plain_scene(tmp_path) as scene:
        scene.poll()
        good = scene.source
        with scene.work() as work:
            position = starting_position(work)
        scene.source = hurried(good.model_copy(update={"endpoint": trickle}))
        with scene.work() as work:
            began_s = time.monotonic()
            with pytest.raises(VendorUnavailable, match="not complete within the 1 s of a probe"):
                probes.look(work, position)
            assert time.monotonic() - began_s < 5
            assert work.client.deadline is None
            assert probes.look(work, position) is None, "a run is asked for"
        scene.source = hurried(good)
        with scene.work() as work:
            assert probes.look(work, position) is not None, "other sources are probed"
        scene.source = hurried(good.model_copy(update={"endpoint": trickle}))
        now_s[0] += REST_S
        with scene.work() as work, pytest.raises(VendorUnavailable):
            probes.look(work, position)


def test_no_more_probes_than_there_are_turns_run_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, over = threading.Semaphore(0), threading.Event()

    def holding(_work: object, _position: object) -> ProbeResult:
        at_work.release()
        over.wait(60)
        return ProbeResult(False, 1, "nothing new")

    monkeypatch.setattr(probing, "probe", holding)
    monkeypatch.setattr(probing, "TURN_S", 0.05)
    probes = Probes()
    with plain_scene(tmp_path) as scene, ThreadPoolExecutor(MOST) as pool:
        position = Position("2026-01-31T12:00:00.000Z", None)
        looks = [pool.submit(probes.look, scene.work(), position) for _ in range(MOST)]
        for _ in looks:
            at_work.acquire(timeout=30)
        assert probes.look(scene.work(), position) is None
        over.set()
        assert all(look.result(30) is not None for look in looks)
        assert probes.look(scene.work(), position) is not None


def test_a_page_larger_than_a_probe_reads_is_left_to_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PAGE_BYTES", 200)
    with plain_scene(tmp_path) as scene:
        scene.poll()
        scene.emit(20)
        scene.source = hurried(scene.source)
        with scene.work() as work, pytest.raises(BadAnswer, match="larger than"):
            Probes().look(work, starting_position(work))


def test_work_that_hangs_costs_its_own_key_a_tick_and_no_other() -> None:
    over = threading.Event()
    ticks = Bounded(most=2, wait_s=0.2)
    with pytest.raises(NotDone, match=r"within 0\.2 s"):
        ticks.call("a", lambda: over.wait(60))
    with pytest.raises(NotDone, match="an earlier tick of it"):
        ticks.call("a", lambda: None)
    assert ticks.call("b", lambda: "done") == "done"
    with pytest.raises(NotDone):
        ticks.call("c", lambda: over.wait(60))
    with pytest.raises(NotDone, match="2 ticks of other sources"):
        ticks.call("b", lambda: None)
    over.set()
    until(lambda: not ticks._at_work, "all have ended")
    assert ticks.call("a", lambda: "again") == "again"


def test_what_the_work_raises_is_raised_where_it_is_waited_for() -> None:
    def broken() -> None:
        raise RateLimited("slow down", retry_after_s=3)

    with pytest.raises(RateLimited, match="slow down"):
        Bounded().call("a", broken)
