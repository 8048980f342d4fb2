"""`python -m flicker_dagster_tests.chaos --seed 7 --duration 300`; exit 0 only if nothing was lost or came twice."""

from __future__ import annotations

import sys

import click

from flicker_dagster_tests.chaos.plan import draw
from flicker_dagster_tests.chaos.run import run_chaos


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same plan of kills and outages.")
@click.option("--duration", default=120, show_default=True, help="Seconds with faults; draining comes on top.")
@click.option("--rate", default=4.0, show_default=True, help="Events per second at each vendor.")
def main(seed: int, duration: int, rate: float) -> None:
    """Chaos for a while, then a table."""
    sys.exit(0 if run_chaos(draw(seed, duration), rate=rate) else 1)


main()
