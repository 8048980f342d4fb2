"""`docs/conformance.md`, made from the marks: `python -m flicker_dagster_tests.conformance.page docs/conformance.md`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import flicker_dagster_tests.conformance as package
from flicker_dagster_tests.conformance.rows import ALL, Row

INTRODUCTION = """# Conformance: every way the rivals fail, and what Flicker does instead

Each row is a documented way in which another collector (or, in the rows `case-…`, an earlier Flicker) loses events, repeats
them, or stops. Each has a test that feeds the input which breaks that collector and asserts that every event arrives exactly
once, or the honest equivalent that the last column names. `make test` runs them all. This page is made from the tests
(`make conformance`).

| row | what breaks the rival | test | what Flicker does |
|---|---|---|---|
"""


def load() -> None:
    """Import every test module of this folder, which fills `ALL`."""
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("test_"):
            importlib.import_module(f"{package.__name__}.{module.name}")


def page() -> str:
    load()
    lines = [
        f"| {found.key} | {found.fault} | {'<br>'.join(f'`{test}`' for test in found.tests)} | {found.behaviour} |"
        for found in sorted(ALL.values(), key=_order)
    ]
    return INTRODUCTION + "\n".join(lines) + "\n"


#: The order of the page, by the sheets' names.
SHEETS = ("flicker", "helr", "grove", "peers-fault", "peers", "case")


def _order(found: Row) -> tuple[int, int, str]:
    """Rows of a sheet by their number; field reports (`case-…`) have names."""
    sheet, _, number = found.key.rpartition("-")
    return (SHEETS.index(sheet), int(number), "") if number.isdigit() else (SHEETS.index("case"), 0, found.key)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
