"""What a commit log remembers, and what it makes of lines that were torn."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.deliver.files import commit_log
from flicker_dagster.deliver.files.commit_log import CommitLog, Entry


def entry(number: int, *, file: int = 1, rotated: str = "") -> Entry:
    return Entry(
        file=file, inode=7, began_ms=0, end=number, tail="t", lot=f"{number:032x}", spans=[(0, number)], rotated=rotated
    )


def opened(path: Path) -> CommitLog:
    log = CommitLog(path)
    log.refresh()
    return log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".x.commits"


def test_another_reader_sees_what_was_added_since(path: Path) -> None:
    writer, reader = opened(path), opened(path)
    for number in range(3):
        writer.append(entry(number))
        reader.refresh()
        assert reader.last == entry(number)
    assert list(reader.entries_of(f"{1:032x}")) == [entry(1)]
    assert not reader.damaged


@pytest.mark.parametrize("torn", [b"0000", b"00000000 {}\n", b"\0" * 300, b"\0" * 300 + b"\n"])
def test_a_torn_line_has_not_happened_and_is_written_over(path: Path, torn: bytes) -> None:
    opened(path).append(entry(1))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    log = opened(path)
    assert log.last == entry(1)
    assert not log.damaged
    log.append(entry(2))
    assert path.read_bytes().startswith(whole)
    assert [opened(path).last, path.read_bytes().count(b"\n")] == [entry(2), 2]


def test_more_than_a_torn_line_is_damage(path: Path) -> None:
    opened(path).append(entry(1))
    path.write_bytes(path.read_bytes() + b"x\n" * 2)
    log = opened(path)
    assert log.damaged
    assert log.last is None
    log.begin_anew()
    log.append(entry(2))
    assert opened(path).last == entry(2)


def test_the_older_half_is_forgotten_once_it_is_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_log, "MOST_BYTES", 2_000)
    log, other = opened(path), opened(path)
    for number in range(200):
        log.append(entry(number))
    other.refresh()
    assert path.stat().st_size <= 2_000
    assert other.last == log.last == entry(199)
    assert list(other.entries_of(f"{199:032x}")) == [entry(199)]
    assert list(other.entries_of(f"{0:032x}")) == []


def test_the_name_that_a_file_was_given_is_remembered(path: Path) -> None:
    log = opened(path)
    log.append(entry(1))
    log.append(entry(2, rotated="x-1"))
    log.append(entry(3, file=2))
    assert (log.rotated_name(1), log.rotated_name(2)) == ("x-1", None)
