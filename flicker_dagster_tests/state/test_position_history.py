from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state.position_history import MAX_POSITIONS, PositionHistory
from flicker_dagster.state.stores import ANYTHING, LocalStore
from flicker_dagster_tests.state.builders import at

HOUR_S = 3600


def test_old_positions_are_thinned_to_one_an_hour_and_fifty_in_all(tmp_path: Path) -> None:
    now_s = [0.0]
    history = PositionHistory(LocalStore(tmp_path), clock=lambda: now_s[0])
    for step in range(400):
        now_s[0] = step * HOUR_S / 4
        history.add("okta", None, at(step % 60, str(step)))
    kept = history.read("okta")
    assert len(kept) == MAX_POSITIONS
    assert [int(saved.position.cursor or 0) for saved in kept[:20]] == list(range(399, 379, -1))
    assert [saved.saved_at_ms // 3_600_000 for saved in kept[20:]] == list(range(94, 64, -1))


def test_a_position_whose_saving_was_interrupted_is_added_later(tmp_path: Path) -> None:
    history = PositionHistory(LocalStore(tmp_path), clock=lambda: 1.0)
    history.add("okta", None, at(1))
    history.add("okta", at(2), at(3))
    history.add("okta", at(3), at(4))
    assert [saved.position for saved in history.read("okta")] == [at(4), at(3), at(2), at(1)]


def test_a_damaged_history_is_named(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.write("positions/okta.json", b"[{", expected=ANYTHING)
    with pytest.raises(StateError, match=r"positions/okta\.json is damaged"):
        PositionHistory(store).read("okta")
