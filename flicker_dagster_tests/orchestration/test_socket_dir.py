"""Sockets lie where only their user can reach them, whatever somebody else has put there first."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flicker_dagster.orchestration import socket_dir as module
from flicker_dagster.orchestration.socket_dir import (
    MAX_PATH_BYTES,
    NAME_BYTES,
    REMEMBERED,
    NoSocketDir,
    forget_socket_dir,
    is_ours_alone,
    socket_dir,
)


@pytest.fixture
def root() -> Iterator[str]:
    """A short path, as pytest's own are long."""
    with tempfile.TemporaryDirectory(prefix="f") as short:
        yield short


def test_it_lies_in_the_instances_root_and_is_closed_to_others(root: str) -> None:
    before = os.umask(0)
    try:
        found = socket_dir(root)
    finally:
        os.umask(before)
    assert found == os.path.join(os.path.realpath(root), "sockets")
    assert stat.S_IMODE(os.stat(found).st_mode) == 0o700
    assert socket_dir(root) == found


def test_a_deep_root_remembers_a_short_place_elsewhere(root: str) -> None:
    deep = os.path.join(root, "d" * 90)
    found = socket_dir(deep)
    assert not found.startswith(os.path.realpath(root))
    assert_private(found)
    assert socket_dir(deep) == found
    assert socket_dir(os.path.join(root, "e" * 90)) != found
    forget_socket_dir(deep)
    assert not os.path.exists(found)
    assert not Path(deep, REMEMBERED).exists()


@pytest.mark.parametrize("squat", ["open to others", "a symbolic link", "a file"])
def test_what_is_not_ours_alone_is_not_used(root: str, squat: str) -> None:
    taken = Path(root, "sockets")
    if squat == "open to others":
        taken.mkdir()
        taken.chmod(0o755)
    elif squat == "a symbolic link":
        Path(root, "elsewhere").mkdir(mode=0o700)
        taken.symlink_to("elsewhere")
    else:
        taken.write_text("")
    found = socket_dir(root)
    assert Path(found) != taken
    assert_private(found)
    forget_socket_dir(root)


def test_a_remembered_place_is_used_only_while_it_is_ours_alone(root: str) -> None:
    deep = os.path.join(root, "d" * 90)
    first = socket_dir(deep)
    os.chmod(first, 0o711)
    second = socket_dir(deep)
    assert second != first
    assert_private(second)
    os.rmdir(first)
    forget_socket_dir(deep)


def test_another_users_directory_is_not_ours(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_ours_alone(root)
    monkeypatch.setattr(module.os, "geteuid", lambda: os.getuid() + 1)
    assert not is_ours_alone(root)


def test_where_there_is_no_place_at_all_it_says_what_to_do(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_bases", lambda: [os.path.join(root, "missing")])
    with pytest.raises(NoSocketDir, match="set XDG_RUNTIME_DIR or TMPDIR"):
        socket_dir(os.path.join(root, "d" * 90))


@pytest.mark.fuzz
@given(
    depth=st.integers(0, 140),
    mode=st.none() | st.integers(0, 0o7777),
    remembered=st.none() | st.text(max_size=200) | st.sampled_from(["/", "/etc", "/tmp", "."]),
)
@example(depth=0, mode=None, remembered="\0")
def test_whatever_stands_there_the_place_is_private_and_short(
    depth: int, mode: int | None, remembered: str | None
) -> None:
    with tempfile.TemporaryDirectory(prefix="f") as short:
        root = os.path.join(short, "d" * depth) if depth else short
        os.makedirs(root, exist_ok=True)
        if mode is not None:
            os.mkdir(os.path.join(root, "sockets"))
            os.chmod(os.path.join(root, "sockets"), mode)
        if remembered is not None:
            Path(root, REMEMBERED).write_bytes(remembered.encode("utf-8", "surrogatepass"))
        try:
            assert_private(socket_dir(root))
        finally:
            forget_socket_dir(root)


def assert_private(path: str) -> None:
    found = os.lstat(path)
    assert stat.S_ISDIR(found.st_mode)
    assert found.st_uid == os.getuid()
    assert not found.st_mode & 0o077
    assert len(os.fsencode(path)) + NAME_BYTES <= MAX_PATH_BYTES
