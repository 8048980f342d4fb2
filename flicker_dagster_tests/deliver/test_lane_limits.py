"""A lane and the size of requests: what is too large goes in parts, and the limit is remembered."""

from __future__ import annotations

import json

import pytest

from flicker_dagster.deliver.learned import LearnedLimits
from flicker_dagster.deliver.outcomes import Split
from flicker_dagster_tests.deliver.a_siem import OK, ASiem, ids_of
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, lots_of


def test_what_was_refused_as_too_large_goes_in_parts_and_the_limit_is_remembered() -> None:
    siem = ASiem(lambda lot: Split("413") if len(lot) > 30 else OK)
    learned = LearnedLimits()
    drained = drain(MemoryQueue(lots_of(300)), lambda: siem, learned=learned)
    assert drained.done
    assert set(siem.counts.values()) == {1}
    refused = [len(lot) for lot in siem.sent if len(lot) > 30]
    assert refused == [100, 50, 33], "only the first lot was tried whole"
    assert learned.refused


@pytest.mark.parametrize("limit", [26, 30, 33, 49, 70, 99])
def test_parts_become_nearly_as_large_as_what_is_taken(limit: int) -> None:
    siem = ASiem(lambda lot: Split("413") if len(lot) > limit else OK)
    learned = LearnedLimits()
    assert drain(MemoryQueue(lots_of(3_000)), lambda: siem, learned=learned).done
    assert set(siem.counts.values()) == {1}
    siem.sent.clear()
    again = LearnedLimits(learned.refused, taken_bytes=learned.taken_bytes)  # as the next run knows it
    assert drain(MemoryQueue(lots_of(3_000)), lambda: siem, learned=again).done
    fewest = 30 * -(-100 // limit)
    assert fewest <= len(siem.sent) <= 1.35 * fewest, "no more requests than equal parts of a lot need, but for a few"


def test_a_limit_that_became_smaller_is_found_again() -> None:
    most = [60]
    siem = ASiem(lambda lot: Split("413") if len(lot) > most[0] else OK)
    learned = LearnedLimits()
    assert drain(MemoryQueue(lots_of(500)), lambda: siem, learned=learned).done
    most[0] = 20
    siem.sent.clear()
    assert drain(MemoryQueue(lots_of(1_000)), lambda: siem, learned=learned).done
    last = [len(lot) for lot in siem.sent[-20:]]
    assert max(last) <= 20, "larger ones are tried no more"
    assert sum(last) / len(last) > 15, "halves alone would have 12 or 13"


def test_a_limit_that_is_not_one_of_the_events_bytes_is_not_remembered() -> None:
    siem = ASiem(lambda lot: Split("413", teaches=False) if len(lot) > 30 else OK)
    learned = LearnedLimits()
    assert drain(MemoryQueue(lots_of(300)), lambda: siem, learned=learned).done
    assert set(siem.counts.values()) == {1}
    assert [len(lot) for lot in siem.sent if len(lot) > 30] == [100, 50, 50] * 3, "each lot is tried whole"
    assert not learned.refused


def test_one_event_that_is_too_large_becomes_a_dead_letter_and_its_neighbours_are_delivered() -> None:
    guilty = "e000042"
    siem = ASiem(lambda lot: Split("HTTP 413: too large") if guilty in ids_of(lot) else OK)
    drained = drain(MemoryQueue(lots_of(100)), lambda: siem)
    assert drained.done
    assert drained.delivered == 99
    assert [json.loads(letter.event)["id"] for letter in drained.letters.kept] == [guilty]
    assert drained.letters.kept[0].reason == "HTTP 413: too large"
