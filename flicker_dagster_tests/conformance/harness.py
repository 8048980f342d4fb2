"""A source, a simulated vendor and a SIEM around one pipeline, polled in process; the sensor's part is played here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.layers import lay_beneath
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import presets
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.deliver import LiveReport, WindowReport, deliver_live, deliver_window
from flicker_dagster.pipeline.fetch import FetchReport, fetch_live, fetch_window
from flicker_dagster.pipeline.windows import window_at, window_of_key
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.simulator.plain import Plain, Shape
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.simulator.vendors.okta import PATH, Okta
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.types import DeadLetter, Position


class Clock:
    """A clock that tests set; starts at the real time."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Scene:
    """One source from vendor to SIEM. `cursor` is what the sensor would hold."""

    def __init__(self, vendor: Vendor, siem: Receiver, source: SourceConfig, directory: Path, clock: Clock) -> None:
        self.vendor, self.siem, self.source, self.directory, self.clock = vendor, siem, source, directory, clock
        self.state: Path | str = directory / "state"
        self.cursor: Position | None = None
        self.refusing = False  # does the vendor refuse what rests on an earlier answer? For tests that make it

    @property
    def layout(self) -> StateLayout:
        return StateLayout.of(None, self.state, self.directory / "work")

    def work(self) -> SourceWork:
        """A new process's view: nothing is remembered but what lies on the disk."""
        return SourceWork(self.source, self.layout, clock=self.clock, sleep=self.clock.sleep)

    def emit(self, count: int = 1, *, seconds_ago: float = 1.0, visible_in_s: float | None = None) -> list[str]:
        """Record events so many seconds ago, one ms apart; with `visible_in_s` they are listed only that much later."""
        at_ms = self.clock.now_ms - int(seconds_ago * 1000)
        visible_ms = None if visible_in_s is None else self.clock.now_ms + int(visible_in_s * 1000)
        return [
            event.id
            for number in range(count)
            for event in self.vendor.emitter.emit(1, at_ms=at_ms + number, visible_ms=visible_ms)
        ]

    def fetch(self, *, redeliver: bool = False) -> FetchReport:
        with self.work() as work, work.spool.lock():
            self.cursor = self.cursor or starting_position(work)
            return fetch_live(work, self.cursor, redeliver=redeliver)

    def deliver(self) -> LiveReport:
        with self.work() as work, work.spool.lock():
            report = deliver_live(work)
        self.cursor = report.end
        return report

    def poll(self, **options: Any) -> LiveReport:
        """One live run: fetch, deliver, and the sensor's fold."""
        self.fetch(**options)
        return self.deliver()

    def sweep(self, key: str) -> WindowReport:
        with self.work() as work, work.spool.lock():
            window = window_of_key(self.source.grid, key)
            fetch_window(work, window, fresh=True)
            return deliver_window(work, window)

    def key_of(self, time_ms: int) -> str:
        """The partition key of the window that holds an instant."""
        return window_at(self.source.window, time_ms).key

    def received(self) -> dict[str, int]:
        """Ids the SIEM accepted, with how often each came."""
        return self.siem.ids("/siem")

    def assert_each_once(self, *, but: int = 0) -> None:
        """Everything the vendor shows is in the SIEM exactly once (or `but` events are missing)."""
        emitted = {event.id for event in self.vendor.emitter.emitted()}
        received = self.received()
        assert len(emitted - received.keys()) == but, f"lost {len(emitted - received.keys())} of {len(emitted)}"
        assert {id_: times for id_, times in received.items() if times != 1} == {}
        assert received.keys() <= emitted

    def dead_letters(self) -> list[DeadLetter]:
        """Of every lane, in their order."""
        with self.work() as work:
            kept = [lane.dead_letters for lane in work.lanes]
            return [letter for of_lane in kept for key in of_lane.list() for letter in of_lane.read(key)]

    def close(self) -> None:
        self.vendor.close()
        self.siem.close()


@contextmanager
def plain_scene(
    directory: Path,
    *,
    shape: Shape | None = None,
    clock: Clock | None = None,
    vendor_options: dict[str, Any] | None = None,
    siem_options: dict[str, Any] | None = None,
    destination: dict[str, Any] | None = None,
    **source: Any,
) -> Iterator[Scene]:
    """A generic source over `Plain`; keywords are keys of the source. Times, ids and paging fit the shape."""
    clock = clock or Clock()
    shape = shape or Shape()
    siem = Receiver(clock=clock, **(siem_options or {}))
    vendor = Plain(shape=shape, clock=clock, per_minute=10**6, **(vendor_options or {}))
    scene = Scene(vendor, siem, plain_source(vendor, siem, shape, destination or {}, **source), directory, clock)
    try:
        yield scene
    finally:
        scene.close()


@contextmanager
def okta_scene(directory: Path, *, page_size: int = 10) -> Iterator[Scene]:
    """Okta as its preset reads it: Link headers whose next one is always there, and is kept between polls."""
    clock = Clock()
    vendor, siem = Okta(clock=clock, per_minute=10**6), Receiver(clock=clock)
    raw = {"name": "okta", "endpoint": f"{vendor.url}{PATH}", "start_from": "1h"}
    mapping, _ = lay_beneath(presets()["okta"], raw, name="okta")
    changes = {
        "pagination": mapping["pagination"] | {"page_size": page_size},
        "destination": HttpDestination(type="http", endpoint=f"{siem.url}/siem"),
        "flush_interval_ms": 10**6,
    }
    scene = Scene(vendor, siem, SourceConfig(**mapping | changes), directory, clock)
    try:
        yield scene
    finally:
        scene.close()


def plain_source(
    vendor: Vendor, siem: Receiver, shape: Shape, destination: dict[str, Any], **changes: Any
) -> SourceConfig:
    paging = {
        "cursor": Pagination(pagination_type="cursor", cursor_param="cursor", next_cursor_field="meta.next_cursor"),
        "page": Pagination(pagination_type="page", page_param="page"),
        "offset": Pagination(pagination_type="offset", offset_param="offset"),
        "link": Pagination(pagination_type="link_header"),
        "none": Pagination(pagination_type="none"),
    }[shape.paging]
    paging = paging.model_copy(update={"limit_param": "limit", "page_size": shape.page_size})
    fields: dict[str, Any] = {
        "name": "plain",
        "endpoint": f"{vendor.url}/events",
        "polling_frequency_ms": 5_000,
        "results_field": "data.events",
        "id_field": "id" if shape.with_ids else None,
        "timestamp_field": "time",
        "time_filter_param": "since",
        "time_filter_until_param": "until",
        "pagination": paging,
        "start_from": "1h",
        "destination": HttpDestination(type="http", endpoint=f"{siem.url}/siem", **destination),
    }
    return SourceConfig(**fields | changes)
