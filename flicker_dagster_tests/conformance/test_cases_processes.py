"""Field reports about processes: who may command them, what outlives what, and which configuration they go by."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from flicker_dagster.cli.children import processes_with
from flicker_dagster.cli.refusals import WorkDirLock, listeners
from flicker_dagster.errors import StartRefused
from flicker_dagster.orchestration.applied import AppliedConfig
from flicker_dagster.orchestration.run_socket import START_VAR, own_socket, run_servers
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.conformance.rows import cases, row
from flicker_dagster_tests.e2e.stack import Stack, a_stack
from flicker_dagster_tests.waiting import until

pytestmark = pytest.mark.timeout(600)

cases(
    {
        "orphan_run_server": "a process that outlived its start serves the next one, with the old environment",
        "socket_squat": "whoever takes a directory's name in /tmp first ends Flicker's drain in a traceback",
        "grpc_open": "the code server takes commands from every local user, at a TCP port",
        "config_half_live": "an edited configuration is in force for runs at once, for the rest at some restart",
    }
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole Flicker, in whose temporary directory somebody was first with every name that could be guessed."""
    home = tmp_path_factory.mktemp("processes")
    with tempfile.TemporaryDirectory(prefix="f") as shared, patch.dict(os.environ, {"TMPDIR": shared}):
        squatted = Path(shared, f"flicker-{os.getuid()}")
        squatted.mkdir()
        squatted.chmod(0o777)
        (home / "work" / "dagster").mkdir(parents=True)
        (home / "work" / "dagster" / "sockets").symlink_to(squatted)
        with World(rate=1, history_s=600) as world, a_stack(home, world) as stack:
            stack.wait_delivered()
            yield stack


@row("case-grpc_open", behaviour="it listens on a Unix socket in a directory that only Flicker's user can enter")
def test_no_process_of_flicker_listens_at_a_tcp_port_but_the_web_ui(stack: Stack) -> None:
    own = set(processes_with(START_VAR, stack.supervisor._start))
    assert len(own) >= 3
    assert own & _listening_at_tcp() == {stack.supervisor.child("web UI").process.pid}  # type: ignore[union-attr]
    workspace = yaml.safe_load((stack.supervisor.home / "workspace.yaml").read_text())
    [server] = [entry["grpc_server"] for entry in workspace["load_from"]]
    assert set(server) == {"socket", "location_name"}
    assert Path(server["socket"]).is_socket()
    assert os.stat(Path(server["socket"]).parent).st_mode & 0o777 == 0o700


@row(
    "case-socket_squat",
    behaviour="a directory that is not ours alone is used for nothing: one with a name nobody knows is",
)
def test_a_directory_that_somebody_took_first_is_not_used_and_runs_are_forked_all_the_same(stack: Stack) -> None:
    servers = run_servers(str(stack.supervisor.home))
    assert len(servers) == 1
    [path] = servers
    assert os.listdir(stack.supervisor.home / "sockets") == []  # a link to the squatted one
    assert os.stat(Path(path).parent).st_mode & 0o777 == 0o700
    tags = [tag["key"] for run in stack.runs(flicker__source="okta-audit-logs") for tag in run["tags"]]
    assert "flicker/run_pid" in tags


@row(
    "case-config_half_live",
    behaviour="a fault changes nothing and is told; a valid change is in force as a whole in seconds",
)
def test_an_invalid_edit_changes_nothing_and_is_told(stack: Stack, capfd: pytest.CaptureFixture[str]) -> None:
    good = stack.config_path.read_text()
    applied = AppliedConfig(stack.settings.work_dir, stack.settings.config_path)
    before, code_server = applied.in_force(), stack.supervisor.child("code server")
    stack.config_path.write_text(good.replace("polling_frequency_ms", "pollingfrequency", 1))
    said: list[str] = []
    stack.wait(lambda: said.append(capfd.readouterr().err) or _fault_in("".join(said)), "the fault is told in the log")
    fault = _fault_in("".join(said))
    assert f"{stack.config_path}:" in fault
    assert "pollingfrequency" in fault
    told = _reload(stack)
    assert told["__typename"] == "PythonError"
    assert f"{stack.config_path}:" in told["message"]
    delivered = len(stack.world.siem.ids("/okta"))
    stack.wait(lambda: len(stack.world.siem.ids("/okta")) > delivered, "collection goes on")
    assert (applied.in_force(), stack.supervisor.child("code server")) == (before, code_server)
    status = _flicker(stack, "status")
    assert "pollingfrequency" in status.stdout
    assert "okta-audit-logs" in status.stdout
    stack.config_path.write_text(good)


