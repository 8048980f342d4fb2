from __future__ import annotations

import os
from pathlib import Path

import pytest

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.state import files
from flicker_dagster.state.s3 import S3Store
from flicker_dagster.state.stores import ANYTHING, UNCHANGED, LocalStore, Store, open_store


def test_what_was_never_written_is_not_there(store: Store) -> None:
    assert store.read("a/b.json") is None


def test_what_was_written_is_read_back_with_its_version(store: Store) -> None:
    version = store.write("a/b", b"one", expected=None)
    assert store.read("a/b") == (b"one", version)


def test_an_object_that_must_not_exist_is_not_overwritten(store: Store) -> None:
    store.write("a", b"theirs", expected=None)
    with pytest.raises(WriteConflict):
        store.write("a", b"ours", expected=None)
    assert store.read("a").data == b"theirs"  # type: ignore[union-attr]


def test_an_object_changed_since_it_was_read_is_not_overwritten(store: Store) -> None:
    seen = store.write("a", b"one", expected=None)
    store.write("a", b"two", expected=seen)
    with pytest.raises(WriteConflict, match="was changed by another"):
        store.write("a", b"three", expected=seen)
    assert store.read("a").data == b"two"  # type: ignore[union-attr]


def test_an_object_removed_since_it_was_read_is_not_written(store: Store) -> None:
    seen = store.write("a", b"one", expected=None)
    store.delete("a")
    with pytest.raises(WriteConflict):
        store.write("a", b"two", expected=seen)


def test_an_unconditional_write_replaces_anything(store: Store) -> None:
    store.write("a", b"one", expected=ANYTHING)
    store.write("a", b"two", expected=ANYTHING)
    assert store.read("a").data == b"two"  # type: ignore[union-attr]


def test_an_unchanged_object_is_not_read_again(store: Store) -> None:
    version = store.write("a", b"one", expected=None)
    assert store.read_changed("a", version) is UNCHANGED
    newer = store.write("a", b"two", expected=version)
    assert store.read_changed("a", version) == (b"two", newer)
    store.delete("a")
    assert store.read_changed("a", newer) is None


def test_writing_the_same_length_again_and_again_gives_a_new_version_each_time(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    versions = [store.write("a", b"%04d" % i, expected=ANYTHING) for i in range(50)]
    assert len(set(versions)) == 50


def test_removing_what_is_not_there_is_harmless(store: Store) -> None:
    store.delete("never/written")


def test_a_folder_is_listed_in_order_without_its_neighbours(store: Store) -> None:
    for key in ("ledger/okta/b", "ledger/okta/a", "ledger/okta-2/c", "ledger/okta/day/d"):
        store.write(key, b"x", expected=None)
    assert list(store.list("ledger/okta/")) == ["ledger/okta/a", "ledger/okta/b", "ledger/okta/day/d"]
    assert list(store.list("nothing/")) == []


def test_locations_are_described_as_a_user_writes_them(tmp_path: Path) -> None:
    assert open_store(tmp_path).describe("a/b") == f"{tmp_path}/a/b"
    assert open_store("s3://logs/team/x").describe("a/b") == "s3://logs/team/x/a/b"
    assert open_store("s3://logs").describe("a") == "s3://logs/a"


def test_an_s3_location_without_a_bucket_is_refused() -> None:
    with pytest.raises(StateError, match="names no bucket"):
        open_store("s3:///key")


def test_opening_an_s3_store_connects_to_nothing() -> None:
    assert isinstance(open_store("s3://no-such-bucket/x"), S3Store)


def test_a_directory_in_the_objects_place_is_an_error_and_not_an_absence(tmp_path: Path) -> None:
    (tmp_path / "registry.json").mkdir()
    with pytest.raises(StateError, match=r"cannot read .*registry\.json"):
        LocalStore(tmp_path).read("registry.json")


def test_a_file_in_the_directorys_place_is_an_error_and_not_an_absence(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_bytes(b"")
    with pytest.raises(StateError, match="Not a directory"):
        LocalStore(tmp_path).read("ledger/okta/a")


def test_a_failed_write_leaves_the_old_object_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.write("a", b"old", expected=None)

    def full(fd: int, data: bytes) -> None:
        os.write(fd, data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_all", full)
    with pytest.raises(StateError, match="the disk is full"):
        store.write("a", b"new", expected=ANYTHING)
    assert store.read("a").data == b"old"  # type: ignore[union-attr]
    assert sorted(os.listdir(tmp_path)) == [".lock", "a"]
