"""What counts as delivered already: the ledger, what waits in the spool, what this run took; all by the hour's shard."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flicker_dagster.pipeline.intake import Known
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.ledger import Ledger
from flicker_dagster_tests.state.builders import digest, digests

FIVE, SIX = "2025-12-17T05", "2025-12-17T06"


def a_ledger(tmp_path: Path, **delivered: Iterable[int]) -> Ledger:
    ledger = StateLayout.of(None, tmp_path / "state", tmp_path / "work").ledger("okta")
    ledger.add({f"2025-12-17T0{hour[-1]}": digests(names) for hour, names in delivered.items()})
    return ledger


def new(known: Known, shard: str, names: list[int], times_ms: list[int | None] | None = None) -> list[int]:
    """The names that are new, which are then taken."""
    found = known.unknown(shard, [digest(name) for name in names], times_ms or [None] * len(names))
    known.take(shard, [digest(names[index]) for index in found])
    return [names[index] for index in found]


def test_an_id_is_new_once_wherever_it_was_met_before(tmp_path: Path) -> None:
    known = Known(
        [(a_ledger(tmp_path, h5=range(3)), None)], [{FIVE: digests(range(3, 6))}, {FIVE: digests(range(5, 8))}]
    )
    assert new(known, FIVE, [9, 2, 8, 4, 8, 7, 9]) == [9, 8]
    assert new(known, FIVE, [8, 10, 10]) == [10]


def test_an_id_at_a_time_of_another_hour_is_another_event(tmp_path: Path) -> None:
    """So it is from one run to the next, as the ledger goes by the hour; within a run it is no different."""
    known = Known([(a_ledger(tmp_path, h5=[1]), None)], [{FIVE: digests([2])}])
    assert new(known, FIVE, [1, 2, 3]) == [3]
    assert new(known, SIX, [1, 2, 3]) == [1, 2, 3]
    assert new(known, SIX, [1, 2, 3]) == []


def test_what_is_shipped_again_by_order_still_waits_and_comes_once(tmp_path: Path) -> None:
    known = Known([(a_ledger(tmp_path, h5=range(6)), None)], [{FIVE: digests([0])}], redeliver_until_ms=1_000)
    times_ms = [1, 1_000, 1_001, None]
    assert new(known, FIVE, [0, 1, 2, 3], times_ms) == [1]
    assert new(known, FIVE, [0, 1, 2, 3], times_ms) == []
