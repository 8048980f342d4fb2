"""What versions before lots left in the spool is taken over whole, once, however often that is interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state import append_only, files
from flicker_dagster.state.spool import SourceSpool
from flicker_dagster.types import Settled
from flicker_dagster_tests.simulation.disk import SimDisk
from flicker_dagster_tests.state.builders import T0_MS, digest, state
from flicker_dagster_tests.state.old_units import frame_of, line_of, write_old_unit
from flicker_dagster_tests.state.units import known, pending

FORMS = ["json", "ndjson", "envelope"]
EVENTS = {f"e{n}": b'{"id":"e%d","n":%d.10,"text":"\\ud83d"}' % (n, n) for n in range(7)}
FIVE, SIX = "2025-12-17T05", "2025-12-17T06"


def taken(*numbers: int) -> dict[str, bytes]:
    return {f"e{n}": EVENTS[f"e{n}"] for n in numbers}


def old_spool(tmp_path: Path, form: str, **how: Any) -> SourceSpool:
    """Three batches, of which the second was acknowledged."""
    frames = [
        frame_of(7, form, {FIVE: taken(0, 1), SIX: taken(2)}),
        frame_of(8, form, {SIX: taken(3, 4)}),
        frame_of(9, form, {"untimed": taken(5)}),
    ]
    lines = [line_of(8, delivered=1, dead=1)]
    write_old_unit(tmp_path / "spool" / "okta" / "live", frames, lines, **how)
    return spool_of(tmp_path)


def spool_of(tmp_path: Path) -> SourceSpool:
    return SourceSpool(tmp_path, "okta", time_of=lambda event: T0_MS + int(json.loads(event)["n"]))


def assert_all_is_there(tmp_path: Path, unit_state: object = None) -> None:
    spool = spool_of(tmp_path)
    with spool.lock():
        unit = spool.unit("live")
        assert unit.state == (unit_state or state(1, 5))
        assert [lot.events for lot in pending(unit)] == [list(taken(0, 1, 2).values()), list(taken(5).values())]
        assert [list(lot.digests) for lot in pending(unit)] == [
            [digest(f"e{n}") for n in (0, 1, 2)],
            [digest("e5")],
        ]
        assert [list(lot.times_ms) for lot in pending(unit)] == [[T0_MS, T0_MS + 1, T0_MS + 2], [T0_MS + 5]]
        assert unit.digests().keys() == {FIVE, SIX, "untimed"}
        assert sorted(known(unit)) == sorted(digest(f"e{n}") for n in range(6))
        assert unit.lane("").settled_digests() == {SIX: digest("e3") + digest("e4")}
        (entry,) = unit.lane("").entries()
        assert entry.settled == Settled(delivered=1, dead=1, status="HTTP 200 OK")
        assert (unit.waiting.lots, unit.waiting.events) == (2, 4)
        assert unit.waiting.oldest_at_ms == T0_MS + 7


@pytest.mark.parametrize("form", FORMS)
def test_a_unit_of_an_earlier_version_is_taken_over_whole(tmp_path: Path, form: str) -> None:
    old_spool(tmp_path, form)
    assert_all_is_there(tmp_path)
    assert_all_is_there(tmp_path)
    names = {path.name for path in (tmp_path / "spool" / "okta" / "live").iterdir()}
    assert {"unit.json", "lots.4", "journal.4"} <= names


@pytest.mark.parametrize("form", FORMS)
def test_the_next_writer_sweeps_up_the_old_files(tmp_path: Path, form: str) -> None:
    spool = old_spool(tmp_path, form)
    with spool.lock():
        spool.unit("live").append([], state(1, 6))
    assert sorted(path.name for path in (tmp_path / "spool" / "okta" / "live").iterdir()) == [
        "journal.4",
        "lots.4",
        "unit.json",
    ]


def test_before_it_is_taken_over_it_is_read_and_not_changed(tmp_path: Path) -> None:
    unit = old_spool(tmp_path, "json").unit("live")
    before = {path: path.read_bytes() for path in sorted(unit.directory.iterdir())}
    assert unit.state == state(1, 5)
    assert (unit.waiting.lots, unit.waiting.events, unit.waiting.oldest_at_ms) == (2, 4, T0_MS + 7)
    assert unit.waiting.bytes > 0
    assert unit.waiting_of("another") == unit.waiting, "whatever its destination is called today"
    with pytest.raises(StateError, match="an earlier version wrote was not taken over"):
        list(unit.lane("").pending())
    unit.close()
    assert {path: path.read_bytes() for path in sorted(unit.directory.iterdir())} == before


class Killed(BaseException):
    """The machine is gone."""


@contextmanager
def killed_at(step: int) -> Iterator[list[str]]:
    """The machine dies before the `step`-th change of its disk; gives the changes up to then."""
    seen: list[str] = []

    def io(doing: str, path: str) -> None:
        seen.append(f"{doing} {path}")
        if len(seen) == step:
            raise Killed

    disk = SimDisk(io)
    with patch.object(append_only, "os", disk), patch.object(files, "os", disk), suppress(Killed):
        yield seen


@pytest.mark.parametrize("form", FORMS)
def test_killed_at_any_change_of_the_disk_it_is_taken_over_by_the_next(tmp_path: Path, form: str) -> None:
    step, done = 0, False
    while not done:
        step += 1
        directory = tmp_path / str(step)
        spool = old_spool(directory, form)
        with killed_at(step) as seen, spool.lock():
            pass
        done = len(seen) < step
        assert_all_is_there(directory)
    assert step > 5, "the disk was never changed"


def test_a_torn_last_batch_does_not_count(tmp_path: Path) -> None:
    torn = frame_of(10, "json", {SIX: taken(6)})
    for at in (1, 30, len(torn) - 1):
        old_spool(tmp_path / str(at), "json", torn=torn[:at])
        assert_all_is_there(tmp_path / str(at))


def test_damage_before_the_end_is_named_and_nothing_is_taken_over(tmp_path: Path) -> None:
    spool = old_spool(tmp_path, "json")
    path = spool.unit("live").directory / "batches.3"
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with pytest.raises(StateError, match=r"batches\.3 is damaged at byte 0.*collected again"), spool.lock():
        pass
    assert not (path.parent / "lots.4").exists()


def test_a_body_that_holds_other_events_than_ids_is_refused(tmp_path: Path) -> None:
    frame = frame_of(7, "ndjson", {SIX: {"a": b'{"n":1}', "b": b'{"n":2}\n{"n":3}'}})
    write_old_unit(tmp_path / "spool" / "okta" / "live", [frame])
    with pytest.raises(StateError, match="holds 3 events where 2 were expected"), spool_of(tmp_path).lock():
        pass


def test_batches_that_the_loss_of_power_took_make_the_fetch_begin_again(tmp_path: Path) -> None:
    spool = old_spool(tmp_path, "json")
    path = spool.unit("live").directory / "batches.3"
    os.truncate(path, path.stat().st_size - 20)
    with spool.lock():
        unit = spool.unit("live")
        assert unit.state == state(1, 5).begun_again()
        assert [len(lot) for lot in pending(unit)] == [3]


def test_a_unit_without_batches_keeps_its_resume_point(tmp_path: Path) -> None:
    write_old_unit(tmp_path / "spool" / "okta" / "live", [])
    (tmp_path / "spool" / "okta" / "live" / "batches.3").unlink()
    spool = spool_of(tmp_path)
    with spool.lock():
        assert (spool.unit("live").state, pending(spool.unit("live"))) == (state(1, 5), [])


@pytest.mark.parametrize("form", FORMS)
def test_a_lone_event_is_read_whatever_is_in_it(tmp_path: Path, form: str) -> None:
    """Such a one went alone, as no reader could have told it from others."""
    event = b'{"id":"x","n":1,"text":"\xff\xfe"}'
    write_old_unit(tmp_path / "spool" / "okta" / "live", [frame_of(7, form, {SIX: {"x": event}})])
    spool = SourceSpool(tmp_path, "okta", time_of=None)
    with spool.lock():
        (lot,) = pending(spool.unit("live"))
        assert (lot.events, list(lot.times_ms)) == ([event], [None])


def test_an_event_that_looks_like_an_envelope_and_is_the_vendors_own_stays_whole(tmp_path: Path) -> None:
    event = b'{"id":"0123","time":"2025-12-17T15:00:00.000Z","n":1,"event":{"id":"inner"}}'
    write_old_unit(tmp_path / "spool" / "okta" / "live", [frame_of(7, "json", {SIX: {"x": event}})])
    spool = spool_of(tmp_path)
    with spool.lock():
        (lot,) = pending(spool.unit("live"))
        assert lot.events == [event]
