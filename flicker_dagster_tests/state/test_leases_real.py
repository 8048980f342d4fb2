"""Leases with real locks, processes and servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flicker_dagster.errors import SourceBusy
from flicker_dagster.state.exclusive import Clocks, exclusive_run
from flicker_dagster.state.fencing import Fence
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.leases import TTL_S
from flicker_dagster.state.leftovers import forget
from flicker_dagster.state.s3 import S3Store
from flicker_dagster.state.stores import Store
from flicker_dagster_tests.state.lease_world import KEY, Clock, World
from flicker_dagster_tests.state.object_store import object_store


def _layout(store: Store, work: Path) -> StateLayout:
    return StateLayout(store, "registry.json", store, work)


def _held(layout: StateLayout, world: World, fence: Fence | None = None):  # type: ignore[no-untyped-def]
    clocks = Clocks(world.clock.now, world.clock.elapsed, world.clock.sleep)
    return exclusive_run(layout, layout.spool("okta"), fence=fence or Fence(), clocks=clocks)


def test_two_machines_on_one_remote_state_are_one_at_a_time(world: World, tmp_path: Path) -> None:
    a, b = (_layout(world.store(), tmp_path / name) for name in "ab")
    with _held(a, world), pytest.raises(SourceBusy, match="until 2026"), _held(b, world):
        pass
    with _held(b, world):
        pass


def test_two_work_directories_on_one_local_state_are_one_at_a_time(tmp_path: Path) -> None:
    a, b = (StateLayout.of(None, tmp_path / "state", tmp_path / name) for name in "ab")
    with exclusive_run(a, a.spool("okta"), fence=Fence()):
        with pytest.raises(SourceBusy, match="another run is at work"):
            exclusive_run(b, b.spool("okta"), fence=Fence()).__enter__()
        with exclusive_run(b, b.spool("github"), fence=Fence()):
            pass
    with exclusive_run(b, b.spool("okta"), fence=Fence()):
        pass
    assert list(a.store.list("")) == []


def _s3_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in {
        "ENDPOINT_URL_S3": url,
        "ACCESS_KEY_ID": "id",
        "SECRET_ACCESS_KEY": "no",
        "REGION": "x",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)


_HOLDER = """
import sys, time
from pathlib import Path
from flicker_dagster.state.exclusive import exclusive_run
from flicker_dagster.state.fencing import Fence
from flicker_dagster.state.layout import StateLayout
layout = StateLayout.of(None, sys.argv[1], sys.argv[2])
with exclusive_run(layout, layout.spool("okta"), fence=Fence()):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("again_in", ["the same work directory", "another one"])
@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_holder_that_was_killed_holds_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, again_in: str
) -> None:
    with object_store() as server:
        _s3_at(monkeypatch, server.url)
        state = str(tmp_path / "state") if kind == "local" else "s3://bucket/flicker"
        work = tmp_path / "a"
        child = subprocess.Popen([sys.executable, "-c", _HOLDER, state, str(work)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        clock = Clock()
        layout = StateLayout.of(None, state, work if again_in == "the same work directory" else tmp_path / "b")
        clocks = Clocks(elapsed=clock.elapsed, sleep=clock.sleep)
        began_s = clock.elapsed()
        with exclusive_run(layout, layout.spool("okta"), fence=Fence(), wait_s=30, clocks=clocks):
            waited_s = clock.elapsed() - began_s
        assert (waited_s >= TTL_S) == (kind == "remote" and again_in == "another one")


def test_an_op_costs_three_requests_of_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with object_store() as server:
        _s3_at(monkeypatch, server.url)
        layout = _layout(S3Store("bucket"), tmp_path)
        with exclusive_run(layout, layout.spool("okta"), fence=Fence()):
            pass
        assert server.asked == [f"{how} /bucket/{KEY}" for how in ("GET", "PUT", "PUT")]


def test_a_stream_that_is_forgotten_has_no_lease_left(world: World, tmp_path: Path) -> None:
    layout = _layout(world.store(), tmp_path)
    with _held(layout, world):
        pass
    assert KEY in world.bucket.objects
    forget(layout, "okta")
    assert not world.bucket.objects
