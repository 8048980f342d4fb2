"""Lines of a local file: each event once, whatever is asked again, moved away or shared."""

from __future__ import annotations

import os
import threading
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

import pytest

from flicker_dagster.deliver.files import disk
from flicker_dagster.deliver.outcomes import Delivered, Duplicate, PerItem, Retry
from flicker_dagster_tests.deliver.contract import NOW_MS, FakeClock, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.local_files import numbers_in, opened, rotated

DAY_S = 86_400.0


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


def test_the_clock_of_rotation_is_the_contexts() -> None:
    assert NOW_MS == 1_795_464_000_000  # the names above are of this moment


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
