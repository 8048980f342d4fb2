"""Every row has its test, and the page is current."""

from __future__ import annotations

from pathlib import Path

import flicker_dagster
from flicker_dagster_tests.conformance.page import load, page
from flicker_dagster_tests.conformance.rows import ALL

PAGE = Path(flicker_dagster.__file__).parent.parent / "docs" / "conformance.md"


def test_every_row_has_a_test() -> None:
    load()
    assert [key for key, found in ALL.items() if not found.tests] == []


def test_every_row_of_grove_and_the_peers_is_announced() -> None:
    load()
    expected = [("grove", 14), ("peers-fault", 7), ("peers", 25)]
    assert [f"{name}-{n}" for name, most in expected for n in range(1, most + 1) if f"{name}-{n}" not in ALL] == []


def test_every_row_of_flicker_and_helr_is_announced() -> None:
    load()
    expected = [("flicker", 48), ("helr", 16)]
    assert [f"{name}-{n}" for name, most in expected for n in range(1, most + 1) if f"{name}-{n}" not in ALL] == []


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `make conformance`"
