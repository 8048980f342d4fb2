"""The notes of an account's quota: changes of many processes and machines add up, and nobody is kept waiting for them."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state import quota_book as module
from flicker_dagster.state.quota_book import LocalBook, RemoteBook, quota_book, quota_key
from flicker_dagster.state.stores import LocalStore, Store
from flicker_dagster_tests.state.object_store import ObjectStore, object_store

KEY = "okta/main account"

#: A run of its own: asks as often as it is told, each time when its quota lets it, and says when.
RUN = """
import sys, time
from flicker_dagster.collect.quota import Quota
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.state.quota_book import quota_book
from flicker_dagster.state.stores import open_store

where, count, per_ms, requests = sys.argv[1], *map(int, sys.argv[2:5])
config = RateLimit(requests=requests, per_ms=per_ms)
quota = Quota(config, max_wait_s=60, clock=time.time, sleep=time.sleep, book=quota_book(open_store(where), "account"))
sys.stdin.readline()
for _ in range(count):
    quota.wait("source")
    print(time.time() * 1000, flush=True)
"""


def count_up(data: bytes) -> bytes:
    return str(int(data or b"0") + 1).encode()


def test_changes_add_up(store: Store) -> None:
    books = [quota_book(store, KEY) for _ in range(3)]
    for number in range(9):
        books[number % 3].update(count_up)
    assert [book.read() for book in books] == [b"9"] * 3


def test_changes_of_threads_add_up(tmp_path: Path) -> None:
    def count_often() -> None:
        book = quota_book(LocalStore(tmp_path), KEY)
        for _ in range(200):
            book.update(count_up)

    threads = [threading.Thread(target=count_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert quota_book(LocalStore(tmp_path), KEY).read() == b"800"


def test_nothing_is_there_at_first_and_what_changes_nothing_writes_nothing(store: Store) -> None:
    book = quota_book(store, KEY)
    assert book.read() == b""
    book.update(lambda data: data)
    assert store.read(quota_key(KEY)) is None or book.read() == b""


def test_a_shorter_text_leaves_nothing_of_a_longer_one(store: Store) -> None:
    book = quota_book(store, KEY)
    book.update(lambda _: b"longer")
    book.update(lambda _: b"short")
    assert book.read() == b"short"


def test_the_file_is_for_this_user_only(tmp_path: Path) -> None:
    quota_book(LocalStore(tmp_path), KEY).update(count_up)
    assert stat.S_IMODE(os.stat(tmp_path / quota_key(KEY)).st_mode) == 0o600


def test_who_stopped_with_the_lock_in_hand_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_S", 0.01)
    book = LocalBook(tmp_path / "book.json")
    book.update(count_up)
    with open(tmp_path / "book.json") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StateError, match="cannot write"):
            book.update(count_up)
    book.update(count_up)
    assert book.read() == b"2"


def test_a_file_that_cannot_be_had_is_an_error_of_the_state(tmp_path: Path) -> None:
    (tmp_path / "quota").write_text("no directory")
    book = quota_book(LocalStore(tmp_path), KEY)
    for touch in (book.read, lambda: book.update(count_up)):
        with pytest.raises(StateError):
            touch()


@pytest.fixture
def spoilt_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with object_store() as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-access-key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
        yield served


def test_writers_that_collide_too_often_go_on_without(spoilt_store: ObjectStore) -> None:
    from flicker_dagster.state.s3 import S3Store

    book = RemoteBook(S3Store("bucket", ""), "quota/a.json")
    book.update(count_up)
    spoilt_store.faults.add("If-Match refused")
    with pytest.raises(StateError):
        book.update(count_up)
    assert len([asked for asked in spoilt_store.asked if asked.startswith("PUT")]) == 1 + module.TRIES


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_stay_under_a_declared_limit_together(tmp_path: Path, processes: int) -> None:
    times_ms = sent_by(processes, tmp_path, count=12, per_ms=1_000, requests=20)
    assert len(times_ms) == 12 * processes
    assert most_in(times_ms, 1_000) <= 20
    assert times_ms[-1] - times_ms[0] > (12 * processes - 5) * 1_000 / 20, "they wait for each other"


def test_machines_stay_under_a_declared_limit_together(bucket: str) -> None:
    times_ms = sent_by(2, f"s3://{bucket}/flicker", count=5, per_ms=30_000, requests=40)
    assert times_ms[-1] - times_ms[0] > 2_000, "eight are sent at once, and each could send its five alone"


def sent_by(processes: int, where: Path | str, *, count: int, per_ms: int, requests: int) -> list[float]:
    """When so many processes, started together, sent their requests, ms."""
    arguments = [sys.executable, "-c", RUN, str(where), str(count), str(per_ms), str(requests)]
    running = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for each in running:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    said = [each.communicate(timeout=60)[0] for each in running]
    assert [each.returncode for each in running] == [0] * processes
    return sorted(float(line) for text in said for line in text.splitlines())


def most_in(times_ms: list[float], span_ms: float) -> int:
    return max(sum(1 for time_ms in times_ms if 0 <= time_ms - first_ms < span_ms) for first_ms in times_ms)
