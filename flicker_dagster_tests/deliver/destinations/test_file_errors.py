"""What can be in the way of a local file, and what lanes into it come to in spite of it."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path

import pytest

from flicker_dagster.config.destinations.file import FileDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.file import FileOfLines
from flicker_dagster.deliver.files import line_file
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Rejected, Retry
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.local_files import failing, numbers_in, opened, rotated

# -- what can be in the way


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.ENOSPC, Retry, "free some space"),
        (errno.EDQUOT, Retry, "quota"),
        (errno.EIO, Retry, "check the disk"),
        (errno.ESTALE, Retry, "network file system"),
        (errno.EROFS, Blocked, "permissions"),
        (errno.EACCES, Blocked, "permissions"),
        (errno.EPERM, Blocked, "permissions"),
        (errno.ENOTDIR, Blocked, "check path"),
        (errno.EFBIG, Blocked, "file system"),
        (errno.ENAMETOOLONG, Blocked, "check path"),
        (9999, Blocked, "check path"),
    ],
)
def test_what_an_error_stands_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type, says: str
) -> None:
    destination = opened(tmp_path / "okta.ndjson")
    first, second = lots_of(20, size=10)
    destination.send(first)
    monkeypatch.setattr(line_file, "write_at", failing(number))
    outcome = destination.send(second)
    assert isinstance(outcome, kind)
    assert says in outcome.why  # type: ignore[attr-defined]
    assert os.strerror(number) in outcome.why  # type: ignore[attr-defined]
    monkeypatch.undo()
    assert isinstance(destination.send(second), Delivered)
    assert numbers_in(tmp_path / "okta.ndjson") == [f"e{n:06d}" for n in range(20)]


def test_a_disk_that_fills_up_within_a_request_shows_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "okta.ndjson"
    destination = opened(path)

    def half(fd: int, data: bytes, at: int) -> None:
        os.pwrite(fd, data[: len(data) // 2 + 1], at)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    first, second = lots_of(20, size=10)
    destination.send(first)
    monkeypatch.setattr(line_file, "write_at", half)
    assert isinstance(destination.send(second), Retry)
    assert len(numbers_in(path)) == 10


def test_something_else_under_the_name_blocks(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for path in (tmp_path / "directory", tmp_path / "pipe", tmp_path / "file" / "x.ndjson"):
        outcome = opened(path).send(lots_of(1)[0])
        assert isinstance(outcome, Blocked), path
        assert str(path) in outcome.why


def test_a_path_that_cannot_be_one_is_told() -> None:
    config = FileDestination.model_validate({"type": "file", "path": "${LOGS}/x.ndjson"})
    with pytest.raises(DestinationBlocked, match="not absolute"):
        FileOfLines(config, LaneContext("okta", env={"LOGS": "logs"})).send(lots_of(1)[0])
    with pytest.raises(SecretUnset, match="LOGS"):
        FileOfLines(config, LaneContext("okta", env={})).send(lots_of(1)[0])
    for path in ("logs/x.ndjson", "/logs/"):
        assert FileDestination.model_validate({"type": "file", "path": path}).faults()
    assert not config.faults()


def test_an_event_that_would_break_its_line_is_unfit_and_never_written(tmp_path: Path) -> None:
    for form in ("ndjson", "envelope"):
        destination = opened(tmp_path / f"{form}.ndjson", format=form)
        lot = lot_of([event_of(1), b'{"id":"x","text":"a\nb"}'])
        assert list(destination.unfit(lot)) == [1]
        assert isinstance(destination.send(lot), Rejected)
        assert isinstance(destination.send(lot.part([0])), Delivered)


def test_envelopes_carry_id_time_and_source(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    lot = lot_of([b'{\n"id":"a"}'])
    opened(path, format="envelope").send(lot)
    assert path.read_bytes() == (
        b'{"id":"%b","time":"2026-11-23T19:59:00.000Z","source":"okta","event":{"id":"a"}}\n'
        % lot.digests[0].hex().encode()
    )


# -- the contract


def test_ten_thousand_events_with_one_per_cent_poison(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    make = lambda n: event_of(n) if n % 100 else b'{"id":"poison","text":"a\nb"}'  # noqa: E731
    drained = drain(MemoryQueue(lots_of(10_000, size=500, make=make)), lambda: opened(path))
    assert (drained.delivered, drained.dead, drained.done) == (9_900, 100, True)
    assert len(set(numbers_in(*rotated(path), path))) == 9_900


def test_an_outage_is_waited_out_and_everything_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "okta.ndjson"
    queue = MemoryQueue(lots_of(600))
    monkeypatch.setattr(line_file, "write_at", failing(errno.EACCES))
    blocked = drain(queue, lambda: opened(path))
    assert not blocked.done
    assert "check path" in blocked.last_words
    monkeypatch.undo()
    assert drain(queue, lambda: opened(path)).done
    assert Counter(numbers_in(path)) == Counter(f"e{n:06d}" for n in range(600))


def test_answers_that_get_lost_repeat_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log's sync fails after the entry is written: nobody knows then whether the request counts."""
    path = tmp_path / "okta.ndjson"
    calls = iter(range(10**6))
    sync = os.fsync

    def fragile(fd: int) -> None:
        if next(calls) % 4 == 3:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    queue = MemoryQueue(lots_of(600, size=20))
    monkeypatch.setattr(os, "fsync", fragile)
    drained = drain(queue, lambda: opened(path, rotate_bytes=50_000), runs=200)
    monkeypatch.undo()
    assert drained.done
    assert Counter(numbers_in(*rotated(path), path)) == Counter(f"e{n:06d}" for n in range(600))
