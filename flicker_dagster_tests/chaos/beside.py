"""Two further destinations of every source, of other kinds than the SIEM: an index and a file. Both promise each event once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from flicker_dagster.cli.demo import VENDORS
from flicker_dagster.simulator.receiver import ID_FIELDS
from flicker_dagster.simulator.receivers.elasticsearch import ElasticsearchReceiver
from flicker_dagster.simulator.world import World, is_listed
from flicker_dagster_tests.chaos.verdict import Line


class Beside:
    """`index` is a cluster with faults of its own; files lie in `directory`, one for each source."""

    def __init__(self, directory: Path, *, clock: Callable[[], float]) -> None:
        self.index = ElasticsearchReceiver(clock=clock)
        self.directory = directory
        directory.mkdir()

    def destinations(self, source: str) -> list[dict[str, Any]]:
        """Further entries of the `destination` of a source."""
        return [
            {
                "type": "elasticsearch",
                "name": "index",
                "endpoint": self.index.url,
                "data_stream": {"dataset": VENDORS[source]},
            },
            {"type": "file", "path": f"{self.directory}/{{source}}.ndjson"},
        ]

    def lines(self, world: World) -> list[Line]:
        """What each of them has, source by source."""
        found: list[Line] = []
        for source, vendor in VENDORS.items():
            emitted = {e.id for e in world.vendor(vendor).emitter.emitted() if is_listed(vendor, e.body)}
            found.append(_line(f"{vendor} index", emitted, self._indexed(vendor)))
            found.append(_line(f"{vendor} file", emitted, self._written(source)))
        return found

    def close(self) -> None:
        self.index.close()

    def _indexed(self, vendor: str) -> Counter[str]:
        name = f"logs-{vendor}-default"
        if name not in self.index.state.streams:
            return Counter()
        return Counter(_id_of(json.loads(each["event"]["original"])) for each in self.index.documents(name).values())

    def _written(self, source: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for path in self.directory.glob(f"{source}*.ndjson"):
            for line in path.read_bytes().split(b"\n")[:-1]:  # behind the last one is what is just being written
                found[_id_of(msgspec.json.decode(line))] += 1
        return found


def _id_of(event: dict[str, Any]) -> str:
    return next(str(event[field]) for field in ID_FIELDS if field in event)


def _line(name: str, emitted: set[str], accepted: Counter[str]) -> Line:
    return Line(
        source=name,
        emitted=len(emitted),
        accepted=len(accepted),
        lost=len(emitted - accepted.keys()),
        twice=accepted.total() - len(accepted),
        by_open_arrow=0,
        repeated_batches=0,
    )
