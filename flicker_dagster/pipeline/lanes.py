"""A stream's lanes with their state: destination, ledger, dead letters, health."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.masking import Masker
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.written import siem_credentials
from flicker_dagster.deliver.destination import Destination, LaneContext, open_destination
from flicker_dagster.lazy import lazy
from flicker_dagster.pipeline.lane_places import fingerprint
from flicker_dagster.state.dead_letters import DeadLetters
from flicker_dagster.state.lane_book import LanePlace
from flicker_dagster.state.lane_health import LaneHealthFile
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.ledger import Ledger
from flicker_dagster.transport.tokens import MemoryTokens
from flicker_dagster.types import DeadLetter


class LaneWork:
    """One destination's way out of a stream, opened when first used. `name` is empty where it is the only one."""

    def __init__(
        self,
        source: SourceConfig,
        name: str,
        record: DestinationRecord,
        place: LanePlace,
        layout: StateLayout,
        *,
        spool_directory: Path,
        env: Mapping[str, str] | None,
        clock: Callable[[], float],
    ) -> None:
        self.source = source
        self.name = name
        self.record = record
        self.since_ms = place.since_ms
        self.storage = place.storage
        self._layout = layout
        self._env = env
        self._clock = clock
        self.health = LaneHealthFile(spool_directory, name)

    @property
    def required(self) -> bool:
        """Does the position wait for it?"""
        return self.record.required

    @lazy
    def configured_as(self) -> str:
        """A fingerprint of the destination's record."""
        return fingerprint(self.record)

    @lazy
    def ledger(self) -> Ledger:
        return self._layout.ledger(self.source.name, self.storage)

    @lazy
    def dead_letters(self) -> DeadLetters:
        return self._layout.dead_letters(self.source.name, self.storage)

    @lazy
    def destination(self) -> Destination:
        """Connects to nothing yet and resolves no secret that is not masked."""
        return open_lane(self.source, self.name, env=self._env, clock=self._clock, layout=self._layout)

    def set_aside(self, shard: str, letters: list[DeadLetter]) -> None:
        """Keep events that can never be sent. In this order: killed in between, the same events make the same letters
        again. Raises StateError."""
        where = self.destination.describe()
        self.dead_letters.add([_at(letter, where) for letter in letters])
        self.ledger.add({shard: b"".join(bytes.fromhex(letter.digest) for letter in letters)})

    def close(self) -> None:
        opened = self.__dict__.pop("destination", None)
        if opened is not None:
            opened.close()


def open_lane(
    source: SourceConfig,
    name: str,
    *,
    env: Mapping[str, str] | None,
    clock: Callable[[], float],
    layout: StateLayout | None,
    called: str | None = None,
) -> Destination:
    """The destination of one of a source's lanes; without a `layout` its tokens are kept for this process only. What it is
    `called` instead of its name keeps it apart from a run's at a destination that lets one of a name in at a time."""
    record = source.lanes[name]
    context = LaneContext(
        stream=source.name,
        lane=name if called is None else called,
        vendor=source.vendor,
        message_field=source.message_field,
        event_fields=source.listing.rows.event_members,
        credentials=lambda: siem_credentials(source, name),
        masker=Masker.for_source(source, env),
        env=os.environ if env is None else env,
        clock=clock,
        tokens=MemoryTokens() if layout is None else layout.tokens(),
    )
    return open_destination(record, context)


def _at(letter: DeadLetter, where: str) -> DeadLetter:
    return DeadLetter(**{**{name: getattr(letter, name) for name in letter.__struct_fields__}, "destination": where})
