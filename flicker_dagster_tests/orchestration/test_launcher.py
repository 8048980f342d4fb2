"""The warm launcher: one run server, forks that end as Dagster expects, and never a stale definition."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from flicker_dagster.orchestration import internals, run_socket
from flicker_dagster.orchestration.launcher import PID_TAG, WarmRunLauncher

pytestmark = pytest.mark.timeout(180)


def test_every_private_name_of_dagster_is_where_we_expect_it() -> None:
    assert internals.available() is None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[WarmRunLauncher, str]]:
    launcher = WarmRunLauncher()
    path = run_socket.socket_path(str(tmp_path))
    config = tmp_path / "config.yaml"
    config.write_text(
        "api_sources:\n  - name: a\n    endpoint: http://127.0.0.1:9/\n    polling_frequency_ms: 5000\n"
        "    timestamp_field: time\n    destination: {type: http, endpoint: 'http://127.0.0.1:9/'}\n"
    )
    os.environ["FLICKER_CONFIG"] = str(config)
    yield launcher, path
    del os.environ["FLICKER_CONFIG"]
    try:
        os.kill(run_socket.ask(path, {"do": "ping"})["pid"], signal.SIGTERM)
    except run_socket.RunServerGone:
        return


def test_many_launches_at_once_start_one_server(server: tuple[WarmRunLauncher, str]) -> None:
    launcher, path = server
    pids: set[int] = set()

    def start() -> None:
        if launcher._asked(path, {"do": "ping"}) is None:
            with run_socket.starting(path):
                if launcher._asked(path, {"do": "ping"}) is None:
                    launcher._start_server(path)
        pids.add(run_socket.ask(path, {"do": "ping"})["pid"])

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 1


def test_a_killed_server_is_replaced(server: tuple[WarmRunLauncher, str]) -> None:
    launcher, path = server
    launcher._start_server(path)
    first = run_socket.ask(path, {"do": "ping"})["pid"]
    os.kill(first, signal.SIGKILL)
    _await(lambda: launcher._asked(path, {"do": "ping"}) is None)
    launcher._start_server(path)
    assert run_socket.ask(path, {"do": "ping"})["pid"] != first


def test_sigterm_ends_a_server_cleanly(server: tuple[WarmRunLauncher, str], capfd: pytest.CaptureFixture[str]) -> None:
    launcher, path = server
    launcher._start_server(path)
    pid = run_socket.ask(path, {"do": "ping"})["pid"]
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0
    assert "Traceback" not in capfd.readouterr().err
    assert not Path(path).exists()


def test_a_run_whose_process_is_gone_is_reported_as_not_found() -> None:
    launcher = WarmRunLauncher()
    gone = dg.DagsterRun(job_name="j", run_id="00000000-0000-0000-0000-000000000001", tags={PID_TAG: "999999999"})
    here = dg.DagsterRun(job_name="j", run_id="00000000-0000-0000-0000-000000000002", tags={PID_TAG: str(os.getpid())})
    assert launcher.check_run_worker_health(gone).status.value == "NOT_FOUND"
    assert launcher.check_run_worker_health(here).status.value == "RUNNING"


def test_a_socket_directory_open_to_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_socket.tempfile, "gettempdir", lambda: str(tmp_path))
    directory = tmp_path / f"flicker-{os.getuid()}"
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(run_socket.RunServerGone, match="open to others"):
        run_socket.socket_path("/somewhere")


def _await(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
