"""Everything one source needs for a unit of work, opened when first used and closed together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.collect.event_fields import EventFields
from flicker_dagster.collect.filters import EventFilter
from flicker_dagster.collect.shape import shape_of
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.deliver.cutting import LotCutter
from flicker_dagster.lazy import lazy
from flicker_dagster.pipeline.lane_places import places_of
from flicker_dagster.pipeline.lanes import LaneWork
from flicker_dagster.pipeline.windows import DAY_MS
from flicker_dagster.state.exclusive import Clocks, exclusive_run
from flicker_dagster.state.fencing import Fence
from flicker_dagster.state.fetched_objects import FetchedObjects
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.leases import since_boot_s
from flicker_dagster.state.position_history import PositionHistory
from flicker_dagster.state.registry import Registry
from flicker_dagster.state.rewinds import Rewinds
from flicker_dagster.state.spool import SourceSpool, SpoolUnit
from flicker_dagster.state.walk_notes import WalkNotebook
from flicker_dagster.times import parse_time_ms, start_from_ms
from flicker_dagster.types import Position

#: The spool's unit of live collection; every other unit is a window's key.
LIVE = "live"

#: Bytes of a lot where no destination says what it wants, and at most.
LOT_BYTES = 1_000_000
MOST_LOT_BYTES = 16_000_000


#: For half so long at least an object that was fetched is remembered.
OBJECTS_KEPT_MS = 35 * DAY_MS


class SourceWork:
    """A stream with its vendor client, lanes and state.

    Opening is lazy: a probe opens no destination, a delivery asks the vendor nothing. `env` stands for the process
    environment where secrets are resolved; `clock` gives seconds since the epoch, `elapsed` those of a clock that nobody
    sets, `sleep` waits.
    """

    def __init__(
        self,
        source: SourceConfig,
        layout: StateLayout,
        *,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        elapsed: Callable[[], float] = since_boot_s,
    ) -> None:
        self.source = source
        self.fence = Fence()
        self.layout = layout.fenced(self.fence)
        self.env = env
        self.clock = clock
        self.sleep = sleep
        self.elapsed = elapsed
        self._unfenced = layout

    @contextmanager
    def exclusive(self, *, wait_s: float = 0, stream: str | None = None) -> Iterator[None]:
        """Be the only run of this stream (or of another one of the state), here and on all machines; see `exclusive_run`.

        From then on everything that this work writes to the state is refused once the lease is lost. What is in memory of
        the ledgers is forgotten: others may have delivered since.
        """
        spool = self.spool if stream in (None, self.source.name) else self.layout.spool(stream or "")
        clocks = Clocks(self.clock, self.elapsed, self.sleep)
        with exclusive_run(self._unfenced, spool, fence=self.fence, wait_s=wait_s, clocks=clocks):
            for lane in self.__dict__.get("lanes", ()):
                lane.ledger.refresh()
            yield

    @lazy
    def client(self) -> VendorClient:
        return VendorClient(
            self.source,
            env=self.env,
            clock=self.clock,
            sleep=self.sleep,
            tokens=self.layout.account_tokens(self.source.earlier_vendor_keys),
            quota_book=self._unfenced.quota_book(self.source.vendor_key),
        )

    @lazy
    def state_id(self) -> str:
        """See `StateLayout.state_id`. Raises StateError."""
        return self.layout.state_id()

    @lazy
    def registry(self) -> Registry:
        return self.layout.registry()

    @lazy
    def history(self) -> PositionHistory:
        return self.layout.history()

    @lazy
    def rewinds(self) -> Rewinds:
        return self.layout.rewinds(self.source.name)

    @lazy
    def walk_notes(self) -> WalkNotebook:
        return self.layout.walk_notes(self.source.name)

    @lazy
    def shape(self) -> str:
        """The fingerprint of what shapes this source's walks. Raises SecretUnset."""
        return shape_of(self.source, self.env)

    def names_next_pages(self) -> bool:
        """Has an answer under this configuration held what names the next page? Raises SecretUnset, StateError."""
        return self.walk_notes.read().paging_shape == self.shape

    @lazy
    def lanes(self) -> list[LaneWork]:
        """The lanes of all destinations, in their order in the file. A lane that is new is written down. Raises
        StateError."""
        return self._open_lanes(note=True)

    def lanes_to_look_at(self) -> list[LaneWork]:
        """The same for who only reads: nothing is written down. Raises StateError."""
        return self._open_lanes(note=False)

    def _open_lanes(self, *, note: bool) -> list[LaneWork]:
        source = self.source
        stands = None if "" in source.lanes else self.registry.position(source.name)
        begun = stands is not None and stands.last_timestamp is not None
        since = {name: self._lane_start_ms(record.start_from, stands) for name, record in source.lanes.items()}
        places = places_of(source.name, source.lanes, self.layout, begun=begun, since_ms=since, note=note)
        return [
            LaneWork(
                source,
                name,
                record,
                places[name],
                self.layout,
                spool_directory=self.spool.directory,
                env=self.env,
                clock=self.clock,
            )
            for name, record in source.lanes.items()
        ]

    def _lane_start_ms(self, start_from: str, stands: Position | None) -> int | None:
        """Where a lane begins that is added to a stream that is collected already: `now` is where collection stands."""
        if start_from != "now":
            return start_from_ms(start_from, self.now_ms())
        return None if stands is None or stands.last_timestamp is None else parse_time_ms(stands.last_timestamp)

    @lazy
    def spool(self) -> SourceSpool:
        lanes = self.source.lanes
        return self.layout.spool(
            self.source.name,
            required=[name for name, record in lanes.items() if record.required],
            optional=[name for name, record in lanes.items() if not record.required],
            cap_bytes=self.source.limits.spool_bytes,
            time_of=lambda event: EventFields(self.source.listing.rows).time_ms(event),
        )

    def objects(self, *, again_in: SpoolUnit | None = None, began_ms: int | None = None) -> FetchedObjects | None:
        """The objects that were fetched already, of a stream that lists such. With `again_in` those alone that the walk of
        this unit fetched that began then, for one that is to fetch all of them again. Raises SecretUnset."""
        if self.source.listing.each is None:
            return None
        if again_in is not None:
            return FetchedObjects(again_in.directory, f"{self.shape} {began_ms}", keep_since_ms=0)
        keep_ms = 2 * max(self.source.retention_ms or 0, OBJECTS_KEPT_MS)
        return FetchedObjects(self.spool.directory, self.shape, keep_since_ms=self.now_ms() - keep_ms)

    @property
    def live(self) -> SpoolUnit:
        return self.spool.unit(LIVE)

    def new_cutter(self) -> LotCutter:
        """Cuts events into lots: as large as the largest request of any lane, so that most are sent as they are."""
        sizes = [getattr(record, "max_batch_bytes", LOT_BYTES) for record in self.source.lanes.values()]
        return LotCutter(
            source_name=self.source.name,
            max_events=self.source.buffer_size,
            max_bytes=min(max(sizes), MOST_LOT_BYTES),
            now_ms=self.now_ms,
        )

    def new_filter(self) -> EventFilter:
        source = self.source
        return EventFilter(source.match_on, source.exclude_on, source=source.name)

    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    def close(self) -> None:
        """Close what was opened; harmless to call twice."""
        client = self.__dict__.pop("client", None)
        if client is not None:
            client.close()
        for lane in self.__dict__.pop("lanes", ()):
            lane.close()

    def __enter__(self) -> SourceWork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
