from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from threading import Barrier, Thread

import pytest

from flicker_dagster.errors import RegistryUnreadable, StateError, WriteConflict
from flicker_dagster.state.position_history import PositionHistory
from flicker_dagster.state.registry import Registry
from flicker_dagster.state.registry_document import standing
from flicker_dagster.state.stores import ANYTHING, LocalStore, Store
from flicker_dagster.types import Position
from flicker_dagster_tests.state.builders import at

KEY = "flicker-registry.json"

DOCUMENTED = b"""{
  "version": 1,
  "api_sources": {
    "okta-audit-logs": {
      "last_timestamp": "2025-12-17T15:30:00.123Z",
      "cursor": "eyJpZCI6Imxhc3QtZXZlbnQtaWQifQ=="
    },
    "github-audit-log": {
      "last_timestamp": "2025-12-17T15:25:00.000Z",
      "cursor": null
    },
    "salesforce-audit": {
      "last_timestamp": "2025-12-17T15:28:00.000Z",
      "cursor": null
    }
  }
}"""

WRITTEN_BY_THE_ORIGINAL = b"""{"version": 1,
 "files": {"/var/log/a.log": {"position": 9007199254740993, "inode": 7, "last_updated": 1}},
 "containers": {"web": {"last_timestamp": "2025-12-17T15:00:00Z"}},
 "api_sources": {"okta": {"last_timestamp": "2025-12-17T15:30:00+00:00", "cursor": null, "note": "by hand"}},
 "remark": [1, null]}"""


def registry_of(store: Store, data: bytes | None = None) -> Registry:
    if data is not None:
        store.write(KEY, data, expected=ANYTHING)
    return Registry(store, KEY)


def stored_json(store: Store) -> dict:
    stored = store.read(KEY)
    assert stored is not None
    return json.loads(stored.data)


def test_no_registry_yet_knows_no_source(store: Store) -> None:
    assert registry_of(store).read() == {}
    assert registry_of(store).position("okta") is None


def test_the_documented_registry_is_read(store: Store) -> None:
    assert registry_of(store, DOCUMENTED).read() == {
        "okta-audit-logs": Position("2025-12-17T15:30:00.123Z", "eyJpZCI6Imxhc3QtZXZlbnQtaWQifQ=="),
        "github-audit-log": Position("2025-12-17T15:25:00.000Z", None),
        "salesforce-audit": Position("2025-12-17T15:28:00.000Z", None),
    }


def test_a_first_commit_writes_the_documented_shape(store: Store) -> None:
    assert registry_of(store).commit("okta", at(1, "abc"), seen=None) == at(1, "abc")
    assert stored_json(store) == {
        "version": 1,
        "api_sources": {"okta": {"last_timestamp": "2025-12-17T15:01:00.000Z", "cursor": "abc"}},
    }


def test_what_the_original_wrote_is_a_start_and_is_kept(store: Store) -> None:
    registry = registry_of(store, WRITTEN_BY_THE_ORIGINAL)
    seen = registry.position("okta")
    assert seen == Position("2025-12-17T15:30:00+00:00", None)
    registry.commit("okta", at(40), seen=seen)
    expected = json.loads(WRITTEN_BY_THE_ORIGINAL)
    expected["api_sources"]["okta"]["last_timestamp"] = "2025-12-17T15:40:00.000Z"
    assert stored_json(store) == expected
    assert list(stored_json(store)) == list(expected)


@pytest.mark.parametrize("data", [b"{}", b'{"version": 1}', b'{"api_sources": {}}', b"\xef\xbb\xbf{}"])
def test_a_registry_without_sources_is_no_fault(data: bytes, tmp_path: Path) -> None:
    assert registry_of(LocalStore(tmp_path), data).read() == {}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (DOCUMENTED[:100], "not JSON, perhaps cut short"),
        (b"\x00" * 64, "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"version": 2, "api_sources": {}}', "its version is 2"),
        (b'{"version": "1"}', "its version is '1'"),
        (b'{"version": true}', "its version is True"),
        (b'{"api_sources": []}', "api_sources is not an object"),
        (b'{"api_sources": null}', "api_sources is not an object"),
        (b'{"api_sources": {"okta": "2025"}}', "the entry of okta is not an object"),
        (b'{"api_sources": {"okta": {"last_timestamp": "yesterday"}}}', "last_timestamp of okta is no RFC 3339 time"),
        (b'{"api_sources": {"okta": {"last_timestamp": 5}}}', "last_timestamp of okta"),
        (b'{"api_sources": {"okta": {"cursor": 5}}}', "cursor of okta"),
    ],
)
def test_an_unreadable_registry_stops_collection_and_stays_as_it_is(data: bytes, why: str, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    registry = registry_of(store, data)
    for use in (
        registry.read,
        lambda: registry.position("okta"),
        lambda: registry.commit("okta", at(1), seen=None),
    ):
        with pytest.raises(RegistryUnreadable, match=why) as refused:
            use()
        assert registry.where in str(refused.value)
    assert store.read(KEY).data == data  # type: ignore[union-attr]


def test_a_broken_entry_stops_its_own_source_only(store: Store) -> None:
    registry = registry_of(store, b'{"api_sources": {"broken": 7, "okta": {"last_timestamp": null}}}')
    assert registry.position("okta") == Position(None, None)
    registry.commit("okta", at(1), seen=Position(None, None))
    assert stored_json(store)["api_sources"]["broken"] == 7


def test_a_position_that_could_not_be_read_back_is_not_saved(store: Store) -> None:
    registry = registry_of(store)
    registry.commit("okta", at(1), seen=None)
    with pytest.raises(StateError, match="okta: 'last week' is no RFC 3339 time"):
        registry.commit("okta", Position("last week"), seen=at(1))
    assert registry.read() == {"okta": at(1)}


def test_a_registry_that_cannot_be_reached_is_never_taken_for_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / KEY).mkdir()
    with pytest.raises(StateError):
        Registry(LocalStore(tmp_path), KEY).read()


