"""Lines of a lane's journal, the room behind them, and what a crash leaves there."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state.journal import Entry, Journal
from flicker_dagster.types import Settled

ENTRIES = [
    Entry(seq=number, lot_id=f"lot{number}", spans=[(0, number + 1)], settled=Settled(delivered=number + 1))
    for number in range(3)
]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A journal of three lines without room behind them."""
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.load()
    journal.append(ENTRIES, durable=True)
    return path


@pytest.mark.parametrize("room_bytes", [0, 1, 4095, 4096, 4097, 131_072])
def test_room_behind_the_last_line_is_no_line_and_is_written_over(written: Path, room_bytes: int) -> None:
    lines = written.read_bytes()
    written.write_bytes(lines + bytes(room_bytes))
    journal = Journal(written)
    assert journal.load() == ENTRIES
    assert journal.end == len(lines)
    journal.append(ENTRIES[:1], durable=True)
    assert Journal(written).load() == [*ENTRIES, ENTRIES[0]]


@pytest.mark.parametrize("room_bytes", [0, 1, 4096, 10_000])
def test_an_unfinished_last_line_does_not_count(written: Path, room_bytes: int) -> None:
    lines = written.read_bytes()
    written.write_bytes(lines + lines[:20] + bytes(room_bytes))
    journal = Journal(written)
    assert journal.load() == ENTRIES
    assert journal.end == len(lines)


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, 10_000])
def test_a_journal_of_nothing_but_room_is_empty(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "journal"
    path.write_bytes(bytes(size_bytes))
    assert Journal(path).load() == []


@pytest.mark.parametrize("hole_bytes", [1, 5000])
def test_zeros_before_a_line_are_damage_and_are_told(written: Path, hole_bytes: int) -> None:
    lines = written.read_bytes()
    written.write_bytes(lines + bytes(hole_bytes) + lines)
    with pytest.raises(StateError, match=f"damaged at byte {len(lines)}: a line's checksum does not fit"):
        Journal(written).load()
