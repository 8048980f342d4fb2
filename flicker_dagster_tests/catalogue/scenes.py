"""One stream of a preset between its dialect and a SIEM, polled in process by a clock that tests set."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.load import parse_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import presets
from flicker_dagster.errors import CollectError
from flicker_dagster.pipeline import reading
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.deliver import LiveReport, WindowReport, deliver_live, deliver_window
from flicker_dagster.pipeline.fetch import fetch_live, fetch_window
from flicker_dagster.pipeline.windows import window_at, window_of_key
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.simulator.dialects import dialect
from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.types import Position, Window

#: So many polls at most until everything is there.
MOST_POLLS = 40

HOUR_MS = 3_600_000


class Killed(BaseException):
    """The process died here."""


class Clock:
    """Stands still until somebody waits or moves it; begins at a full hour and a half, so that past windows are near."""

    def __init__(self) -> None:
        self.now_s = time.time() // 3600 * 3600 + 1800

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)


class CatalogueScene:
    """`emit` at the vendor, `poll` and `sweep` as the sensor and the schedule would, and look what arrived."""

    def __init__(
        self,
        vendor: Vendor,
        siem: Receiver,
        source: SourceConfig,
        directory: Path,
        clock: Clock,
        *,
        path: str | None = None,
    ) -> None:
        self.vendor, self.siem, self.source, self.directory, self.clock = vendor, siem, source, directory, clock
        self.stream = source.stream if source.stream in vendor.streams else vendor.streams[0]
        self.emitter = vendor.emitters[self.stream]
        self.path = path or f"/{vendor.name}/{self.stream}"
        self.work_dir = directory / "work"  # the machine's own
        self.cursor: Position | None = None
        self.failures: list[str] = []
        siem.identify[self.path] = partial(vendor.id_of, self.stream)

    def beside(self) -> CatalogueScene:
        """The next stream of the same account, in the same state and by the same clock."""
        streams = list(presets()[self.vendor.name].streams)
        stream = streams[(streams.index(self.source.stream) + 1) % len(streams)]
        source = source_of(self.vendor, self.siem, stream)
        return CatalogueScene(self.vendor, self.siem, source, self.directory, self.clock)

    def another(self, name: str, **keys: Any) -> CatalogueScene:
        """Another source that collects the same, with a place of its own at the SIEM."""
        path = f"/{name}"
        destination = {"type": "http", "endpoint": f"{self.siem.url}{path}"}
        source = source_of(self.vendor, self.siem, self.source.stream, name=name, destination=destination, **keys)
        return CatalogueScene(self.vendor, self.siem, source, self.directory, self.clock, path=path)

    def work(self) -> SourceWork:
        """A new process's view: nothing is remembered but what lies on the disk."""
        layout = StateLayout.of(None, self.directory / "state", self.work_dir)
        return SourceWork(self.source, layout, clock=self.clock, sleep=self.clock.wait, elapsed=self.clock)

    # -- the vendor

    def emit(
        self, count: int, *, seconds_ago: float = 5.0, apart_ms: int = 250, visible_in_s: float | None = None
    ) -> list[Event]:
        """Events that end so many seconds ago, as far apart as the vendor's resolution lets them be told."""
        newest_ms = self.clock.now_ms - int(seconds_ago * 1000)
        visible_ms = None if visible_in_s is None else self.clock.now_ms + int(visible_in_s * 1000)
        return [
            event
            for number in range(count)
            for event in self.emitter.emit(1, at_ms=newest_ms - apart_ms * (count - 1 - number), visible_ms=visible_ms)
        ]

    # -- collecting

    def begin(self) -> None:
        """Collection begins, with nothing to collect."""
        self.drain()

    def poll(self) -> LiveReport:
        """One live run. Raises CollectError."""
        with self.work() as work, work.exclusive():
            self.cursor = self.cursor or starting_position(work)
            fetched = fetch_live(work, self.cursor)
            self.stopped = fetched.resume_at_ms
            report = deliver_live(work)
        self.cursor = report.end
        return report

    def poll_anyhow(self) -> LiveReport | None:
        """One live run and its retries' patience: what fails is waited for."""
        try:
            report = self.poll()
        except CollectError as error:
            self.failures.append(str(error))
            self.clock.wait(max(getattr(error, "retry_after_s", None) or 0, 30))
            return None
        if self.stopped is not None:
            self.clock.wait(max(0.0, self.stopped / 1000 - self.clock()))
        return report

    def drain(self) -> None:
        """Poll, as far apart as the source does and a minute at least, until a poll is complete, has brought nothing, and
        everything is there; or patience ends."""
        settled_s = (self.source.delay_ms + 1_000) / 1000
        self.clock.wait(settled_s)
        for _ in range(MOST_POLLS):
            report = self.poll_anyhow()
            if report is not None and report.complete and not report.tally.new and not self.missing():
                return
            self.clock.wait(max(60.0, self.source.polling_frequency_ms / 1000))

    def die_after_page(self, nth: int) -> None:
        """A live run that is killed, unless it has fewer pages."""
        with killed_after_page(nth), suppress(Killed):
            self.poll_anyhow()

    def sweep(self, window: Window) -> WindowReport:
        """Read a closed window. Raises CollectError."""
        with self.work() as work, work.exclusive():
            fetch_window(work, window_of_key(self.source.grid, window.key), fresh=True)
            return deliver_window(work, window)

    def sweep_anyhow(self, window: Window) -> WindowReport:
        for _ in range(MOST_POLLS):
            try:
                return self.sweep(window)
            except CollectError as error:
                self.failures.append(str(error))
                self.clock.wait(max(getattr(error, "retry_after_s", None) or 0, 60))
        raise AssertionError(f"the window was never read: {self.failures[-1]}")

    def window_of(self, at_ms: int) -> Window:
        return window_at(self.source.window, at_ms)

    # -- what arrived

    def listed(self) -> list[Event]:
        return [event for event in self.emitter.emitted() if self.vendor.is_listed(self.stream, event.body)]

    def wanted(self) -> Counter[str]:
        counts = Counter(event.id for event in self.listed())
        return counts if self.vendor.equal_rows else Counter(dict.fromkeys(counts, 1))

    def received(self) -> Counter[str]:
        return Counter(self.siem.ids(self.path))

    def missing(self) -> Counter[str]:
        return self.wanted() - self.received()

    def assert_each_once(self) -> None:
        wanted, received = self.wanted(), self.received()
        lost, twice = wanted - received, received - wanted
        told = f"; failures: {self.failures[-3:]}" if self.failures else ""
        assert not lost, f"lost {lost.total()} of {wanted.total()}: {list(lost)[:2]}{told}"
        assert not twice, f"{twice.total()} twice or unknown: {list(twice)[:2]}{told}"