@pytest.mark.parametrize(
    ("current", "new", "seen", "stands"),
    [
        (None, at(1), None, at(1)),
        (None, at(1), at(5), at(1)),  # the entry was removed by hand
        (at(1), at(2), at(1), at(2)),
        (at(5), at(2), at(5), at(2)),  # a rewind that the run was told to make
        (at(5), at(2), at(1), at(5)),  # another replica was further
        (at(2), at(5), at(1), at(5)),
        (at(2, "theirs"), at(2, "ours"), at(1), at(2, "theirs")),
        (Position(None, "c"), at(1), at(0), at(1)),
        (at(1), Position(None, "c"), at(0), at(1)),
        (Position("2025-12-17T16:00:00+01:00"), Position("2025-12-17T15:00:00.001Z"), None,
         Position("2025-12-17T15:00:00.001Z")),
    ],
)  # fmt: skip
def test_nobody_moves_a_position_back_that_another_has_moved(
    current: Position | None, new: Position, seen: Position | None, stands: Position
) -> None:
    assert standing(current, new, seen=seen) == stands


def test_a_commit_that_changes_nothing_writes_nothing(store: Store) -> None:
    registry = registry_of(store)
    registry.commit("okta", at(1), seen=None)
    version = store.read(KEY).version  # type: ignore[union-attr]
    assert registry.commit("okta", at(1), seen=at(1)) == at(1)
    assert registry.commit("okta", at(0), seen=at(0)) == at(1)
    assert store.read(KEY).version == version  # type: ignore[union-attr]


class _Overtaken(LocalStore):
    """Somebody else commits between our read and our write, so many times."""

    def __init__(self, root: Path, times: int) -> None:
        super().__init__(root)
        self.times = times

    def write(self, key: str, data: bytes, *, expected: object) -> str:  # type: ignore[override]
        if self.times:
            self.times -= 1
            theirs = LocalStore(self.root)
            Registry(theirs, key).commit(f"other-{self.times}", at(self.times % 60), seen=None)
        return super().write(key, data, expected=expected)  # type: ignore[arg-type]


def test_a_conflict_is_merged_and_tried_again(tmp_path: Path) -> None:
    Registry(_Overtaken(tmp_path, 3), KEY).commit("okta", at(9), seen=None)
    assert sorted(Registry(LocalStore(tmp_path), KEY).read()) == ["okta", "other-0", "other-1", "other-2"]


def test_endless_conflicts_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flicker_dagster.state.conflicts.LONGEST_DELAY_S", 0.0)
    with pytest.raises(WriteConflict, match="times in a row"):
        Registry(_Overtaken(tmp_path, 1000), KEY).commit("okta", at(9), seen=None)


def test_racing_replicas_lose_nothing(store: Store) -> None:
    writers, rounds = 4, 5
    barrier = Barrier(writers)
    failures: list[BaseException] = []

    def replica(number: int) -> None:
        registry = registry_of(store)
        barrier.wait()
        try:
            for minute in range(1, rounds + 1):
                own = f"source-{number}"
                registry.commit(own, at(minute), seen=registry.position(own))
                registry.commit("shared", at(minute * writers + number), seen=at(0))
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=replica, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert registry_of(store).read() == {
        **{f"source-{n}": at(rounds) for n in range(writers)},
        "shared": at(rounds * writers + writers - 1),
    }


def _replica_process(root: str, number: int) -> None:
    registry = registry_of(LocalStore(root))
    for minute in range(20):
        registry.commit(f"source-{number}", at(minute), seen=registry.position(f"source-{number}"))


def test_racing_processes_lose_nothing(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_replica_process, args=(str(tmp_path), n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert registry_of(LocalStore(tmp_path)).read() == {f"source-{n}": at(19) for n in range(3)}


def test_the_registry_says_where_it_is(store: Store) -> None:
    assert registry_of(store).where == store.describe(KEY)


def test_earlier_positions_are_kept_newest_first(store: Store) -> None:
    registry = Registry(store, KEY, history=PositionHistory(store, clock=lambda: 5.0))
    for minute in range(3):
        registry.commit("okta", at(minute), seen=None if minute == 0 else at(minute - 1))
    kept = [(saved.saved_at_ms, saved.position, saved.number) for saved in registry.history("okta")]
    assert kept == [(5000, at(2), 3), (5000, at(1), 2), (5000, at(0), 1)]
    assert registry.history("github") == []
    assert "history" not in str(stored_json(store))


def test_a_position_is_saved_even_if_its_history_cannot_be(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    class Refusing:
        def add(self, *_: object) -> None:
            raise StateError("no room")

    registry = Registry(store, KEY, history=Refusing())  # type: ignore[arg-type]
    registry.commit("okta", at(1), seen=None)
    assert registry.position("okta") == at(1)
    assert "its history was not: no room" in caplog.text


class _Refusing(LocalStore):
    def write(self, key: str, data: bytes, *, expected: object) -> str:  # type: ignore[override]
        raise StateError("cannot write")


def test_a_failed_write_leaves_everything_as_it_was(tmp_path: Path) -> None:
    registry_of(LocalStore(tmp_path), DOCUMENTED)
    with pytest.raises(StateError, match="cannot write"):
        Registry(_Refusing(tmp_path), KEY).commit("okta-audit-logs", at(59), seen=None)
    assert LocalStore(tmp_path).read(KEY).data == DOCUMENTED  # type: ignore[union-attr]
