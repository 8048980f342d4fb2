from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state.dead_letters import DeadLetters
from flicker_dagster.state.stores import ANYTHING, LocalStore, Store
from flicker_dagster_tests.state.builders import T0_MS, letter

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    "event",
    [
        b'{"id": 1}',
        b'{"n": 12345678901234567890, "n": 1.0}',
        '{"name": "Zoë \U0001f600 \u2028"}'.encode(),
        b'{"tab": "\t", "line": "a\r\nb", "nul": "\x00"}',
        b"\xff\xfe not text",
        b"",
    ],
)
def test_events_are_kept_byte_for_byte(event: bytes, store: Store) -> None:
    letters = DeadLetters(store, "okta")
    [letter_id] = letters.add([letter(event=event)])
    assert letters.read(letter_id) == [letter(event=event)]


def test_a_batchs_letters_make_one_object_that_a_person_can_read(tmp_path: Path) -> None:
    letters = DeadLetters(LocalStore(tmp_path), "okta")
    [letter_id] = letters.add([letter("e1"), letter("e2")])
    assert letter_id.startswith("2025-12-17/b0-")
    text = (tmp_path / "dead-letters" / "okta" / letter_id).read_text()
    assert '"event":"{\\"id\\": 1}"' in text
    assert "field `actor` is not mapped" in text
    assert letters.describe(letter_id) == f"{tmp_path}/dead-letters/okta/{letter_id}"


def test_adding_the_same_again_changes_nothing_even_after_midnight(store: Store) -> None:
    letters = DeadLetters(store, "okta")
    first = letters.add([letter("e1"), letter("e2"), letter("e3", lot_id="b1")])
    assert letters.add([letter("e1"), letter("e2"), letter("e3", lot_id="b1")]) == first
    assert letters.add([letter("e1", at_ms=T0_MS + DAY_MS), letter("e2", at_ms=T0_MS + DAY_MS)]) == first[:1]
    assert letters.list() == sorted(first)
    assert letters.count() == 3


def test_several_refusals_of_one_batch_do_not_overwrite_each_other(store: Store) -> None:
    letters = DeadLetters(store, "okta")
    letters.add([letter("e1")])
    letters.add([letter("e2")])
    assert letters.count() == len(letters.list()) == 2


def test_replayed_letters_are_dropped(store: Store) -> None:
    letters = DeadLetters(store, "okta")
    kept, replayed = letters.add([letter("e1"), letter("e2", lot_id="b1")])
    letters.drop(replayed)
    letters.drop(replayed)
    assert letters.list() == [kept]
    with pytest.raises(StateError, match="does not exist"):
        letters.read(replayed)


def test_a_sources_letters_are_its_own(store: Store) -> None:
    DeadLetters(store, "okta").add([letter()])
    assert DeadLetters(store, "okta-2").list() == []


def test_a_damaged_object_is_named(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.write("dead-letters/okta/2025-12-17/b-1.jsonl", b'{"reason": ', expected=ANYTHING)
    with pytest.raises(StateError, match=r"b-1\.jsonl is damaged"):
        DeadLetters(store, "okta").read("2025-12-17/b-1.jsonl")
