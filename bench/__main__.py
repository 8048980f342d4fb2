"""`make bench`: everything but `big`; `make bench ONLY=hot,big EVENTS=200000`; `--markdown` prints the README's table."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.fleet import fleet, latency
from bench.hot import big, hot, idle
from bench.measure import Row
from bench.rivals import peers
from bench.runs import runs

CASES = {
    "hot": hot, "idle": idle, "peers": peers, "runs": runs, "latency": latency, "fleet": fleet, "big": big,
}  # fmt: skip
RESULTS = Path(__file__).parent / "results.json"


@click.command()
@click.option("--only", default="", help="Cases, separated by commas; default all but big.")
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--markdown", is_flag=True, help="Print the last results as Markdown instead of measuring.")
def main(only: str, events: int, markdown: bool) -> None:
    if markdown:
        click.echo(_markdown([Row(**each) for each in json.loads(RESULTS.read_text())]))
        return
    console = Console(width=max(130, Console().width))
    chosen = [name.strip() for name in only.split(",") if name.strip()] or [name for name in CASES if name != "big"]
    unknown = set(chosen) - set(CASES)
    if unknown:
        raise click.UsageError(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    rows: list[Row] = []
    for name in chosen:
        with console.status(f"{name} …"):
            for row in CASES[name](events * 10 if name == "big" else events):
                rows.append(row)
                console.print(f"{row.case}: {row.who}: {_figures(row)}", highlight=False)
    RESULTS.write_text(json.dumps([row.as_dict() for row in rows], indent=1))
    table = Table("case", "who", "figures", "target", title=f"Flicker's benchmarks, {os.cpu_count()} cores")
    for row in rows:
        table.add_row(row.case, row.who, _figures(row), row.target)
    console.print(table)


def _figures(row: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.figures.items())


def _markdown(rows: list[Row]) -> str:
    lines = ["| case | | measured | target |", "|---|---|---|---|"]
    lines += [f"| {row.case} | {row.who} | {_figures(row)} | {row.target} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
