"""The demo's manners; `make demo` itself shows the rest."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from flicker_dagster.cli.main import cli
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.cli.scene import PROGRAM


def a_free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return probe.getsockname()[1]


def test_ended_while_it_starts_it_leaves_nothing_and_shows_no_stack(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "demo", "--port", str(a_free_port()), "--page-port", str(a_free_port())]
    demo = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={"TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        assert demo.stdout is not None
        said = ""
        while "starting code server" not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
        assert "live page   http://127.0.0.1:" in said
        demo.send_signal(signal.SIGINT)
        said += demo.communicate(timeout=60)[0]
    finally:
        demo.kill()
    assert demo.returncode == 130, said
    assert said.splitlines()[-2:] == ["Stopping …", "Ended before it had begun."]
    assert "Traceback" not in said
    assert [left.name for left in tmp_path.iterdir() if left.name.startswith("flicker-demo")] == []


def test_a_port_of_the_live_page_that_is_taken_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLICKER_LOG", "warning")  # the demo sets it for its process
    with World(vendors=("okta",)) as world:
        done = CliRunner().invoke(cli, ["demo", "--page-port", str(world.page.port)])
    assert done.exit_code == 1
    assert "Address already in use" in done.stderr
