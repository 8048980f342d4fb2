from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Event, Thread

import pytest

from flicker_dagster.errors import SpoolFull, StateError
from flicker_dagster.lots import Lot
from flicker_dagster.state import append_only
from flicker_dagster.state.spool import Waiting
from flicker_dagster.types import WalkState
from flicker_dagster_tests.state.builders import T0_MS, at, digest, digests, lot, state
from flicker_dagster_tests.state.units import ids, known, live, pending, settle, settle_all, spool_of
from flicker_dagster_tests.waiting import until


def test_a_unit_that_was_never_written_is_empty_and_creates_nothing(tmp_path: Path) -> None:
    unit = live(tmp_path)
    assert unit.state is None
    assert unit.waiting == Waiting()
    assert pending(unit) == []
    assert unit.digests() == {}
    assert unit.lane("").entries() == []
    unit.sync()
    unit.remove()
    assert os.listdir(tmp_path) == []


def test_batches_come_back_whole_and_in_order(tmp_path: Path) -> None:
    begun = state(1, 2)
    unit = live(tmp_path)
    unit.append([lot("a"), lot("b", events=500)], begun)
    unit.append([lot("c", events=1)], begun)
    found = live(tmp_path)
    a, b, c = pending(found)
    assert [a.seq, b.seq, c.seq] == [0, 1, 2]
    assert a.events == [b'{"of":"a","n":0}', b'{"of":"a","n":1}', b'{"of":"a","n":2}']
    assert (a.lot_id, a.source, a.collected_ms) == ("a", "okta", T0_MS)
    assert list(a.times_ms) == [T0_MS, T0_MS + 1, T0_MS + 2]
    assert list(a.digests) == [digest(f"a/{n}") for n in range(3)]
    assert (len(b.events), b.events[499], c.events) == (500, b'{"of":"b","n":499}', [b'{"of":"c","n":0}'])
    assert found.state == begun


def test_a_state_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    import msgspec

    whole = msgspec.structs.replace(
        state(1, 5),
        walk=WalkState(start_ms=1, end_ms=9, cursor="n", page=2, offset=3, newest_ms=8),
        redeliver=True,
        redeliver_until_ms=77,
        registry_seen=at(3, "c"),
        tally={"pages": 3, "first_ms": None, "ids_sum": "ffff"},
    )
    live(tmp_path).append([], whole)
    assert live(tmp_path).state == whole


def test_what_waits_is_counted(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a", events=3), lot("b", events=4)], state())
    for seen in (unit, live(tmp_path)):
        waiting = seen.waiting
        assert (waiting.lots, waiting.events, waiting.oldest_at_ms) == (2, 7, T0_MS)
        assert waiting.bytes == (tmp_path / "spool/okta/live/lots.0").stat().st_size
    settle_all(unit)
    assert unit.waiting == live(tmp_path).waiting == Waiting()


def test_acknowledged_batches_are_not_handed_out_again(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot(name) for name in "abcd"], state())
    _, b, _, d = pending(unit)
    settle(unit, d)
    settle(unit, b)
    assert ids(unit) == ids(live(tmp_path)) == ["a", "c"]
    assert [entry.lot_id for entry in live(tmp_path).lane("").entries()] == ["d", "b"]


def test_an_acknowledgement_costs_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = live(tmp_path)
    unit.append([lot(name) for name in "abc"], state())
    waiting = pending(unit)
    syncs: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (syncs.append(fd), real(fd)))
    settle(unit, waiting[1])
    assert len(syncs) == 1
    assert ids(live(tmp_path)) == ["a", "c"]


def test_a_second_word_on_a_batch_changes_nothing(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state())
    [a] = pending(unit)
    settle(unit, a)
    settle(unit, a, duplicate=True)
    settle(live(tmp_path), a, duplicate=True)
    assert live(tmp_path).waiting == Waiting()


def test_a_batch_that_is_not_there_cannot_be_acknowledged(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state())
    [a] = pending(unit)
    for seq, lot_id in ((1, "a"), (0, "z"), (-1, "a")):
        wrong = Lot.of(
            a.events, digests=a.digests, times_ms=a.times_ms, source="", collected_ms=0, seq=seq, lot_id=lot_id
        )
        with pytest.raises(StateError, match="does not hold"):
            settle(unit, wrong)
    assert ids(unit) == [a.lot_id]


def test_many_threads_may_acknowledge(tmp_path: Path) -> None:
    unit = live(tmp_path, sync_acks=False)
    unit.append([lot(str(n)) for n in range(80)], state())
    waiting = pending(unit)
    threads = [Thread(target=lambda part=waiting[n::4]: [settle(unit, b) for b in part]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live(tmp_path).waiting.lots == 0
    assert len(live(tmp_path).lane("").entries()) == 80


@pytest.mark.parametrize("disk_is_full", [False, True])
def test_acknowledgements_that_wait_for_the_disk_are_written_down_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk_is_full: bool
) -> None:
    unit = live(tmp_path)
    unit.append([lot(str(n)) for n in range(5)], state())
    first, *others = pending(unit)
    real, began, go_on = os.fdatasync, Event(), Event()
    syncs: list[int] = []
    failed: list[str] = []

    def fdatasync(fd: int) -> None:
        syncs.append(fd)
        began.set()
        assert go_on.wait(30)
        if disk_is_full and len(syncs) > 1:
            raise OSError(errno.ENOSPC, "no space")
        real(fd)

    def acknowledge(one: Lot) -> None:
        try:
            settle(unit, one)
        except SpoolFull:
            failed.append(one.lot_id)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    threads = [Thread(target=acknowledge, args=(one,)) for one in (first, *others)]
    threads[0].start()
    assert began.wait(30)
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(unit.lane("")._told) == len(others), "the others have said what they settled")
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(syncs) == 2, "one for the first, one for all that came while it was at work"
    assert sorted(failed) == [one.lot_id for one in (others if disk_is_full else [])]
    monkeypatch.undo()
    assert unit.waiting.lots == len(failed)
    for one in others:
        settle(unit, one)
    assert live(tmp_path).waiting.lots == 0


