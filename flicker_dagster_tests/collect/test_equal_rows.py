"""Where equal rows are several events, each of them keeps one identity: across pages, walks and processes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.ends import lookalike
from flicker_dagster.collect.paging import Seen
from flicker_dagster.config.listing import RowSpec
from flicker_dagster.config.vocabulary import Origin, Paging
from flicker_dagster.types import WalkState

A, B = {"time": "2026-03-02T09:14:07Z", "who": "a"}, {"time": "2026-03-02T09:14:07Z", "who": "b"}
LATER = {"time": "2026-03-02T09:14:08Z", "who": "a"}


def decoder(**how: Any) -> PageDecoder:
    return PageDecoder(RowSpec(time_paths=("time",), equal_rows="distinct", **how))


def ids(reading: PageDecoder, *rows: dict[str, str]) -> tuple[list[bytes], dict[str, int]]:
    page, _ = reading.decode(json.dumps(rows).encode())
    return page.digests, reading.equal_rows(page)


def test_the_nth_equal_row_of_a_walk_has_one_identity_wherever_pages_are_cut() -> None:
    whole, _ = ids(decoder(), A, B, A, A, LATER)
    assert len(set(whole)) == 5
    for at in range(1, 5):
        cut = decoder()
        first, _ = ids(cut, *(A, B, A, A, LATER)[:at])
        second, _ = ids(cut, *(A, B, A, A, LATER)[at:])
        assert first + second == whole


@pytest.mark.parametrize("at", range(1, 5))
def test_a_walk_that_goes_on_in_another_process_counts_on(at: int) -> None:
    whole, _ = ids(decoder(), A, B, A, A, LATER)
    first, counted = ids(decoder(), *(A, B, A, A, LATER)[:at])
    kept = msgspec.json.decode(msgspec.json.encode(WalkState(equal_rows=counted)), type=WalkState)
    again = decoder()
    again.go_on(kept.equal_rows)
    second, _ = ids(again, *(A, B, A, A, LATER)[at:])
    assert first + second == whole


@pytest.mark.parametrize("at", range(1, 4))
@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_row_with_which_a_page_begins_again_is_no_other_event(at: int, elsewhere: bool) -> None:
    rows = (A, A, B, B)
    whole, _ = ids(decoder(), *rows)
    reading = decoder(repeats_last=True)
    first, counted = ids(reading, *rows[:at])
    if elsewhere:
        reading = decoder(repeats_last=True)
        reading.go_on(counted)
    second, _ = ids(reading, *rows[at - 1 :])
    assert second[0] == first[-1]
    assert first + second[1:] == whole


def test_only_rows_of_the_last_time_are_remembered() -> None:
    assert len(ids(decoder(), A, B, A, LATER)[1]) == 1


def test_other_links_of_an_answer_are_no_next_page() -> None:
    paging = Paging(following=Origin(at="_links.next.href", gives="url"))
    seen = Seen(2, [], {}, "https://api.example.com/events")
    own = {"_links": {"self": {"href": "https://api.example.com/events?limit=2"}}}
    assert lookalike(paging, seen, json.dumps(own).encode()) is None
    other = {"_links": {"nxt": {"href": "https://api.example.com/events?limit=2&c=5"}}}
    assert lookalike(paging, seen, json.dumps(other).encode()) == "href"
