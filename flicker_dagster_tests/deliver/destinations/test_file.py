"""Lines of a local file: each event once, whatever is asked again, moved away or in the way."""

from __future__ import annotations

import errno
import gzip
import os
import threading
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

import msgspec
import pytest

from flicker_dagster.config.destinations.file import FileDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.file import FileOfLines
from flicker_dagster.deliver.files import disk, line_file
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, PerItem, Rejected, Retry
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster_tests.deliver.contract import NOW_MS, FakeClock, MemoryQueue, drain, event_of, lot_of, lots_of

DAY_S = 86_400.0


def opened(path: Path, *, clock: FakeClock | None = None, source: str = "okta", **keys: object) -> FileOfLines:
    config = FileDestination.model_validate({"type": "file", "path": str(path), **keys})
    return FileOfLines(config, LaneContext(source, clock=clock or FakeClock()))


def numbers_in(*paths: Path) -> list[str]:
    """Ids of the events in these files, in order; every line must be whole."""
    found: list[str] = []
    for path in paths:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert data == b"" or data.endswith(b"\n")
        found += [msgspec.json.decode(line)["id"] for line in data.splitlines()]
    return found


def rotated(path: Path) -> list[Path]:
    return sorted(each for each in path.parent.glob(f"{path.stem}-*") if each != path)


