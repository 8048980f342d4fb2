"""What is found after a crash in the middle of a write, after the loss of power, and after damage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster_tests.state.builders import lot, state
from flicker_dagster_tests.state.units import ids, known, live, pending, settle


@pytest.fixture
def two_pages(tmp_path: Path) -> Path:
    """A page `a` that is committed, and behind it the frames of a page `b` whose commit a crash prevented."""
    unit = live(tmp_path)
    unit.append([lot("a")], state(1))
    before = (unit.directory / "unit.json").read_bytes()
    unit.append([lot("b")], state(2))
    (unit.directory / "unit.json").write_bytes(before)
    return unit.directory


def test_a_torn_tail_is_cut_off_wherever_it_tore(two_pages: Path, tmp_path: Path) -> None:
    whole = (two_pages / "lots.0").read_bytes()
    first = live(tmp_path).waiting.bytes // 2
    for length in range(first, len(whole)):
        (two_pages / "lots.0").write_bytes(whole[:length])
        unit = live(tmp_path)
        assert (unit.waiting.lots, len(known(unit)), unit.state) == (1, 3, state(1))
        unit.append([lot("c")], state(3))
        found = live(tmp_path)
        assert (ids(found), found.state) == (["a", "c"], state(3))
        shutil.rmtree(two_pages)
        two_pages.mkdir()
        live(tmp_path).append([lot("a")], state(1))


def test_a_page_that_was_written_and_not_committed_is_known(two_pages: Path, tmp_path: Path) -> None:
    unit = live(tmp_path)
    assert unit.state == state(1)
    assert len(known(unit)) == 6
    assert ids(unit) == ["a", "b"]


def lines(journal: Path) -> bytes:
    """A journal without the room it keeps for more."""
    return journal.read_bytes().rstrip(b"\0")


def test_a_torn_acknowledgement_does_not_count_wherever_it_tore(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a"), lot("b")], state())
    a, b = pending(unit)
    settle(unit, a)
    first = len(lines(unit.directory / "journal.0"))
    settle(unit, b)
    whole = lines(unit.directory / "journal.0")
    for length in range(len(whole)):
        (unit.directory / "journal.0").write_bytes(whole[:length])
        found = live(tmp_path)
        assert ids(found) == (["b"] if length >= first else ["a", "b"])
        settle(found, b)
        assert ids(live(tmp_path)) == ([] if length >= first else ["a"])


@pytest.mark.parametrize("file", ["lots.0", "journal.0"])
def test_damage_before_the_end_is_named_and_nothing_is_delivered_from_there(file: str, tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a"), lot("b")], state())
    for each in pending(unit):
        settle(unit, each)
    unit.append([lot("c")], state())
    unit.sync()
    path = unit.directory / file
    whole = lines(path) if file == "journal.0" else path.read_bytes()
    for at in range(len(whole) // 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        found = live(tmp_path)
        with pytest.raises(StateError, match=rf"{file} is damaged at byte|does not hold"):
            found.lane("").entries(), found.digests(), [found._open().frames.lot(i) for i in range(2)]


def test_frames_that_the_loss_of_power_took_make_the_fetch_begin_again(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state(1, 1))
    unit.sync()
    synced = (unit.directory / "lots.0").stat().st_size
    unit.append([lot("b", array=b"x" * 60)], state(1, 9, complete=True))
    whole = (unit.directory / "lots.0").read_bytes()
    for length in range(synced, len(whole)):
        for tail in (b"", bytes(len(whole) - length)):
            (unit.directory / "lots.0").write_bytes(whole[:length] + tail)
            found = live(tmp_path)
            assert ids(found) == ["a"]
            again = found.state
            assert again is not None
            assert (again.base, again.frontier, again.complete) == (state(1).base, state(1).base, False)


@pytest.mark.parametrize("content", [b"", b"\x00" * 200, b'{"version":1,"gen'])
def test_a_unit_json_that_the_loss_of_power_emptied_costs_the_walk_and_no_lot(content: bytes, tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state(1))
    settle(unit, pending(unit)[0])
    unit.clear(state(2))
    unit.append([lot("b"), lot("c")], state(3))
    settle(unit, pending(unit)[0])
    (unit.directory / "unit.json").write_bytes(content)
    found = live(tmp_path)
    assert found.state is None
    assert ids(found) == ["c"]
    assert len(known(found)) == 6
    found.append([lot("d")], state(4))
    assert [(b.lot_id, b.seq) for b in pending(live(tmp_path))] == [("c", 2), ("d", 3)]


def test_a_unit_json_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([], state())
    (unit.directory / "unit.json").write_bytes(b'{"version": 3}')
    with pytest.raises(StateError, match="written by a newer Flicker"):
        _ = live(tmp_path).state


def test_acknowledgements_of_batches_that_are_gone_are_refused(tmp_path: Path) -> None:
    """Otherwise the next batch with that number would count as delivered."""
    unit = live(tmp_path)
    unit.append([lot("a")], state())
    settle(unit, pending(unit)[0])
    (unit.directory / "lots.0").unlink()
    with pytest.raises(StateError, match="speaks of lot a as number 0"):
        live(tmp_path).append([lot("b")], state())


def test_a_lost_spool_is_an_empty_one(tmp_path: Path) -> None:
    live(tmp_path).append([lot("a")], state())
    shutil.rmtree(tmp_path / "spool")
    assert live(tmp_path).state is None


def test_damage_in_what_was_synced_is_an_error_even_if_nothing_was_acknowledged(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a"), lot("b")], state())
    unit.sync()
    path = unit.directory / "lots.0"
    whole = path.read_bytes()
    for at in (0, 4, 9, 13, 20, 40, whole.index(b"FLL1", 4), len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(StateError, match=r"lots\.0 is damaged at byte"):
            ids(live(tmp_path))


def test_what_lies_behind_a_hole_never_comes_back(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a"), lot("b"), lot("c")], state())
    path = unit.directory / "lots.0"
    whole = path.read_bytes()
    at = whole.index(b"FLL1", 4) + 200
    path.write_bytes(whole[:at] + b"\x00" * 11 + whole[at + 11 :])
    live(tmp_path).append([lot("d")], state())
    assert ids(live(tmp_path)) == ["a", "d"]


def test_what_replaces_a_lost_synced_tail_is_not_trusted_before_it_is_synced(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a", array=b"x" * 500)], state())
    unit.sync()
    path = unit.directory / "lots.0"
    path.write_bytes(b"")
    live(tmp_path).append([lot("b", array=b"x" * 60)], state())
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert ids(live(tmp_path)) == []


def test_nothing_is_handed_to_the_siem_before_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state())
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (real(fd), synced.append(fd)))
    assert synced == []
    pending(live(tmp_path))[0]
    assert len(synced) == 1
    pending(live(tmp_path))[0]
    assert len(synced) == 1
