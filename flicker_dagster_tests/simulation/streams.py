"""A simulated stream: its vendor, its configuration, and what Dagster remembers of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.destinations.elasticsearch import ElasticsearchDestination
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.destinations.splunk_hec import SplunkHecDestination
from flicker_dagster.config.groups import Limits, Pagination
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.orchestration.cursor import LiveCursor
from flicker_dagster.simulator.plain import Plain, Shape
from flicker_dagster_tests.simulation.steps import StreamShape

BEGIN_S = 1_790_000_000.0
LOOKBACK_S = 120


class Clock:
    """Time that passes only where something waits."""

    def __init__(self) -> None:
        self.now_s = BEGIN_S

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)


class NoServer:
    """In place of the simulators' HTTP server."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.url = "http://nowhere"

    def close(self) -> None:
        return


class SimVendor(Plain):
    """The simulator's own vendor; its events carry their mark, and some are poison to the SIEM."""

    poison = False

    def make_event(self, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        mark, body = super().make_event(number, published_ms, chance)
        return mark, body[:-1] + b',"poison":true}' if self.poison else body


@dataclass
class Stream:
    """One stream with its vendor, and what Dagster remembers of it: the sensor's cursor."""

    name: str
    vendor: SimVendor
    source: SourceConfig
    cursor: LiveCursor | None = None
    faults: list[int | str] = field(default_factory=list)
    excused: set[str] = field(default_factory=set)  # what was acknowledged and not committed on a disk that was lost
    polls: int = 0
    reformatted: list[int] = field(default_factory=list)  # the steps in which a destination's format was changed


def new_stream(number: int, shape: StreamShape, *, seed: int, clock: Clock) -> Stream:
    with patch("flicker_dagster.simulator.vendor.Server", NoServer):
        vendor = SimVendor(
            shape=Shape(
                newest_first=shape.newest_first,
                paging=shape.paging,
                page_size=shape.page_size,
                most=shape.most,
                with_ids=shape.with_ids,
            ),
            clock=clock,
            per_minute=10**9,
            seed=seed * 7 + number,
        )
    host = f"vendor-{number}"
    vendor.server.url = f"http://{host}"  # type: ignore[misc]
    return Stream(f"stream-{number}", vendor, _source(number, host, shape))


def _source(number: int, host: str, shape: StreamShape) -> SourceConfig:
    paging = {
        "cursor": Pagination(pagination_type="cursor", cursor_param="cursor", next_cursor_field="meta.next_cursor"),
        "page": Pagination(pagination_type="page", page_param="page"),
        "offset": Pagination(pagination_type="offset", offset_param="offset"),
        "link": Pagination(pagination_type="link_header"),
    }[shape.paging]
    return SourceConfig(
        name=f"stream-{number}",
        endpoint=f"http://{host}/events",
        polling_frequency_ms=5_000,
        results_field="data.events",
        id_field="id" if shape.with_ids else None,
        timestamp_field="time",
        time_filter_param="since",
        time_filter_until_param="until",
        pagination=paging.model_copy(update={"limit_param": "limit", "page_size": shape.page_size}),
        start_from="1h",
        lookback_ms=LOOKBACK_S * 1000,
        buffer_size=shape.buffer_size,
        limits=Limits(run_pages=shape.run_pages),
        destination=_destinations(number, shape),
    )


def _destinations(number: int, shape: StreamShape) -> Any:
    """One, or a list of several; each speaks to a host of its own."""
    found: list[DestinationRecord] = []
    for kind in shape.lanes:
        url = f"http://{kind}-{number}"
        if kind == "elasticsearch":
            found.append(ElasticsearchDestination(type=kind, endpoint=url, api_key="key", max_in_flight=1))
        elif kind == "splunk_hec":
            found.append(
                SplunkHecDestination(
                    type=kind, url=url, token="token", ack="required", ack_ask_after_ms=1_000, ack_expires_ms=60_000,
                    max_in_flight=1,
                )
            )  # fmt: skip
        else:
            found.append(HttpDestination(type="http", endpoint=url, format=shape.format, max_in_flight=1))
    return found if len(found) > 1 else found[0]
