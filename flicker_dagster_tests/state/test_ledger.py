from __future__ import annotations

from pathlib import Path
from threading import Barrier, Thread

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state.digests import DigestSet
from flicker_dagster.state.ledger import Ledger
from flicker_dagster.state.s3 import S3Store
from flicker_dagster.state.shards import decode_shard, encode_shard
from flicker_dagster.state.stores import ANYTHING, UNCHANGED, LocalStore, Store
from flicker_dagster_tests.state.builders import digest, digests

HOUR = "2025-12-17T15"


def holds(known: DigestSet, names: range) -> bool:
    return known.unknown([digest(n) for n in names]) == []


def test_an_unknown_window_is_empty(store: Store) -> None:
    ledger = Ledger(store, "okta")
    assert ledger.count(HOUR) == 0
    assert digest(1) not in ledger.known(HOUR)


def test_delivered_ids_are_known_to_the_next_run(store: Store) -> None:
    Ledger(store, "okta").add({HOUR: digests(range(5)), "untimed": digests([9])})
    later = Ledger(store, "okta")
    assert holds(later.known(HOUR), range(5))
    assert later.count(HOUR) == 5
    assert digest(9) in later.known("untimed")
    assert Ledger(store, "github").count(HOUR) == 0


def test_adding_the_same_again_changes_nothing_and_writes_nothing(store: Store) -> None:
    ledger = Ledger(store, "okta")
    ledger.add({HOUR: digests([1, 2, 2, 1])})
    version = store.read(f"ledger/okta/{HOUR}").version  # type: ignore[union-attr]
    ledger.add({HOUR: digests([2, 1]), "empty": b""})
    Ledger(store, "okta").add({HOUR: digests([1])})
    assert store.read(f"ledger/okta/{HOUR}").version == version  # type: ignore[union-attr]
    assert ledger.count(HOUR) == 2
    assert ledger.windows() == [HOUR]


def test_what_another_writer_added_is_merged(store: Store) -> None:
    ours, theirs = Ledger(store, "okta"), Ledger(store, "okta")
    assert ours.count(HOUR) == theirs.count(HOUR) == 0
    theirs.add({HOUR: digests(range(3))})
    ours.add({HOUR: digests(range(2, 6))})
    assert holds(Ledger(store, "okta").known(HOUR), range(6))
    assert ours.count(HOUR) == 6
    theirs.refresh()
    assert theirs.count(HOUR) == 6


def test_racing_writers_lose_nothing(store: Store) -> None:
    writers, rounds = 3, 5
    barrier = Barrier(writers)
    failures: list[BaseException] = []

    def write(number: int) -> None:
        ledger = Ledger(store, "okta")
        barrier.wait()
        try:
            for i in range(rounds):
                ledger.add({HOUR: digests([number * 100 + i])})
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    known = Ledger(store, "okta").known(HOUR)
    assert len(known) == writers * rounds
    assert all(holds(known, range(n * 100, n * 100 + rounds)) for n in range(writers))


