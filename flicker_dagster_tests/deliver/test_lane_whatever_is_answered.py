"""A lane before a destination that answers anything: every event is taken once, or dead."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flicker_dagster.deliver.destination import LotLimits
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Outcome, PerItem, Receipt, Rejected, Retry, Split
from flicker_dagster.lots import Lot
from flicker_dagster_tests.deliver.a_siem import OK, ASiem, ids_of
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, lots_of

OUTCOMES = st.sampled_from(["ok", "ok", "ok", "retry", "lost", "split", "blocked", "partial", "receipt"])


class _Any(dict):
    """Confirms everything."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Outcome:
        return OK


@pytest.mark.fuzz
@given(
    st.lists(OUTCOMES, max_size=60), st.integers(1, 40), st.integers(1, 12), st.sets(st.integers(0, 39)), st.booleans()
)
@settings(deadline=None)
def test_every_event_is_taken_once_or_dead_whatever_is_answered(
    answers: list[str], count: int, size: int, poison: set[int], several: bool
) -> None:
    """And what comes again after a lost answer comes under the same key."""
    assume(min(set(range(count)) - poison, default=8) < 8)  # what refuses everything is believed to do so, see above
    left = list(answers)
    lost: Counter[tuple[str, str]] = Counter()

    def answer(lot: Lot) -> Outcome | Receipt:
        bad = [i for i, mark in enumerate(ids_of(lot)) if int(mark[1:]) in poison]
        kind = left.pop() if left else "ok"
        if any(key == lot.key("") for key, _ in lost) and kind in ("split", "partial"):
            kind = "ok"  # a steady destination does not refuse what it took
        if kind == "retry":
            return Retry("HTTP 503")
        if kind == "blocked":
            return Blocked("HTTP 401")
        if kind == "split" and len(lot) > 1:
            return Split("HTTP 413")
        if kind == "partial":
            return PerItem(
                tuple(Rejected("bad") if i in bad else (OK if i % 2 else Retry("429")) for i in range(len(lot)))
            )
        if bad:
            return Rejected("bad") if len(lot) == 1 else Rejected("one of them is bad")
        if kind == "lost":
            lost.update((lot.key(""), mark) for mark in ids_of(lot))
            siem.take(lot, range(len(lot)))
            return Ambiguous("no answer")
        return Receipt(lot.key(""), 1, 20) if kind == "receipt" else OK

    siem = ASiem(answer, limits=LotLimits(in_flight=3 if several else 1))
    siem.confirms = _Any()
    queue = MemoryQueue(lots_of(count, size=size))
    drained = drain(queue, lambda: siem, runs=200)
    assert drained.done
    dead = {json.loads(letter.event)["id"] for letter in drained.letters.kept}
    assert dead == {f"e{n:06d}" for n in poison if n < count}
    for mark, times in siem.counts.items():
        again = [key for key, each in siem.taken if each == mark]
        assert times == 1 or len(set(again)) == 1, "it came again under another name"
        assert times <= 1 + sum(lost[key, mark] for key in set(again))
    assert len(siem.counts) + len(dead) == count
