"""A whole `config.yaml`: its sources, what stands at the top of it, and where each path is written."""

from __future__ import annotations

from pydantic import Field

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.models import SourceConfig, nearest_line
from flicker_dagster.config.records import DAY_MS, Milliseconds, Record

#: A namespace that can be told apart from what follows it in a name of Dagster's, where `__` stands between the two.
NAMESPACE_PATTERN = r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*"
LONGEST_NAMESPACE = 40

#: Top-level keys that say for how long something is kept.
RETENTIONS = ("ledger_retention_ms", "run_retention_ms", "failed_run_retention_ms")


class Overrule(Record):
    """A key of the user's file that the vendor preset replaced, and why."""

    source: str
    key: str
    line: int
    why: str


class FlickerConfig(Record):
    """A whole `config.yaml`, presets merged, still holding unresolved templates."""

    path: str
    sources: list[SourceConfig]
    destinations: dict[str, DestinationRecord] = Field(
        default_factory=dict, repr=False, description="destinations by name, for sources that name theirs"
    )
    namespace: str = Field(default="", description="prefix of all Dagster names of this configuration")
    ledger_retention_ms: Milliseconds = Field(
        default=35 * DAY_MS, description="how long ids of delivered events are kept; longer while a sweep may meet them"
    )
    run_retention_ms: Milliseconds = Field(
        default=7 * DAY_MS, description="how long successful runs are kept, with their logs and files"
    )
    failed_run_retention_ms: Milliseconds = Field(
        default=30 * DAY_MS, description="how long failed and cancelled runs are kept"
    )
    overruled: list[Overrule] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    lines: dict[str, int] = Field(default_factory=dict, repr=False, description="line of each path in the file")

    def line_of(self, path: str) -> int:
        """The line where a path such as `api_sources[0].headers` stands, or that of the nearest path around it."""
        return nearest_line(self.lines, path)

    def source(self, name: str) -> SourceConfig:
        """The source of that name. Raises KeyError."""
        return next(s for s in self.sources if s.name == name)
