"""Lines on standard output: whole ones, those of one event each, and as far as a pipe can tell."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

import pytest

from flicker_dagster.cli.children import Child
from flicker_dagster.config.destinations.stdout import StdoutDestination
from flicker_dagster.deliver import standard_output
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.stdout import WRITTEN, Lines
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Rejected, Retry
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.waiting import until


class Pipe:
    """A pipe whose reading end collects in a thread."""

    def __init__(self, *, reads: bool = True) -> None:
        self.read_fd, self.fd = os.pipe()
        self.told = standard_output.hand_down(self.fd)
        self.env = {standard_output.VARIABLE: self.told}
        self._data = bytearray()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        if reads:
            self._thread.start()

    def _collect(self) -> None:
        while data := os.read(self.read_fd, 65_536):
            self._data += data

    def read(self) -> bytes:
        """Everything, once nobody writes any more."""
        standard_output.take_back(self.told)
        os.close(self.fd)
        if not self._thread.ident:
            self._thread.start()
        self._thread.join(10)
        assert not self._thread.is_alive(), "somebody holds the pipe"
        os.close(self.read_fd)
        return bytes(self._data)


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


def opened(env: dict[str, str], **keys: object) -> Lines:
    config = StdoutDestination.model_validate({"type": "stdout", "timeout_ms": 2_000, **keys})
    return Lines(config, LaneContext("okta", env=env))


def ids(data: bytes) -> list[str]:
    return [json.loads(line)["id"] for line in data.splitlines()]


def test_each_event_is_a_line_byte_for_byte(pipe: Pipe) -> None:
    assert opened(pipe.env).send(lot_of([b'{"a":1.10}', b'{\n"b":2}'])) == Delivered(WRITTEN)
    assert pipe.read() == b'{"a":1.10}\n{"b":2}\n'


def test_envelopes_carry_id_time_and_source(pipe: Pipe) -> None:
    opened(pipe.env, format="envelope").send(lots_of(1)[0])
    line = json.loads(pipe.read())
    assert (line["source"], line["time"], line["event"]["id"]) == ("okta", "2026-11-23T19:59:00.000Z", "e000000")


def test_an_event_that_would_break_its_line_is_unfit_and_never_written(pipe: Pipe) -> None:
    destination = opened(pipe.env)
    lot = lot_of([event_of(1), b'{"id":"x","text":"a\nb"}'])
    assert list(destination.unfit(lot)) == [1]
    assert isinstance(destination.send(lot), Rejected)
    assert pipe.read() == b""


def test_a_file_is_written_as_well(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        told = standard_output.hand_down(file.fileno())
        assert isinstance(opened({standard_output.VARIABLE: told}).send(lots_of(2_000, size=2_000)[0]), Delivered)
        standard_output.take_back(told)
    assert len(ids((tmp_path / "out").read_bytes())) == 2_000


# -- what can be in the way


def test_a_reader_that_is_gone_blocks() -> None:
    pipe = Pipe(reads=False)
    os.close(pipe.read_fd)
    outcome = opened(pipe.env).send(lots_of(1)[0])
    assert isinstance(outcome, Blocked)
    assert "broken pipe" in outcome.why
    standard_output.take_back(pipe.told)
    os.close(pipe.fd)


def test_a_slow_reader_is_waited_for_and_what_it_took_is_told() -> None:
    pipe = Pipe(reads=False)
    destination = opened(pipe.env, timeout_ms=50)
    first, second = destination.send(lots_of(1_000, size=1_000)[0]), destination.send(lots_of(1)[0])
    assert isinstance(first, Ambiguous)
    assert "destination.timeout_ms (0.05 s)" in first.why
    assert isinstance(second, Retry)
    pipe._thread.start()
    until(lambda: isinstance(destination.send(lots_of(1)[0]), Delivered), "the reader took what waited")
    *_, torn, last = pipe.read().splitlines()
    assert json.loads(last)["id"] == "e000000"
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(torn)


def write_many(env: dict[str, str], name: str) -> None:
    destination = opened(env, timeout_ms=60_000)
    for lot in lots_of(60, size=10, make=lambda n: event_of(n, id=f"{name}{n}", blob="x" * 9_000)):
        assert isinstance(destination.send(lot), Delivered)


def test_lines_of_several_processes_never_mix(pipe: Pipe) -> None:
    writers = [get_context("fork").Process(target=write_many, args=(pipe.env, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert Counter(ids(pipe.read())) == Counter(f"{name}{n}" for name in "abc" for n in range(60))


def test_a_writer_that_keeps_the_output_is_waited_for(pipe: Pipe) -> None:
    code = f"import fcntl, sys, time; fcntl.lockf({pipe.fd}, fcntl.LOCK_EX); print(1, flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], pass_fds=(pipe.fd,), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    destination = opened(pipe.env, timeout_ms=50)
    assert isinstance(destination.send(lots_of(1)[0]), Retry)
    holder.communicate()
    assert isinstance(destination.send(lots_of(1)[0]), Delivered)
    assert len(ids(pipe.read())) == 1


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, Retry), (errno.EDQUOT, Retry), (errno.EIO, Blocked), (errno.EBADF, Blocked)]
)
def test_what_an_error_stands_for(pipe: Pipe, monkeypatch: pytest.MonkeyPatch, number: int, kind: type) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(standard_output.os, "write", fail)
        outcome = opened(pipe.env).send(lots_of(1)[0])
    assert isinstance(outcome, kind)
    assert os.strerror(number) in outcome.why  # type: ignore[attr-defined]


# -- the standard output of the command, in processes of its runs


def test_without_the_command_it_is_the_process_s_own() -> None:
    assert standard_output.descriptor({}) == 1


@pytest.mark.parametrize("told", [standard_output.CLOSED, "", "7", "nonsense", "-1:0:0", "99999:1:2"])
def test_a_run_that_did_not_inherit_it_says_so_and_writes_nowhere(told: str) -> None:
    outcome = opened({standard_output.VARIABLE: told}).send(lots_of(1)[0])
    assert isinstance(outcome, Blocked)
    assert "standard output" in outcome.why
    assert standard_output.inherited({standard_output.VARIABLE: told}) == ()


def test_a_number_that_became_something_else_is_not_written_to(pipe: Pipe, tmp_path: Path) -> None:
    fd = int(pipe.told.split(":")[0])
    other = os.open(tmp_path / "state.db", os.O_RDWR | os.O_CREAT)
    kept = os.dup(fd)
    os.dup2(other, fd)
    assert isinstance(opened(pipe.env).send(lots_of(1)[0]), Blocked)
    assert (tmp_path / "state.db").read_bytes() == b""
    os.dup2(kept, fd)
    os.close(kept)
    os.close(other)
    assert pipe.read() == b""


def test_a_closed_standard_output_is_handed_down_as_closed() -> None:
    fd = os.open("/dev/null", os.O_WRONLY)
    os.close(fd)
    assert standard_output.hand_down(fd) == standard_output.CLOSED


def test_a_child_of_the_command_and_the_run_server_it_starts_have_it(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command's child starts a process as the launcher starts its run server; that one writes."""
    code = (
        "import subprocess, sys\n"
        "from flicker_dagster.orchestration import launcher\n"
        "from flicker_dagster.orchestration.run_socket import RunSocket\n"
        "started = subprocess.Popen\n"
        "def popen(command, **options):\n"
        "    send = 'from flicker_dagster_tests.deliver.destinations.test_stdout import *; '"
        "           'print(\"log\"); opened(dict(os.environ)).send(lots_of(3)[0])'\n"
        "    return started([sys.executable, '-c', send], **options)\n"
        "subprocess.Popen = popen\n"
        "sys.exit(launcher._spawn(RunSocket('socket', 'lock')).wait())\n"
    )
    child = Child("daemon", [sys.executable, "-c", code])
    child.spawn(env=os.environ | pipe.env | {"PYTHONPATH": os.getcwd()}, cwd=tmp_path)
    assert child.process is not None
    assert child.process.wait(60) == 0
    assert len(ids(pipe.read())) == 3


# -- the contract


def test_ten_thousand_events_with_one_per_cent_poison(pipe: Pipe) -> None:
    make = lambda n: event_of(n) if n % 100 else b'{"id":"poison","text":"a\nb"}'  # noqa: E731
    drained = drain(MemoryQueue(lots_of(10_000, size=500, make=make)), lambda: opened(pipe.env))
    assert (drained.delivered, drained.dead, drained.done) == (9_900, 100, True)
    assert len(set(ids(pipe.read()))) == 9_900


def test_a_missing_reader_is_waited_out_and_then_everything_is_written() -> None:
    queue = MemoryQueue(lots_of(300))
    blocked = drain(queue, lambda: opened({standard_output.VARIABLE: standard_output.CLOSED}))
    assert queue.waiting == 300
    assert "without a standard output" in blocked.last_words
    pipe = Pipe()
    assert drain(queue, lambda: opened(pipe.env)).done
    assert Counter(ids(pipe.read())) == Counter(f"e{n:06d}" for n in range(300))
