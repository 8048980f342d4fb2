"""`make bench`: everything but `big`; `make bench ONLY=hot,big EVENTS=200000 ROUNDS=3`.

Results are kept by case in `results.json`; `--markdown` prints all of them as the README's table. With several rounds
every round measures each case once, so that cases are compared over the same noise, and the median is shown.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.destinations import destinations, lanes
from bench.fleet import fleet, latency
from bench.hard import hard
from bench.hot import big, hot, idle, sweep
from bench.measure import Row
from bench.rivals import peers
from bench.runs import runs

CASES = {
    "hot": hot, "sweep": sweep, "idle": idle, "peers": peers, "runs": runs, "latency": latency, "fleet": fleet,
    "destinations": destinations, "lanes": lanes, "hard": hard, "big": big,
}  # fmt: skip
RESULTS = Path(__file__).parent / "results.json"


@click.command()
@click.option("--only", default="", help="Cases, separated by commas; default all but big.")
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--rounds", default=1, show_default=True, help="Measure so often; the median is shown.")
@click.option("--markdown", is_flag=True, help="Print the last results as Markdown instead of measuring.")
def main(only: str, events: int, rounds: int, markdown: bool) -> None:
    if markdown:
        click.echo(_markdown(row for rows in _kept().values() for row in rows))
        return
    console = Console(width=max(130, Console().width))
    chosen = [name.strip() for name in only.split(",") if name.strip()] or [name for name in CASES if name != "big"]
    unknown = set(chosen) - set(CASES)
    if unknown:
        raise click.UsageError(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    measured: dict[str, list[Row]] = {name: [] for name in CASES if name in chosen}
    for _ in range(rounds):
        for name, rows in measured.items():
            with console.status(f"{name} …"):
                for row in CASES[name](events * 10 if name == "big" else events):
                    rows.append(row)
                    console.print(f"{row.case}: {row.who}: {_figures(row)}", highlight=False)
    results = {name: _medians(rows) for name, rows in measured.items()}
    kept = _kept() | results
    RESULTS.write_text(
        json.dumps({name: [row.as_dict() for row in kept[name]] for name in CASES if name in kept}, indent=1)
    )
    table = Table("case", "who", "figures", "target", title=f"Flicker's benchmarks, {os.cpu_count()} cores")
    for rows in results.values():
        for row in rows:
            table.add_row(row.case, row.who, _figures(row), row.target)
    console.print(table)


def _kept() -> dict[str, list[Row]]:
    """The results so far, by case; those of an older form are forgotten."""
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {name: [Row(**row) for row in rows] for name, rows in found.items()} if isinstance(found, dict) else {}


def _medians(rows: list[Row]) -> list[Row]:
    """One row for all rounds of the same measurement; CPU also from the least to the most."""
    same: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        same.setdefault((row.case, row.who), []).append(row)
    return [_median(each) for each in same.values()]


def _median(rows: list[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    figures: dict[str, float | int | str] = {}
    for name, first in rows[0].figures.items():
        values = [value for row in rows if isinstance(value := row.figures[name], int | float)]
        middle = round(statistics.median(values), 3) if values else first
        figures[name] = int(middle) if isinstance(first, int) else middle
        if name.startswith("CPU") and values:
            figures[f"{name} of {len(values)}"] = f"{min(values)} to {max(values)}"
    return Row(rows[0].case, rows[0].who, figures, rows[0].target)


def _figures(row: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.figures.items())


def _markdown(rows: Iterable[Row]) -> str:
    lines = ["| case | | measured | target |", "|---|---|---|---|"]
    lines += [f"| {row.case} | {row.who} | {_figures(row)} | {row.target} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
