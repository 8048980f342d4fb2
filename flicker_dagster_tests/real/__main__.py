"""`python -m flicker_dagster_tests.real [NAME…]`: build what is missing, one line for each receiver."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from flicker_dagster_tests.real import collector, kafka, object_stores, opensearch, victorialogs
from flicker_dagster_tests.real.builds import Build, Unavailable

#: The longest first.
BUILDS = {each.BUILD.name: each.BUILD for each in (collector, victorialogs, opensearch, kafka, object_stores)}

#: Maven waits for the network while Go computes.
AT_A_TIME = 2


def _prepared(build: Build) -> str:
    began_s = time.monotonic()
    try:
        build.prepare()
    except Unavailable as why:
        return f"left out   {why}"
    return f"ready      {build.name} {build.version} ({time.monotonic() - began_s:.0f} s)"


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - BUILDS.keys())
    if unknown:
        print(f"{', '.join(unknown)}: no such receiver, expected some of {', '.join(BUILDS)}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        for line in threads.map(_prepared, [BUILDS[name] for name in names or BUILDS]):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
