"""Files and directories of ours are closed to others, also those that an earlier version left open."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from flicker_dagster.state import private
from flicker_dagster.state.files import make_directory, replace_file
from flicker_dagster.state.private import tighten


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """What an earlier version left, with a link that leads out of it."""
    home = tmp_path / "dagster"
    (home / "history").mkdir(parents=True)
    for file in (home / "dagster.yaml", home / "history" / "runs.db", tmp_path / "theirs"):
        file.write_text("x")
        file.chmod(0o664)
    (home / "link").symlink_to(tmp_path / "theirs")
    for folder in (home, home / "history"):
        folder.chmod(0o755)
    return home


def test_what_was_left_open_is_closed_and_told_once(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(private.log, "info", lambda line, *of: told.append(line % of))
    for _ in range(2):
        tighten(wide)
    assert {mode(wide), mode(wide / "history")} == {0o700}
    assert {mode(wide / "dagster.yaml"), mode(wide / "history" / "runs.db")} == {0o600}
    assert mode(wide.parent / "theirs") == 0o664
    assert told == [f"{wide} was open to others and is closed to them now, with 3 files and directories in it"]


def test_what_is_not_there_or_no_directory_is_left_alone(wide: Path) -> None:
    tighten(wide / "nothing")
    tighten(wide / "dagster.yaml")
    tighten(wide / "link")
    assert mode(wide / "dagster.yaml") == 0o664
    assert mode(wide.parent / "theirs") == 0o664


def test_directories_and_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_directory(tmp_path / "a" / "b")
        replace_file(tmp_path / "a" / "b" / "c", b"x", durable=False)
    finally:
        os.umask(before)
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b"), mode(tmp_path / "a" / "b" / "c")] == [0o700, 0o700, 0o600]
