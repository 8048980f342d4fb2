"""`make simulate SEEDS=10000 FIRST=1`: so many seeds from the first on, on all cores. A seed that fails is made shorter and
printed with its trace; `--replay SEED` plays one alone."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from flicker_dagster_tests.simulation.shrink import failure_of, shortest
from flicker_dagster_tests.simulation.steps import Menu, script_of

PORTION = 100


def run(first: int, count: int, menu: Menu) -> list[tuple[int, str]]:
    """Seeds that fail, with the law they break."""
    found = []
    for seed in range(first, first + count):
        why = failure_of(script_of(seed, menu))
        if why is not None:
            found.append((seed, why))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--replay", type=int, metavar="SEED", help="play this seed alone and print all it does")
    parser.add_argument("--without", action="append", default=[], choices=["machines", "partial", "formats", "lanes"])
    given = parser.parse_args()
    menu = Menu(**dict.fromkeys(given.without, False))
    if given.replay is not None:
        why = failure_of(script_of(given.replay, menu), trace=print)
        print(why or "all laws hold")
        return 1 if why else 0
    began_s, failed = time.monotonic(), []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        starts = range(given.first, given.first + given.seeds, PORTION)
        counts = [min(PORTION, given.first + given.seeds - start) for start in starts]
        for number, found in enumerate(pool.map(run, starts, counts, [menu] * len(counts)), start=1):
            failed += found
            print(f"\r{min(number * PORTION, given.seeds)} seeds, {len(failed)} fail", end="", file=sys.stderr)
    print(f"\n{given.seeds} seeds in {time.monotonic() - began_s:.0f} s: {len(failed)} fail", file=sys.stderr)
    kinds: dict[str, list[int]] = {}
    for seed, why in failed:
        kinds.setdefault(why.split(":")[0], []).append(seed)
    for kind, seeds in kinds.items():
        print(f"\n{kind}: seeds {', '.join(map(str, seeds[:20]))}{' …' if len(seeds) > 20 else ''}")
        print(shortest(script_of(seeds[0], menu)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
