"""Whatever the event: what is taken away is left in no spelling, and nothing else changes."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.deliver.field_rules import FieldEditor, Tally, Unfit
from flicker_dagster.deliver.static_fields import StaticFields
from flicker_dagster.json_paths import lookup_any, readings, split_path
from flicker_dagster_tests.deliver.event_trees import (
    EVENTS,
    PATHS,
    SECRET_TEXT,
    Members,
    as_members,
    assert_no_secret,
    changed,
    damaged,
    everything,
    planted,
    pruned,
    read,
    spelled,
    text_of,
    values_at,
)
from flicker_dagster_tests.deliver.field_edits import MASK, edit


def masked(tree: Any) -> Any:
    return MASK.of(text_of(tree).encode()).decode()


@given(st.data(), PATHS)
def test_what_is_dropped_appears_nowhere_and_all_else_is_equal(data: st.DataObject, path: str) -> None:
    tree = data.draw(planted(path))
    left = edit(data.draw(spelled(tree)), drop=[path])
    assert_no_secret(left)
    assert read(left) == read(text_of(changed(tree, split_path(path), lambda _: None)))


@given(st.data(), PATHS)
def test_what_is_masked_appears_nowhere_and_all_else_is_equal(data: st.DataObject, path: str) -> None:
    tree = data.draw(planted(path))
    left = edit(data.draw(spelled(tree)), mask=[path])
    assert_no_secret(left)
    objects = re.compile(r"\*\*\*[0-9a-f]{16}")  # objects are digested with the spelling of their keys

    def alike(text: str) -> Any:
        return read(objects.sub("***", text))

    assert alike(left) == alike(text_of(changed(tree, split_path(path), masked)))


@given(st.data(), PATHS)
def test_what_is_not_kept_appears_nowhere(data: st.DataObject, path: str) -> None:
    tree = data.draw(planted(path))
    kept = Members([*tree, ("kept", Members([("x", "1.10"), ("y", "[]")]))])
    left = edit(data.draw(spelled(kept)), keep=["kept.x", "kept.z"])
    assert read(left) == read('{"kept":{"x":1.10}}')


@given(st.data(), EVENTS, PATHS, PATHS)
def test_an_event_that_holds_none_of_the_paths_keeps_its_bytes(
    data: st.DataObject, tree: Members, one: str, other: str
) -> None:
    hit = [*values_at(tree, one), *values_at(tree, other)]
    event = data.draw(spelled(tree)).encode()
    left = FieldEditor(drop=[one], mask=[other], masked_by=MASK).apply(event, Tally())
    assert (left is event) or hit


@given(st.data(), EVENTS, PATHS, st.text(max_size=5))
def test_a_static_field_is_read_at_its_path_and_all_else_is_equal(
    data: st.DataObject, tree: Members, path: str, text: str
) -> None:
    left = StaticFields({path: text}).add(data.draw(spelled(tree)).encode()).decode()
    assert lookup_any(json.loads(left), readings(path)) == text
    others = text_of(changed(tree, split_path(path), lambda _: None))
    assert pruned(read(edit(left, drop=[path]))) == pruned(read(others))


@given(st.data(), PATHS, st.sampled_from(["drop", "mask"]))
def test_no_decoder_finds_a_secret_at_the_path_of_an_event_that_was_damaged(
    data: st.DataObject, path: str, action: str
) -> None:
    event = data.draw(damaged(data.draw(spelled(data.draw(planted(path))))))
    try:
        left = FieldEditor(**{action: [path]}, masked_by=MASK).apply(event, Tally())
    except Unfit:
        return
    for errors in ("surrogateescape", "ignore", "replace"):
        try:
            found = json.loads(left.decode("utf-8", errors), object_pairs_hook=as_members, strict=False)
        except ValueError:
            continue
        assert not [text for text in everything(values_at(found, path)) if SECRET_TEXT in text]