@pytest.mark.parametrize("length", range(16 + 3 * 16))
def test_a_truncated_shard_is_named_and_not_taken_for_a_shorter_one(length: int, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.write(f"ledger/okta/{HOUR}", encode_shard(digests(range(3)))[:length], expected=ANYTHING)
    with pytest.raises(StateError, match=rf"ledger/okta/{HOUR} is not a whole ledger shard"):
        Ledger(store, "okta").known(HOUR)


def test_a_damaged_shard_is_named() -> None:
    data = bytearray(encode_shard(digests(range(3))))
    for at in range(len(data)):
        damaged = bytes(data[:at]) + bytes([data[at] ^ 1]) + bytes(data[at + 1 :])
        with pytest.raises(StateError, match="shard-x"):
            decode_shard("shard-x", damaged)


def test_old_windows_are_pruned_and_undated_events_never(store: Store) -> None:
    ledger = Ledger(store, "okta")
    ledger.add({key: digests([key]) for key in ("2025-12-17T14", HOUR, "2025-12-17T16", "untimed")})
    assert ledger.prune(HOUR) == ["2025-12-17T14"]
    assert ledger.windows() == [HOUR, "2025-12-17T16", "untimed"]
    assert ledger.count("2025-12-17T14") == 0


def test_names_that_are_no_file_names_keep_apart(store: Store) -> None:
    for name in ("a/b", "a", "../a", ".a", "a b", "ä" * 200, "ä" * 201):
        Ledger(store, name).add({"2025-12-17-15:00": digests([name])})
    for name in ("a/b", "a", "../a", ".a", "a b", "ä" * 200, "ä" * 201):
        ledger = Ledger(store, name)
        assert ledger.windows() == ["2025-12-17-15:00"]
        assert digest(name) in ledger.known("2025-12-17-15:00")
        assert ledger.count("2025-12-17-15:00") == 1


def test_memory_is_bounded_by_letting_go_of_the_shards_used_longest_ago(tmp_path: Path) -> None:
    reads: list[str] = []

    class Watched(LocalStore):
        def read(self, key: str):  # type: ignore[no-untyped-def]
            reads.append(key[-1])
            return super().read(key)

    Ledger(LocalStore(tmp_path), "okta").add({key: digests(f"{key}{i}" for i in range(10)) for key in "abc"})
    ledger = Ledger(Watched(tmp_path), "okta", max_cached_digests=25)
    for key in "abacaba":
        assert ledger.count(key) == 10
    assert reads == ["a", "b", "c", "b"]


class _Counting:
    """An S3 client that writes down what it is asked and how much it sends back."""

    def __init__(self, client: object) -> None:
        self.client = client
        self.downloads = 0
        self.requests = 0

    def get_object(self, **request: object) -> dict:
        self.requests += 1
        answer = self.client.get_object(**request)  # type: ignore[attr-defined]
        self.downloads += 1
        return answer

    def __getattr__(self, name: str) -> object:
        return getattr(self.client, name)


def test_an_unchanged_shard_is_not_downloaded_twice(bucket: str, tmp_path: Path) -> None:
    client = _Counting(S3Store(bucket).client)
    remote = S3Store(bucket, client=client)
    Ledger(S3Store(bucket), "okta").add({HOUR: digests(range(5))})
    for _ in range(3):
        assert Ledger(remote, "okta", cache_dir=tmp_path).count(HOUR) == 5
    assert (client.requests, client.downloads) == (3, 1)
    Ledger(S3Store(bucket), "okta").add({HOUR: digests(range(7))})
    assert Ledger(remote, "okta", cache_dir=tmp_path).count(HOUR) == 7
    assert client.downloads == 2


def test_a_writer_needs_no_download_of_what_it_wrote(bucket: str, tmp_path: Path) -> None:
    client = _Counting(S3Store(bucket).client)
    remote = S3Store(bucket, client=client)
    for n in range(3):
        Ledger(remote, "okta", cache_dir=tmp_path).add({HOUR: digests(range(n * 10, n * 10 + 10))})
    assert Ledger(remote, "okta", cache_dir=tmp_path).count(HOUR) == 30
    assert client.downloads == 0


def test_a_damaged_copy_is_downloaded_again(bucket: str, tmp_path: Path) -> None:
    remote = S3Store(bucket)
    Ledger(remote, "okta", cache_dir=tmp_path).add({HOUR: digests(range(5))})
    [copy] = list(tmp_path.iterdir())
    whole = copy.read_bytes()
    for length in range(len(whole)):
        copy.write_bytes(whole[:length])
        assert Ledger(remote, "okta", cache_dir=tmp_path).count(HOUR) == 5


def test_a_copy_of_a_removed_shard_counts_for_nothing(bucket: str, tmp_path: Path) -> None:
    remote = S3Store(bucket)
    ledger = Ledger(remote, "okta", cache_dir=tmp_path)
    ledger.add({HOUR: digests(range(5))})
    remote.delete(f"ledger/okta/{HOUR}")
    assert remote.read_changed(f"ledger/okta/{HOUR}", "x") is not UNCHANGED
    assert Ledger(remote, "okta", cache_dir=tmp_path).count(HOUR) == 0
