"""What is in the way of a start is said before anything is started."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from flicker_dagster.cli.refusals import LOCK_NAME, WorkDirLock, refuse_taken_port
from flicker_dagster.cli.supervise import Supervisor, free_port
from flicker_dagster.errors import StartRefused
from flicker_dagster.orchestration.settings import Settings


def test_a_second_flicker_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    lock = WorkDirLock(str(tmp_path))
    with pytest.raises(StartRefused) as refused:
        WorkDirLock(str(tmp_path))
    said = str(refused.value)
    assert f"process {os.getpid()} on {socket.gethostname()}, since 2" in said
    assert "--work-dir" in said
    assert "\n" not in said
    lock.release()
    WorkDirLock(str(tmp_path)).release()


@pytest.mark.parametrize("left", [b"", b"not json", b'{"pid": "\\u001b[2J"}', b"[1]", b"\xff\x00", b"7" * 10_000])
def test_what_an_earlier_start_left_in_the_file_does_no_harm(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / LOCK_NAME
    path.write_bytes(left)
    lock = WorkDirLock(str(tmp_path))
    path.write_bytes(left)
    with pytest.raises(StartRefused, match="its process is unknown"):
        WorkDirLock(str(tmp_path))
    lock.release()


def test_a_symbolic_link_in_the_locks_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartRefused, match="cannot be opened"):
        WorkDirLock(str(tmp_path))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("listens_at", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_taken_port_is_refused_with_who_has_it_and_what_to_do(listens_at: str) -> None:
    family = socket.AF_INET6 if ":" in listens_at else socket.AF_INET
    dual = {"dualstack_ipv6": True} if ":" in listens_at else {}
    with socket.create_server((listens_at, 0), family=family, **dual) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(StartRefused) as refused:
            refuse_taken_port("127.0.0.1", port)
    said = str(refused.value)
    assert f"port {port} of 127.0.0.1" in said
    assert f"process {os.getpid()} (" in said
    assert "--port" in said
    refuse_taken_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "words"),
    [("203.0.113.7", "correct --host"), ("no.such.host.invalid", "no address"), ("a" * 300, "no address")],
)
def test_a_host_that_is_none_of_this_machine_is_refused(host: str, words: str) -> None:
    with pytest.raises(StartRefused, match=words):
        refuse_taken_port(host, free_port())


def test_a_refused_start_starts_nothing_and_leaves_the_first_ones_lock(tmp_path: Path) -> None:
    settings = Settings(work_dir=str(tmp_path), state_dir=str(tmp_path))
    lock = WorkDirLock(str(tmp_path))
    supervisor = Supervisor(settings, port=None)
    with pytest.raises(StartRefused):
        supervisor.start()
    assert supervisor.children == []
    supervisor.stop()
    with pytest.raises(StartRefused):
        WorkDirLock(str(tmp_path))
    lock.release()
