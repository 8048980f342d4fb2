"""The warm launcher: one run server, forks that end as Dagster expects, and never a stale definition."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from flicker_dagster.orchestration import internals, run_server, run_socket
from flicker_dagster.orchestration.launcher import PID_TAG, WarmRunLauncher
from flicker_dagster.orchestration.run_server import DRAIN_S, KILL_S, RunServer
from flicker_dagster.orchestration.run_socket import RunSocket
from flicker_dagster_tests.waiting import until

pytestmark = pytest.mark.timeout(180)


def test_every_private_name_of_dagster_is_where_we_expect_it() -> None:
    assert internals.available() is None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[WarmRunLauncher, RunSocket]]:
    launcher = WarmRunLauncher()
    own = run_socket.own_socket(str(tmp_path))
    config = tmp_path / "config.yaml"
    config.write_text(
        "api_sources:\n  - name: a\n    endpoint: http://127.0.0.1:9/\n    polling_frequency_ms: 5000\n"
        "    timestamp_field: time\n    destination: {type: http, endpoint: 'http://127.0.0.1:9/'}\n"
    )
    os.environ["FLICKER_CONFIG"] = str(config)
    yield launcher, own
    del os.environ["FLICKER_CONFIG"]
    for pid in run_socket.run_servers(str(tmp_path)).values():
        os.kill(pid, signal.SIGTERM)


def test_many_launches_at_once_start_one_server(server: tuple[WarmRunLauncher, RunSocket]) -> None:
    launcher, own = server
    pids: set[int] = set()

    def start() -> None:
        if launcher._asked(own.path, {"do": "ping"}) is None:
            with run_socket.starting(own.path):
                if launcher._asked(own.path, {"do": "ping"}) is None:
                    launcher._start_server(own)
        pids.add(run_socket.ask(own.path, {"do": "ping"})["pid"])

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 1


def test_a_killed_server_is_replaced(server: tuple[WarmRunLauncher, RunSocket]) -> None:
    launcher, own = server
    launcher._start_server(own)
    first = run_socket.ask(own.path, {"do": "ping"})["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: launcher._asked(own.path, {"do": "ping"}) is None, "it answers no more")
    launcher._start_server(own)
    assert run_socket.ask(own.path, {"do": "ping"})["pid"] != first


def test_sigterm_ends_a_server_cleanly(
    server: tuple[WarmRunLauncher, RunSocket], capfd: pytest.CaptureFixture[str]
) -> None:
    launcher, own = server
    launcher._start_server(own)
    pid = run_socket.ask(own.path, {"do": "ping"})["pid"]
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0
    assert "Traceback" not in capfd.readouterr().err
    assert not Path(own.path).exists()


def test_a_run_whose_process_is_gone_is_reported_as_not_found() -> None:
    launcher = WarmRunLauncher()
    gone = dg.DagsterRun(job_name="j", run_id="00000000-0000-0000-0000-000000000001", tags={PID_TAG: "999999999"})
    here = dg.DagsterRun(job_name="j", run_id="00000000-0000-0000-0000-000000000002", tags={PID_TAG: str(os.getpid())})
    assert launcher.check_run_worker_health(gone).status.value == "NOT_FOUND"
    assert launcher.check_run_worker_health(here).status.value == "RUNNING"


def test_a_server_whose_parent_is_not_the_one_it_was_started_for_ends_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flicker_dagster.orchestration.run_server"]
    arguments = [str(tmp_path / "a.sock"), str(tmp_path / "a.lock"), "1"]
    assert subprocess.run([*command, *arguments], timeout=60).returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_another_processs_server_is_never_used(server: tuple[WarmRunLauncher, RunSocket], tmp_path: Path) -> None:
    _, own = server
    command = [sys.executable, "-c", "import sys; from flicker_dagster.orchestration.run_socket import own_socket\n"]
    command[-1] += "print(own_socket(sys.argv[1]).path)"
    other = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=True).stdout.strip()
    assert other != own.path
    assert Path(other).parent == Path(own.path).parent


def test_runs_that_never_end_are_ended_when_their_server_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    served = RunServer("unused", os.getpid(), (), None)
    served.children = {pid: {} for pid in (7, 8)}
    sent: list[tuple[int, int]] = []
    now_s = [100.0]
    monkeypatch.setattr(run_server.os, "kill", lambda pid, signum: sent.append((pid, signum)))
    monkeypatch.setattr(run_server.time, "monotonic", lambda: now_s[0])
    served._hurry()
    served.ending_s = 100.0
    for wait_s in (1, DRAIN_S, 1, 0, KILL_S, 1):
        now_s[0] += wait_s
        served._hurry()
    assert sent == [(7, signal.SIGTERM), (8, signal.SIGTERM), (7, signal.SIGKILL), (8, signal.SIGKILL)]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RunServer, list[str]]]:
    """A server in this process, of which `loaded` tells the digests it was made to load, and no fork comes."""
    loaded: list[str] = []
    monkeypatch.setattr(run_server, "code_fingerprint", lambda: "code")
    monkeypatch.setattr(run_server, "digest_in_force", lambda: "new")
    monkeypatch.setattr(run_server, "load", loaded.append)
    monkeypatch.setattr(run_server, "_has_threads", lambda: False)
    monkeypatch.setattr(RunServer, "_fork", lambda *_: 7)
    server = RunServer(str(tmp_path / "a.sock"), os.getppid(), "code", "old")
    server.listener.bind(server.path)
    server.inode = os.stat(server.path).st_ino
    yield server, loaded
    server._retire()


def _asked(server: RunServer, *, hung_up: bool = False) -> dict[str, object]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if hung_up:
            theirs.close()
        return server._handle({"do": "run", "run_id": "r"}, ours)


def test_another_configuration_is_loaded_in_place_and_no_run_waits_for_a_new_server(
    served: tuple[RunServer, list[str]],
) -> None:
    server, loaded = served
    assert [_asked(server), _asked(server)] == [{"pid": 7}, {"pid": 7}]
    assert loaded == ["new"]
    assert not server.retired


def test_a_server_that_cannot_load_what_is_in_force_retires(
    served: tuple[RunServer, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_server, "load", lambda _: 1 / 0)
    assert _asked(served[0]) == {"stale": True}
    assert served[0].retired


def test_a_run_that_nobody_waits_for_any_more_is_not_started(served: tuple[RunServer, list[str]]) -> None:
    # as after a pause of the whole process: whoever asked has had it started elsewhere
    assert "pid" not in _asked(served[0], hung_up=True)


def test_a_server_whose_name_another_has_taken_retires_and_leaves_it(served: tuple[RunServer, list[str]]) -> None:
    server, _ = served
    assert not server._unneeded()
    os.rename(server.path, f"{server.path}.old")
    Path(server.path).touch()
    assert server._unneeded()
    assert Path(server.path).exists()