def test_a_large_spool_is_full_at_its_cap_though_its_files_are_not_counted_for_each_page(tmp_path: Path) -> None:
    page, cap = 500, 100_000
    spool = spool_of(tmp_path, cap_bytes=cap)
    unit = spool.unit("live")

    def fill() -> None:
        for number in range(2 * cap // page):
            unit.append([lot(str(number), array=bytes(page))], state(number))

    for _ in range(2):
        with pytest.raises(SpoolFull, match="has reached"):
            fill()
        assert cap - 2 * page < spool.used_bytes() < cap + page
        settle_all(unit)
        unit.clear(state())


def test_ids_are_known_whether_acknowledged_or_waiting(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a", shard="h1"), lot("b", shard="h2"), lot("c", shard="h1")], state())
    settle(unit, pending(unit)[0])
    expected = {"h1": digests(f"{n}/{i}" for n in "ac" for i in range(3)), "h2": digests(f"b/{i}" for i in range(3))}
    for seen in (unit, live(tmp_path)):
        assert seen.digests() == expected
        assert len(known(seen)) == 9
        assert digest("b/1") in known(seen)


def test_a_cleared_unit_goes_on_from_its_new_state_with_higher_numbers(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a"), lot("b")], state(1))
    settle_all(unit)
    unit.clear(state(2))
    for seen in (unit, live(tmp_path)):
        assert seen.state == state(2)
        assert seen.waiting == Waiting()
        assert seen.digests() == {}
        assert seen.lane("").entries() == []
    assert sorted(os.listdir(unit.directory)) == ["unit.json"]
    unit.append([lot("c")], state(3))
    assert [b.seq for b in pending(live(tmp_path))] == [2]


def test_a_unit_cleared_without_batches_keeps_its_numbers(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state(1))
    settle_all(unit)
    unit.clear(state(2))
    unit.clear(state(3))
    unit.append([], state(4))
    unit.clear(None)
    assert live(tmp_path).state is None
    unit.append([lot("b")], state(5))
    assert [b.seq for b in pending(live(tmp_path))] == [1]


def test_a_unit_in_which_batches_wait_is_neither_cleared_nor_removed(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state())
    for refuse in (lambda: unit.clear(None), unit.remove):
        with pytest.raises(StateError, match="still holds 3 events"):
            refuse()
    assert ids(live(tmp_path)) == ["a"]


def test_a_removed_unit_is_gone_and_begins_a_new_life(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    unit = spool.unit("2025-12-17-15:00")
    unit.append([lot("a")], state())
    assert spool.units() == ["2025-12-17-15:00"]
    settle_all(unit)
    unit.remove()
    assert spool.units() == []
    assert unit.state is None
    unit.append([lot("b")], state())
    assert ids(unit) == ["b"]


def test_a_full_disk_leaves_no_part_of_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state(1))
    whole = (unit.directory / "lots.0").read_bytes()

    def full(fd: int, data: bytes) -> None:
        os.write(fd, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(append_only, "write_all", full)
        with pytest.raises(SpoolFull, match="the disk is full"):
            unit.append([lot("b")], state(2))
        with pytest.raises(SpoolFull):
            settle(unit, pending(unit)[0])
    assert (unit.directory / "lots.0").read_bytes() == whole
    assert (unit.directory / "journal.0").read_bytes() == b""
    assert unit.state == live(tmp_path).state == state(1)
    assert ids(unit) == ids(live(tmp_path)) == ["a"]
    unit.append([lot("c")], state(3))
    settle_all(unit)
    assert live(tmp_path).waiting.lots == 0


def test_nothing_is_handed_out_before_the_journal_has_room_to_say_that_it_was_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state(1))
    unit.sync()

    def full(fd: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(append_only, "write_all", full)
        with pytest.raises(SpoolFull, match=r"journal\.0: the disk is full"):
            next(unit.lane("").pending())
    (handed_out,) = pending(unit)
    size = (unit.directory / "journal.0").stat().st_size
    settle(unit, handed_out)
    assert (unit.directory / "journal.0").stat().st_size == size  # the line went into the room it had


def test_a_reader_without_the_lock_changes_nothing(tmp_path: Path) -> None:
    unit = live(tmp_path)
    unit.append([lot("a")], state())
    unit.sync()
    with open(unit.directory / "lots.0", "ab") as file:
        file.write(b"FLL1 half a frame")
    (unit.directory / "journal.7").write_bytes(b"")
    before = {path: path.read_bytes() for path in unit.directory.iterdir()}
    reader = live(tmp_path)
    assert (reader.waiting.lots, reader.state, len(known(reader))) == (1, state(), 3)
    assert {path: path.read_bytes() for path in unit.directory.iterdir()} == before


def test_bodies_are_read_one_at_a_time(tmp_path: Path) -> None:
    import tracemalloc

    unit = live(tmp_path)
    for n in range(8):
        unit.append([lot(str(n), array=bytes(1 << 20))], state())
    found = live(tmp_path)
    tracemalloc.start()
    assert sum(len(b.packed or b"") for b in found.lane("").pending()) == 8 << 20
    assert len(known(found)) == 24
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 5 << 20
