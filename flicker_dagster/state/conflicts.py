"""Trying a conditional write again after somebody else was faster."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from flicker_dagster.errors import WriteConflict

MAX_TRIES = 20
FIRST_DELAY_S = 0.01
LONGEST_DELAY_S = 1.0


def attempts(what: str, *, tries: int = MAX_TRIES) -> Iterator[int]:
    """Yield 0, 1, 2 …, waiting a random and growing time in between.

    For read-merge-write loops that leave by `return`. Raises WriteConflict when the tries are used up.
    """
    for number in range(tries):
        if number:
            # Jitter over the whole span: writers that collided once must not collide again in step.
            time.sleep(random.uniform(0, min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**number)))
        yield number
    raise WriteConflict(
        f"{what} was changed by other writers {tries} times in a row; nothing was written, the next run tries again"
    )
