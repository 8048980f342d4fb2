"""What Dagster expects of a run launcher, on SQLite and on PostgreSQL: runs end, die, and are terminated as they should."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

import flicker_dagster
from flicker_dagster.orchestration import internals
from flicker_dagster.orchestration.launcher import PID_TAG
from flicker_dagster_tests.orchestration.instances import Launched, launched, postgres
from flicker_dagster_tests.waiting import until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    home = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        with launched(home) as scene:
            yield scene
    else:
        with postgres() as storage, launched(home, storage) as scene:
            yield scene


def test_a_run_is_forked_delivers_and_succeeds(scene: Launched) -> None:
    scene.vendor.emitter.emit(5)
    run_id = scene.launch()
    assert scene.finished(run_id) == "SUCCESS"
    assert PID_TAG in scene.run(run_id).tags
    assert len(scene.siem.ids("/siem")) == 5


def test_runs_share_one_server(scene: Launched) -> None:
    before = scene.server_pid()
    scene.finished(scene.launch())
    assert before is not None
    assert scene.server_pid() == before


def test_a_run_whose_process_is_killed_fails_and_says_how(scene: Launched) -> None:
    run_id = _stuck(scene)
    os.kill(int(scene.run(run_id).tags[PID_TAG]), signal.SIGKILL)
    assert scene.finished(run_id) == "FAILURE"
    said = [entry.message for entry in scene.instance.all_logs(run_id)]
    assert any("signal 9" in message for message in said)


def test_a_terminated_run_ends_as_canceled(scene: Launched) -> None:
    run_id = _stuck(scene)
    assert scene.instance.run_launcher.terminate(run_id)
    assert scene.finished(run_id) == "CANCELED"
    assert not scene.instance.run_launcher.terminate(run_id), "there is nothing left to terminate"


def test_a_changed_configuration_holds_for_the_next_run(scene: Launched) -> None:
    scene.vendor.emitter.emit(3)
    scene.configure(path="/elsewhere")
    assert scene.finished(scene.launch()) == "SUCCESS"
    assert len(scene.siem.ids("/elsewhere")) == 3
    scene.configure()


def test_changed_code_gets_a_new_server_while_the_old_one_finishes_its_run(scene: Launched) -> None:
    module = Path(flicker_dagster.__file__)
    before, old = os.stat(module), scene.server_pid()
    slow = _stuck(scene, 20)  # longer than a new server takes to start on a busy machine
    try:
        os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
        new = scene.launch()
        assert scene.server_pid() not in (old, None)
        assert not scene.run(slow).is_finished
        assert (scene.finished(slow), scene.finished(new)) == ("SUCCESS", "SUCCESS")
    finally:
        os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_where_internals_have_moved_dagsters_own_launcher_is_used_with_a_warning(
    scene: Launched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[str] = []
    monkeypatch.setattr(internals, "available", lambda: "cannot import core_execute_run")
    monkeypatch.setattr(
        dg.DefaultRunLauncher, "launch_run", lambda self, context: started.append(context.dagster_run.run_id)
    )
    with caplog.at_level(logging.WARNING, logger="flicker.launcher"):
        assert started == [scene.launch()]
    assert "internals have moved" in caplog.text


def _stuck(scene: Launched, seconds: float = 8) -> str:
    """A run that waits for the vendor's answer."""
    asked = scene.vendor.requests
    scene.vendor.faults.plan("slow", count=1, seconds=seconds)
    run_id = scene.launch()
    until(lambda: scene.vendor.requests > asked and PID_TAG in scene.run(run_id).tags, "the run has asked the vendor")
    return run_id
