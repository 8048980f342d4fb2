"""Numbers on the command line: within bounds, and none that is no number."""

from __future__ import annotations

from typing import Any

import click


class FiniteRange(click.FloatRange):
    """click's range lets NaN pass, which is neither below nor above anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


PORT = click.IntRange(1, 65_535)
#: 0: whichever is free.
ANY_PORT = click.IntRange(0, 65_535)
#: Events per second.
RATE = FiniteRange(0, 1_000)
SHARE = FiniteRange(0, 1)
#: Hours back from now: ten years.
HISTORY_HOURS = FiniteRange(0, 87_600)
