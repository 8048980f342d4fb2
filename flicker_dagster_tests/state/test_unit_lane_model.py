"""Lanes of a unit against a model of them: a lane says what was written down and nothing else."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.lots import Receipt
from flicker_dagster_tests.state.builders import T0_MS, digests, lot, settled, state
from flicker_dagster_tests.state.units import begun, pending, settle_all, spool_of, unit_of

Step = Callable[["Model"], None]

LANES = ("siem", "lake")


class Model:
    """What a unit must say, kept in memory: an event is settled, under a receipt or free, by lane, lot and place."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sizes: list[int] = []
        self.settled: dict[str, set[tuple[int, int]]] = {name: set() for name in LANES}
        self.received: dict[str, dict[tuple[int, tuple[int, ...]], str]] = {name: {} for name in LANES}
        self.cuts: dict[str, set[tuple[int, int]]] = {name: set() for name in LANES}
        self.reopen()

    def reopen(self) -> None:
        self.unit = spool_of(self.directory, required=LANES).unit("live")

    def append(self, size: int) -> None:
        self.unit.append([lot(f"l{len(self.sizes)}", events=size)], state(1, 2))
        self.sizes.append(size)

    def parts(self, lane: str) -> list[tuple[int, list[int]]]:
        """What must be handed out."""
        found = []
        for seq, size in enumerate(self.sizes):
            taken = {place for s, places in self.received[lane] if s == seq for place in places}
            edges = [0, *sorted(place for s, place in self.cuts[lane] if s == seq and 0 < place < size), size]
            for start, stop in itertools.pairwise(edges):
                free = [p for p in range(start, stop) if (seq, p) not in self.settled[lane] and p not in taken]
                found += [(seq, free)] if free else []
        return found

    def check(self) -> None:
        for name in LANES:
            lane = self.unit.lane(name)
            assert [(each.seq, list(each.places)) for each in lane.pending()] == self.parts(name)
            waiting = sum(self.sizes) - len(self.settled[name])
            assert (lane.waiting_events, self.unit.waiting_of(name).events) == (waiting, waiting)
            done = {
                seq for seq, size in enumerate(self.sizes) if all((seq, p) in self.settled[name] for p in range(size))
            }
            assert lane.waiting_lots == len(self.sizes) - len(done)
            awaiting = {(each.lot.seq, tuple(each.lot.places)): each.receipt.token for each in lane.awaiting()}
            assert awaiting == self.received[name]
            assert lane.awaiting_events == sum(len(places) for _, places in awaiting)
            names = [f"l{seq}/{place}" for seq, place in sorted(self.settled[name])]
            assert b"".join(lane.settled_digests().values()) == digests(names)


@st.composite
def steps(draw: st.DrawFn) -> tuple[str, str, int, list[int]]:
    kind = draw(st.sampled_from(["append", "settle", "cut", "receive", "confirm", "expire", "reopen"]))
    picks = draw(st.lists(st.integers(0, 5), min_size=1, max_size=6, unique=True))
    return kind, draw(st.sampled_from(LANES)), draw(st.integers(0, 9)), sorted(picks)


def play(model: Model, kind: str, name: str, which: int, picks: list[int]) -> None:
    lane, parts, awaiting = model.unit.lane(name), pending(model.unit, name), model.unit.lane(name).awaiting()
    if kind == "append":
        model.append(picks[-1] + 1)
    elif kind == "reopen":
        model.reopen()
    elif kind in ("confirm", "expire") and awaiting:
        each = awaiting[which % len(awaiting)]
        del model.received[name][each.lot.seq, tuple(each.lot.places)]
        if kind == "expire":
            lane.expire(each.lot)
        else:
            lane.settle(each.lot, settled(each.lot))
            model.settled[name] |= {(each.lot.seq, place) for place in each.lot.places}
    elif kind in ("settle", "receive", "cut") and parts:
        each = parts[which % len(parts)]
        part = each.part([i for i in picks if i < len(each)] or [0])
        if kind == "cut":
            lane.cut(each, part.places[-1])
            model.cuts[name].add((each.seq, part.places[-1]))
        elif kind == "settle":
            lane.settle(part, settled(part))
            model.settled[name] |= {(part.seq, place) for place in part.places}
        else:
            token = f"r{which}"
            lane.receive(part, Receipt(token, 1, 60), at_ms=T0_MS)
            model.received[name][part.seq, tuple(part.places)] = token


@pytest.mark.fuzz
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.lists(steps(), max_size=25))
def test_a_lane_says_what_was_written_down_and_nothing_else(
    sizes: list[int], script: list[tuple[str, str, int, list[int]]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model = Model(Path(directory))
        for size in sizes:
            model.append(size)
        for step in script:
            play(model, *step)
            model.check()
        model.reopen()
        model.check()


def test_everything_settled_by_all_lanes_can_be_cleared(tmp_path: Path) -> None:
    unit = begun(tmp_path, required=("",))
    settle_all(unit)
    unit.clear(state(2, 2))
    assert unit_of(tmp_path, required=("",)).digests() == {}
