"""The seeded simulation, and that it would see what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from flicker_dagster.deliver.destinations.http import Http
from flicker_dagster.deliver.outcomes import Delivered
from flicker_dagster.pipeline.intake import Known
from flicker_dagster.state.ledger import Ledger
from flicker_dagster.state.registry import Registry
from flicker_dagster.state.unit_lane import UnitLane
from flicker_dagster_tests.simulation.shrink import failure_of, shortest
from flicker_dagster_tests.simulation.steps import Menu, script_of

PROMISED = Menu()

SEEDS = 500
PORTION = 50

#: From here on the rarest of the planted defects is soon found.
FIRST_PLANTED = 41


@pytest.mark.parametrize("first", range(1, SEEDS + 1, PORTION))
def test_every_law_holds_in_every_world(first: int) -> None:
    failed = [seed for seed in range(first, first + PORTION) if failure_of(script_of(seed, PROMISED))]
    assert not failed, f"seeds {failed}; the first:\n{shortest(script_of(failed[0], PROMISED))}"


@pytest.mark.parametrize("seed", [3432, 3779, 3966, 6074, 7953, 8536])
def test_every_law_holds_in_worlds_that_broke_one_before(seed: int) -> None:
    assert failure_of(script_of(seed, PROMISED)) is None


def test_a_seed_is_played_the_same_way_again() -> None:
    first: list[str] = []
    again: list[str] = []
    failure_of(script_of(7, Menu()), trace=first.append)
    failure_of(script_of(7, Menu()), trace=again.append)
    assert first == again
    assert len(first) > 10


def _nothing(*_: Any, **__: Any) -> None:
    return


PLANTED: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "an answer is not waited for": (Http, "send", lambda *_: Delivered("HTTP 200 OK"), "nothing_lost"),
    "acknowledgements are not heeded": (UnitLane, "settle", _nothing, "liveness"),
    "the ledger is not told of deliveries": (Ledger, "add", lambda *_: set(), "nothing_twice"),
    "nothing counts as delivered before": (
        Known,
        "unknown",
        lambda _self, _shard, digests, _times: list(range(len(digests))),
        "liveness",
    ),
    "positions are not saved": (Registry, "commit", lambda _self, _name, new, *, seen: new, "state_agrees"),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_defect_is_found_within_a_few_seeds(planted: tuple[Any, str, Callable[..., Any], str]) -> None:
    target, name, defect, law = planted
    with patch.object(target, name, defect):
        found = (failure_of(script_of(seed, PROMISED)) for seed in range(FIRST_PLANTED, FIRST_PLANTED + 60))
        assert any(why is not None and why.startswith(law) for why in found)


@pytest.mark.parametrize("kind", ["machines", "partial", "formats", "lanes"])
def test_each_kind_of_trouble_is_in_reach_of_the_scripts(kind: str) -> None:
    """Scripts with that kind of trouble differ from those without it, so that it is tried."""
    without = Menu(**{kind: False})
    assert any(script_of(seed, Menu()) != script_of(seed, without) for seed in range(1, 30))
