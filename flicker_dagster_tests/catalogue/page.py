"""`docs/vendors/README.md`: all vendors, and what of each is run here against its dialect.

`python -m flicker_dagster_tests.catalogue.page docs/vendors/README.md` renews it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flicker_dagster.config.markdown import page_of, table
from flicker_dagster.config.vendor_pages import vendor_table
from flicker_dagster.config.vendors import left_out, presets
from flicker_dagster.deliver.normalise.tables import vendors
from flicker_dagster_tests.catalogue.rows import ROWS
from flicker_dagster_tests.catalogue.test_matrix import cells


def page() -> str:
    return page_of(
        "# Vendors",
        "Audit logs that are collected by name: `vendor: NAME`, what it is told (`params`), a destination. `flicker vendors` "
        "lists them, `flicker vendors show NAME` says what to create there, `flicker add NAME` asks, writes and tests. An "
        "API that is not among them is described by hand, which `flicker infer URL` begins "
        "([vocabulary](../vocabulary.md)), or [by a preset of your own](../adding-a-vendor.md).",
        vendor_table(),
        "*Retention* is how long the vendor has events; *lag*, how long a window is left for late ones before it is "
        "verified; *axis*, what the API lists by: when events happened, or when they arrived.",
        "## Whose events are recognised",
        "With `normalise: ecs` or `ocsf` an event of these vendors is what [its type says](../destinations/normalise.md); of "
        "all others it is API activity, under its own type: "
        + ", ".join(f"[`{name}`]({name}.md)" for name in sorted(vendors()))
        + ".",
        "## Left out",
        table(
            ["vendor", "why, and what there is instead"],
            [[name, " ".join(why.split())] for name, why in left_out().items()],
        ),
        "## What is run",
        "Each vendor has a dialect, a simulated API that was written from its documentation and refuses what the real one "
        "refuses. `make test` collects from it in each of these rows, and in the end every event has arrived once:",
        table(["row", "what happens"], [[f"`{row}`", _said(row)] for row in ROWS]),
        "The numbers are streams of the vendor that are run in a row; `·` marks what its API cannot do.",
        matrix(),
    )


def matrix() -> str:
    ran = cells()
    rows = []
    for name in sorted(presets()):
        counts = [sum(1 for vendor, _, row in ran if (vendor, row) == (name, each)) for each in ROWS]
        if any(counts):
            rows.append([f"[`{name}`]({name}.md)", *[str(count) if count else "·" for count in counts]])
    return table(["vendor", *ROWS], rows)


def _said(row: str) -> str:
    words = " ".join((ROWS[row][0].__doc__ or "").split())
    return words.rstrip(".")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