def failing(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_events_are_lines_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "okta.ndjson"
    events = [b'{"id":"a","n":1.10}', b'{\n "id": "b"\n}']
    assert opened(path).send(lot_of(events)) == Delivered(f"written to {path}")
    assert path.read_bytes() == b'{"id":"a","n":1.10}\n{"id":"b"}\n'


def test_new_files_have_their_mode_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "okta.ndjson"
    before = os.umask(0o077)
    try:
        opened(path, mode="0640").send(lots_of(1)[0])
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o750
    assert {each.stat().st_mode & 0o777 for each in path.parent.glob(".*")} == {0o600}


def test_a_request_that_comes_again_is_recognised_by_whoever_opens_the_file(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    lot = lots_of(10)[0]
    destination = opened(path)
    destination.send(lot)
    assert isinstance(destination.send(lot), Duplicate)
    assert isinstance(opened(path).send(lot), Duplicate)
    assert len(numbers_in(path)) == 10


def test_however_a_lot_is_cut_each_event_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    lot = lots_of(10)[0]
    opened(path).send(lot.part([2, 3, 7]))
    outcome = opened(path, format="ndjson").send(lot)
    assert isinstance(outcome, PerItem)
    assert [isinstance(item, Duplicate) for item in outcome.items] == [index in (2, 3, 7) for index in range(10)]
    assert sorted(numbers_in(path)) == [f"e{n:06d}" for n in range(10)]


def test_what_a_killed_process_left_behind_the_last_request_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    first, second = lots_of(20, size=10)
    opened(path).send(first)
    with path.open("ab") as file:
        file.write(b'{"id":"e000010"}\n{"id":"e0000')
    opened(path).send(second)
    assert numbers_in(path) == [f"e{n:06d}" for n in range(20)]


def test_what_others_wrote_before_is_never_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    path.write_bytes(b'{"id":"theirs"}')
    opened(path).send(lots_of(2)[0])
    assert numbers_in(path) == ["theirs", "e000000", "e000001"]


@pytest.mark.parametrize("between", ["open", "closed"])
def test_a_file_that_somebody_moved_away_is_followed_by_a_new_one(tmp_path: Path, between: str) -> None:
    path = tmp_path / "okta.ndjson"
    first, second = lots_of(20, size=10)
    destination = opened(path)
    destination.send(first)
    path.rename(tmp_path / "okta.ndjson.1")
    (destination if between == "open" else opened(path)).send(second)
    assert numbers_in(tmp_path / "okta.ndjson.1", path) == [f"e{n:06d}" for n in range(20)]


def test_a_file_that_somebody_cut_to_nothing_has_no_hole(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    first, second = lots_of(20, size=10)
    destination = opened(path)
    destination.send(first)
    os.truncate(path, 0)
    destination.send(second)
    assert numbers_in(path) == [f"e{n:06d}" for n in range(10, 20)]


def test_events_of_a_file_that_was_removed_can_be_delivered_again(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    lot = lots_of(10)[0]
    opened(path).send(lot)
    path.unlink()
    assert isinstance(opened(path).send(lot), Delivered)
    assert len(numbers_in(path)) == 10


def test_a_file_put_back_from_a_backup_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    first, second = lots_of(20, size=10)
    opened(path).send(first)
    copy = path.read_bytes()
    path.unlink()
    path.write_bytes(copy + b'{"torn')
    opened(path).send(second)
    assert numbers_in(path) == [f"e{n:06d}" for n in range(20)]


def test_a_damaged_log_costs_no_line_and_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    first, second = lots_of(20, size=10)
    opened(path).send(first)
    log = path.with_name(f".{path.name}.commits")
    log.write_bytes(b"nonsense\n" * 5)
    opened(path).send(second)
    assert numbers_in(path) == [f"e{n:06d}" for n in range(20)]
    assert isinstance(opened(path).send(second), Duplicate)


# -- rotation


def test_a_file_is_rotated_before_it_grows_too_large(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    destination = opened(path, rotate_bytes=5_000)
    for lot in lots_of(60, size=10):
        destination.send(lot)
    assert len(rotated(path)) == 5
    assert all(each.stat().st_size <= 5_000 for each in [path, *rotated(path)])
    assert sorted(numbers_in(*rotated(path), path)) == [f"e{n:06d}" for n in range(60)]
    assert all(isinstance(destination.send(lot), Duplicate) for lot in lots_of(60, size=10))


def test_a_file_is_rotated_with_the_day_it_was_begun_in(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    clock = FakeClock()
    first, second, third = lots_of(30, size=10)
    destination = opened(path, clock=clock)
    destination.send(first)
    destination.send(second)
    clock.sleep(DAY_S)
    destination.send(third)
    assert [each.name for each in rotated(path)] == ["okta-20261123T200000Z.ndjson"]
    assert numbers_in(*rotated(path)) == [f"e{n:06d}" for n in range(20)]


def test_rotated_files_are_compressed_and_still_known(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    lots = lots_of(40, size=10)
    destination = opened(path, rotate_bytes=5_000, gzip=True)
    for lot in lots:
        destination.send(lot)
    destination.close()
    assert [each.suffix for each in rotated(path)] == [".gz"] * 3
    assert {each.stat().st_mode & 0o777 for each in rotated(path)} == {0o640}
    assert sorted(numbers_in(*rotated(path), path)) == [f"e{n:06d}" for n in range(40)]
    assert isinstance(opened(path).send(lots[0]), Duplicate)
    (tmp_path / "okta-20261123T200000Z.ndjson.gz").unlink()
    assert isinstance(opened(path).send(lots[0]), Delivered)


# -- sharing


def test_each_stream_has_a_file_of_its_own_by_its_name(tmp_path: Path) -> None:
    opened(tmp_path / "{source}.ndjson", source="google/login").send(lots_of(1)[0])
    opened(tmp_path / "{source}.ndjson", source="../../etc").send(lots_of(1)[0])
    assert {path.name for path in tmp_path.iterdir() if path.suffix == ".ndjson"} == {
        "google_login.ndjson",
        "_.._etc.ndjson",
    }


def write_many(path: str, source: str) -> None:
    destination = opened(Path(path), source=source, rotate_bytes=20_000, max_batch_bytes=8_000)
    for lot in lots_of(300, size=10, source=source, make=lambda n: event_of(n, id=f"{source}{n}")):
        assert isinstance(destination.send(lot), Delivered)
    destination.close()


def test_processes_share_a_file_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "all.ndjson"
    writers = [get_context("fork").Process(target=write_many, args=(str(path), source)) for source in ("a", "b", "c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    expected = Counter(f"{source}{n}" for source in ("a", "b", "c") for n in range(300))
    assert Counter(numbers_in(*rotated(path), path)) == expected


def test_a_writer_that_keeps_the_file_is_waited_for_until_the_timeout(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    destination = opened(path, timeout_ms=50)
    with disk.locked(path.with_name(f".{path.name}.lock"), wait_s=0):
        outcome = destination.send(lots_of(1)[0])
    assert isinstance(outcome, Retry)
    assert "another process" in outcome.why
    assert isinstance(destination.send(lots_of(1)[0]), Delivered)


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


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "okta.ndjson"
    destination = opened(path)
    lots = lots_of(200, size=10)
    threads = [threading.Thread(target=destination.send, args=(lot,)) for lot in [*lots, *lots]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(numbers_in(path)) == Counter(f"e{n:06d}" for n in range(200))


def test_the_clock_of_rotation_is_the_contexts() -> None:
    assert NOW_MS == 1_795_464_000_000  # the names above are of this moment
