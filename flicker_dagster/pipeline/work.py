"""Everything one source needs for a unit of work, opened when first used and closed together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from types import TracebackType

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.collect.shape import shape_of
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.deliver.batching import Batcher
from flicker_dagster.deliver.old_destinations import Destination, open_destination
from flicker_dagster.state.dead_letters import DeadLetters
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.ledger import Ledger
from flicker_dagster.state.position_history import PositionHistory
from flicker_dagster.state.registry import Registry
from flicker_dagster.state.rewinds import Rewinds
from flicker_dagster.state.spool import SourceSpool, SpoolUnit
from flicker_dagster.state.walk_notes import WalkNotebook

#: The spool's unit of live collection; every other unit is a window's key.
LIVE = "live"


class SourceWork:
    """A source with its vendor client, destination and state.

    Opening is lazy: a probe opens no destination, a delivery asks the vendor nothing. `env` stands for the process
    environment where secrets are resolved; `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        source: SourceConfig,
        layout: StateLayout,
        *,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.source = source
        self.layout = layout
        self.env = env
        self.clock = clock

    @cached_property
    def client(self) -> VendorClient:
        return VendorClient(self.source, env=self.env)

    @cached_property
    def destination(self) -> Destination:
        return open_destination(self.source, env=self.env)

    @cached_property
    def state_id(self) -> str:
        """See `StateLayout.state_id`. Raises StateError."""
        return self.layout.state_id()

    @cached_property
    def registry(self) -> Registry:
        return self.layout.registry()

    @cached_property
    def history(self) -> PositionHistory:
        return self.layout.history()

    @cached_property
    def rewinds(self) -> Rewinds:
        return self.layout.rewinds(self.source.name)

    @cached_property
    def walk_notes(self) -> WalkNotebook:
        return self.layout.walk_notes(self.source.name)

    @cached_property
    def shape(self) -> str:
        """The fingerprint of what shapes this source's walks. Raises SecretUnset."""
        return shape_of(self.source, self.env)

    def names_next_pages(self) -> bool:
        """Has an answer under this configuration held what names the next page? Raises SecretUnset, StateError."""
        return self.walk_notes.read().paging_shape == self.shape

    @cached_property
    def ledger(self) -> Ledger:
        return self.layout.ledger(self.source.name)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        return self.layout.dead_letters(self.source.name)

    @cached_property
    def spool(self) -> SourceSpool:
        return self.layout.spool(self.source.name, cap_bytes=self.source.limits.spool_bytes)

    @property
    def live(self) -> SpoolUnit:
        return self.spool.unit(LIVE)

    def new_batcher(self) -> Batcher:
        """Cuts events into batches as this source's destination wants them."""
        return Batcher(
            source_name=self.source.name,
            encode=self.destination.encode,
            content_type=self.destination.content_type,
            max_events=self.source.buffer_size,
            max_bytes=self.destination.max_batch_bytes,
        )

    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    def close(self) -> None:
        """Close what was opened; harmless to call twice."""
        for name in ("client", "destination"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()

    def __enter__(self) -> SourceWork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
