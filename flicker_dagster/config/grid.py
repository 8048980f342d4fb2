"""The grid of a stream's windows: what decides how long they are and where the first of them is."""

from __future__ import annotations

from dataclasses import dataclass

from flicker_dagster.config.groups import WindowConfig


@dataclass(frozen=True)
class Grid:
    """See the module. The state under the stream's `name`, or under the one it was `renamed_from`, tells where collection
    began; where it has not, `start_from` does."""

    name: str
    renamed_from: str | None
    windows: WindowConfig
    retention_ms: int | None
    start_from: str