@contextmanager
def killed_after_page(nth: int) -> Iterator[None]:
    """The process dies after the nth page is in the spool."""
    pages = 0

    def reach(name: str) -> None:
        nonlocal pages
        pages += name == "fetch.after_page"
        if pages == nth:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "reach", reach)
        yield


@contextmanager
def scene_of(
    directory: Path,
    siem: Receiver,
    vendor: str,
    stream: str,
    *,
    skew_s: float = 0.0,
    page_size: int | None = 4,
    options: dict[str, Any] | None = None,
    **keys: Any,
) -> Iterator[CatalogueScene]:
    """A scene of a preset's stream over its dialect. `skew_s` is how far the vendor's clock is ahead of ours."""
    clock = Clock()
    kind = dialect(vendor)
    simulated = kind(clock=lambda: clock() + skew_s, **(options or {}))
    try:
        source = source_of(simulated, siem, stream, page_size=page_size, **keys)
        yield CatalogueScene(simulated, siem, source, directory, clock)
        assert not simulated.raised, "the dialect itself failed, see the log: no row is proven with it"
    finally:
        simulated.close()


def source_of(
    simulated: Vendor, siem: Receiver, stream: str, *, page_size: int | None = 4, **keys: Any
) -> SourceConfig:
    """The source that a user would write for this account, with pages as small as the vendor allows."""
    preset = presets()[simulated.name]
    path = f"/{simulated.name}/{stream or simulated.streams[0]}"
    raw: dict[str, Any] = {
        "name": simulated.name,
        "vendor": simulated.name,
        "params": simulated.params,
        "connect_to": {"*": simulated.url},
        "start_from": "2h",
        "flush_interval_ms": 86_400_000,
        "destination": {"type": "http", "endpoint": f"{siem.url}{path}"},
        **keys,
    }
    if stream:
        raw["streams"] = [stream]
    source = _loaded(raw)
    least = max(page_size or 0, simulated.least_page_size)
    if page_size is not None and source.listing.paging.limit is not None and least < source.listing.paging.page_size:
        own = "paging" if source.paging is not None else "pagination"
        source = _loaded({**raw, own: {**raw.get(own, {}), "page_size": least}})
    assert preset.vendor == simulated.name
    return source


def _loaded(raw: dict[str, Any]) -> SourceConfig:
    text = json.dumps({"api_sources": [_escaped(raw)]})
    return parse_config(text, path="config.yaml", env={}).sources[0]


def _escaped(value: Any) -> Any:
    """Texts in which a dollar begins no reference."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escaped(inner) for key, inner in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value


Check = Callable[[CatalogueScene], None]
