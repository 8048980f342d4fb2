"""Cursors of simulated vendors are opaque: what was not given out here is none."""

from __future__ import annotations

import base64

import pytest

from flicker_dagster.simulator.listings import cursor_of, place_of


def test_a_cursor_remembers_its_place() -> None:
    assert place_of(cursor_of(before=[1, 2], order="asc")) == {"before": [1, 2], "order": "asc"}


@pytest.mark.parametrize(
    "text", [None, "", "1772442847", "é", "x", base64.urlsafe_b64encode(b'{"before":7}').decode(), cursor_of(a=1)[:-2]]
)
def test_nothing_else_is_a_cursor(text: str | None) -> None:
    assert place_of(text) is None
