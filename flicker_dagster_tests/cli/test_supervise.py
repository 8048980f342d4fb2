"""Children are kept up, and a stop ends all of them in bounded time, whatever they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from flicker_dagster.cli import code_server, supervise
from flicker_dagster.cli.children import Child, processes_with
from flicker_dagster.cli.code_server import CodeServer, CodeServers
from flicker_dagster.cli.supervise import Supervisor
from flicker_dagster.orchestration.run_socket import START_VAR
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster_tests.waiting import until

OBEDIENT = "import time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + OBEDIENT
#: A child of a child, in a session of its own and orphaned, as nothing that Flicker starts should be.
RUNAWAY = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {DEAF!r}], start_new_session=True)
{OBEDIENT}
"""


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    for name, seconds in {"LEAVE_S": 0.5, "FINISH_S": 1.0, "END_S": 1.5, "STOP_S": 8}.items():
        monkeypatch.setattr(supervise, name, seconds)
    supervisor = Supervisor(Settings(work_dir=str(tmp_path), state_dir=str(tmp_path)), port=None)
    supervisor.home.mkdir()
    yield supervisor
    supervisor.stop()


def spawn(supervisor: Supervisor, name: str, code: str) -> Child:
    child = Child(name, [sys.executable, "-c", code])
    supervisor._spawn(child)
    if name == "code server":
        supervisor.code = cast(CodeServers, Served(child))
    else:
        supervisor._others.append(child)
    return child


class Served:
    """A code server that is a child of the test's making."""

    def __init__(self, child: Child) -> None:
        self.all = [child]


def left(supervisor: Supervisor) -> list[int]:
    return processes_with(START_VAR, supervisor._start)


@pytest.mark.parametrize("daemon", [OBEDIENT, DEAF, RUNAWAY], ids=["obedient", "deaf", "runaway"])
@pytest.mark.parametrize("code_server", [OBEDIENT, DEAF], ids=["obedient", "deaf"])
def test_a_stop_leaves_no_process_whatever_they_do(supervisor: Supervisor, daemon: str, code_server: str) -> None:
    for name, code in {"daemon": daemon, "code server": code_server, "web UI": DEAF}.items():
        spawn(supervisor, name, code)
    until(lambda: len(left(supervisor)) == 3 + (daemon is RUNAWAY), "it has come to that")
    time.sleep(0.1)  # until they have set their handlers: nothing tells from outside
    began_s = time.monotonic()
    supervisor.stop()
    assert left(supervisor) == []
    assert time.monotonic() - began_s < 8


def test_a_stopped_process_is_ended_too(supervisor: Supervisor) -> None:
    child = spawn(supervisor, "daemon", OBEDIENT)
    child.signal(signal.SIGSTOP)
    supervisor.stop()
    assert left(supervisor) == []


def test_a_second_signal_does_not_wait_for_runs(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FINISH_S", 60)
    monkeypatch.setattr(supervise, "STOP_S", 90)
    spawn(supervisor, "code server", DEAF)
    threading.Timer(0.5, supervisor.hurry.set).start()
    began_s = time.monotonic()
    supervisor.stop()
    assert left(supervisor) == []
    assert time.monotonic() - began_s < 10


def test_a_child_ends_with_the_supervisor_even_when_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import os, sys, time
from pathlib import Path
from flicker_dagster.cli.children import Child
child = Child("daemon", [sys.executable, "-c", {OBEDIENT!r}])
child.spawn(env=os.environ, cwd=Path({str(tmp_path)!r}))
print(child.process.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    until(
        lambda: not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text(),
        "it has come to that",
    )


@pytest.fixture
def code(tmp_path: Path) -> Iterator[CodeServers]:
    """Code servers that only listen, on a short path."""
    listens = (
        "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(600)"
    )

    def spawn(child: Child, more: Mapping[str, str]) -> None:
        assert isinstance(child, CodeServer)
        code = "raise SystemExit(3)" if child.digest == "bad" else listens
        child.command = [sys.executable, "-c", code, child.bound]
        child.spawn(env=os.environ | more, cwd=tmp_path)

    with tempfile.TemporaryDirectory(prefix="f") as sockets:
        servers = CodeServers(sockets, location="flicker", spawn=spawn)
        yield servers
        for server in servers.all:
            server.kill()


def test_a_dead_code_server_is_replaced_by_one_with_the_configuration_in_force(code: CodeServers) -> None:
    first = code.current
    until(first.take_over, "it has come to that")
    known = Path(first.known)
    assert known.is_socket()
    assert not Path(first.bound).exists()
    first.kill()
    code.look(in_force="good")
    first.restart_at_s = time.monotonic()
    code.look(in_force="good")
    assert code.current is not first
    assert (code.current.failures, code.current.digest) == (1, "good")
    inode = known.stat().st_ino
    until(lambda: code.look(in_force="good") or code.current.answers, "it has come to that")
    assert known.stat().st_ino != inode


def test_a_new_one_takes_the_name_when_it_answers_and_the_old_one_lingers(
    code: CodeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = code.current
    until(old.take_over, "it has come to that")
    code.load("changed")
    assert code.current is old
    until(lambda: code.look(in_force=None), "it has come to that")
    assert code.current.digest == "changed"
    assert old.runs
    assert code.replaced == [old]
    monkeypatch.setattr(code_server, "LINGER_S", 0)
    until(lambda: not code.look(in_force=None) and not code.replaced, "it has come to that")
    assert not old.runs


def test_one_that_cannot_load_what_has_changed_leaves_the_old_one_in_place(code: CodeServers) -> None:
    old = code.current
    until(old.take_over, "it has come to that")
    code.load("bad")
    until(lambda: not code.look(in_force=None) and code.next is None, "it has come to that")
    assert code.current is old
    assert old.runs


def test_a_change_while_another_is_loaded_takes_its_place(code: CodeServers) -> None:
    code.load("first")
    given_up = code.next
    code.load("second")
    assert given_up is not None
    assert not given_up.runs
    until(lambda: code.look(in_force=None), "it has come to that")
    assert code.current.digest == "second"