@row("case-config_half_live", behaviour="")
def test_a_valid_edit_is_in_force_for_definitions_sensors_and_runs(stack: Stack) -> None:
    config = yaml.safe_load(stack.config_path.read_text())
    second = dict(config["api_sources"][0], name="okta-again")
    second["destination"] = dict(second["destination"], endpoint=f"{stack.world.siem.url}/again")
    stack.config_path.write_text(yaml.safe_dump({"api_sources": [*config["api_sources"], second]}))
    stack.wait(lambda: stack.world.siem.ids("/again"), "the second source is collected")
    assert _reload(stack)["__typename"] == "WorkspaceLocationEntry"
    delivered = len(stack.world.siem.ids("/okta"))
    stack.wait(lambda: len(stack.world.siem.ids("/okta")) > delivered, "the first goes on")
    assert max(stack.world.siem.ids("/okta").values()) == 1
    stack.config_path.write_text(yaml.safe_dump(config))  # what follows happens while it is taken back


def test_a_second_flicker_on_the_work_directory_is_refused_in_one_line(stack: Stack) -> None:
    refused = _flicker(stack, "--track", "--no-ui")
    assert refused.returncode == 2
    [line] = [line for line in refused.stderr.splitlines() if not line.startswith("20")]
    assert f"process {os.getpid()} on {socket.gethostname()}" in line
    assert stack.settings.work_dir in line


def test_a_stop_leaves_no_process_and_no_socket(stack: Stack) -> None:
    start = stack.supervisor._start
    sockets = {os.path.dirname(path) for path in run_servers(str(stack.supervisor.home))}
    stack.stop()
    assert processes_with(START_VAR, start) == []
    assert not any(os.path.exists(path) for path in sockets)
    WorkDirLock(stack.settings.work_dir).release()


@pytest.fixture
def root() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="f") as short:
        yield short


#: Starts a run server as the launcher does and says which process it is; then it lives until it is killed.
STARTER = """
import sys, time
from flicker_dagster.orchestration.launcher import _spawn
from flicker_dagster.orchestration.run_socket import own_socket
own = own_socket(sys.argv[1])
print(_spawn(own).pid, own.path, flush=True)
time.sleep(600)
"""


@row("case-orphan_run_server", behaviour="it ends with who started it, however early that goes, and serves nobody else")
@pytest.mark.parametrize("when", ["held while its starter goes", "warming up", "serving"])
def test_a_run_server_ends_with_the_process_that_started_it_and_is_no_others(root: str, when: str) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, root], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid, path = starter.stdout.readline().split()
        assert path != own_socket(root).path
        if when == "serving":
            until(lambda: run_servers(root) == {path: int(pid)}, "it serves")
        if when.startswith("held"):
            os.kill(int(pid), signal.SIGSTOP)
        starter.kill()
    if when.startswith("held"):
        os.kill(int(pid), signal.SIGCONT)
    until(lambda: not _lives(int(pid)), "it has ended")
    assert run_servers(root) == {}


def test_a_start_is_refused_while_a_flicker_runs_and_not_after_it_was_killed(tmp_path: Path) -> None:
    code = "import sys, time; from flicker_dagster.cli.refusals import WorkDirLock\n"
    code += "lock = WorkDirLock(sys.argv[1]); print('held', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StartRefused, match=f"process {holder.pid} "):
            WorkDirLock(str(tmp_path))
        holder.kill()
    WorkDirLock(str(tmp_path)).release()


def _flicker(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = ["-c", str(stack.config_path), "--state-dir", str(stack.home), "--work-dir", stack.settings.work_dir]
    command = [str(Path(sys.executable).with_name("flicker")), *where, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "COLUMNS": "300"})


def _reload(stack: Stack) -> dict[str, Any]:
    mutation = """mutation { reloadRepositoryLocation(repositoryLocationName: "flicker") {
        __typename ... on PythonError { message } } }"""
    return stack.graphql(mutation)["reloadRepositoryLocation"]


def _fault_in(text: str) -> str:
    return next((line for line in text.splitlines() if "stays in force" in line), "")


def _lives(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def _listening_at_tcp() -> set[int]:
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return {int(found.split()[1]) for port in ports for found in listeners(port)}
