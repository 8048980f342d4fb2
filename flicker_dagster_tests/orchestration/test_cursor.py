"""The sensor's cursor is the position, readable and editable; a run moves it only from where it stood."""

from __future__ import annotations

import json

import pytest

from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.cursor import LiveCursor, Outcome, fold, parse_cursor
from flicker_dagster.types import Position

A = Position("2026-01-01T00:00:00.000Z", None)
B = Position("2026-01-01T00:10:00.000Z", "next")
REWOUND = Position("2025-12-31T00:00:00.000Z", None)


def test_a_resting_cursor_shows_the_position_and_nothing_else() -> None:
    assert json.loads(LiveCursor(B).to_text()) == {"last_timestamp": "2026-01-01T00:10:00.000Z", "cursor": "next"}


@pytest.mark.parametrize("cursor", [LiveCursor(A), LiveCursor(B, redeliver=True), LiveCursor(A, awaiting="r1")])
def test_a_cursor_survives_being_written_and_read(cursor: LiveCursor) -> None:
    assert parse_cursor(cursor.to_text()) == cursor


def test_a_finished_run_moves_the_cursor_it_started_from() -> None:
    assert fold(LiveCursor(A, awaiting="r1"), Outcome("r1", A, B)) == LiveCursor(B)


@pytest.mark.parametrize(
    "cursor",
    [
        LiveCursor(REWOUND),  # rewound by hand while the run was in flight
        LiveCursor(REWOUND, awaiting="r1"),  # only the time was edited
        LiveCursor(A),  # rewound to exactly where an old run had started
        LiveCursor(A, awaiting="r2"),  # a later run is awaited
    ],
)
def test_a_rewind_by_hand_is_never_overwritten(cursor: LiveCursor) -> None:
    assert fold(cursor, Outcome("r1", A, B)) == cursor


def test_an_unfinished_redelivery_stays_one() -> None:
    cursor = LiveCursor(A, redeliver=True, awaiting="r1")
    assert fold(cursor, Outcome("r1", A, A, redeliver=True)) == LiveCursor(A, redeliver=True)
    assert fold(cursor, Outcome("r1", A, B)) == LiveCursor(B)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", "no JSON"),
        ("[]", "expected an object"),
        ('{"last_timestamp": "soon"}', "expected an RFC 3339 time"),
        ('{"last_timestamp": null}', "expected an RFC 3339 time"),
        ('{"last_timestamp": "2026-01-01T00:00:00Z", "cursor": 5}', "expected text or null"),
        ('{"last_timestamp": "2026-01-01T00:00:00Z", "curser": "x"}', "unknown keys ['curser']"),
    ],
)
def test_a_cursor_that_cannot_be_read_says_what_is_expected(text: str, said: str) -> None:
    with pytest.raises(FlickerError, match=said.replace("[", r"\[").replace("]", r"\]")):
        parse_cursor(text)
