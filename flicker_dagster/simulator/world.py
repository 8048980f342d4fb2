"""Everything around Flicker in one object: simulated vendors, a SIEM, and the live page that compares them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib import resources
from types import TracebackType
from typing import Any

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.comparison import Ages, Row, compared, together
from flicker_dagster.simulator.dialects import dialect
from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.receiver import Receiver, all_of, id_of
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.simulator.vendor import Vendor

#: Those of the demo, where nobody chooses.
USUAL = ("okta", "github", "salesforce")

#: Events younger than this are on their way and not yet missing.
IN_FLIGHT_S = 30.0

#: For so long after its begin the events from before it are still being caught up with.
CATCH_UP_S = 180.0

#: The page holds what vendors wrote: it may run its own script, ask its own server, and nothing else.
PAGE_HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
]


class World:
    """Vendors by name, and a SIEM that has their events: each stream at a path of its own, `/vendor/stream` or, for a vendor
    whose first stream is collected as the whole source, `/vendor`. A SIEM that keeps what comes by its source has them
    below the source's name instead.

    `streams` says which are collected, by vendor: only these emit by themselves, and are compared. `options` are further
    keywords of a vendor's dialect, `delay_s` says by how much longer than usual its events may be on their way. `names` says
    what the sources that collect from them are called, `assets` which Dagster asset each is (with streams: the part of
    their keys before the stream), and `ui_port` where the Dagster UI is: the live page shows and links them.
    """

    def __init__(
        self,
        *,
        vendors: Sequence[str] = USUAL,
        streams: Mapping[str, Sequence[str]] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        delay_s: Mapping[str, float] | None = None,
        rate: float = 0.0,
        history_s: float = 0.0,
        history_rate: float = 0.05,
        habits: Habits | None = None,
        seed: int = 0,
        tokens: dict[str, str] | None = None,
        siem: Receiver | None = None,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
        page_port: int = 0,
        names: Mapping[str, str] | None = None,
        assets: Mapping[str, str] | None = None,
        ui_port: int | None = None,
    ) -> None:
        self._clock = clock
        self._began_ms = int(clock() * 1000)
        self.names = {name: (names or {}).get(name, name) for name in vendors}
        self.assets = dict(assets or {})
        self.ui_port = ui_port
        self.streams = {name: tuple((streams or {}).get(name, ())) for name in vendors}
        self._delay_s = dict(delay_s or {})
        self.vendors = vendors_of(
            vendors,
            streams=self.streams,
            own=options,
            tokens=tokens,
            rate=rate,
            history_s=history_s,
            history_rate=history_rate,
            habits=habits,
            seed=seed,
            clock=clock,
            host=host,
            port=port,
        )
        self.siem = siem or Receiver(clock=clock, host=host)
        for name, vendor in self.vendors.items():
            for stream in self.streams[name] or ("",):
                self.siem.identify[self.path(name, stream)] = partial(_identified, vendor, stream or vendor.streams[0])
        self.page = Server(self._serve_page, host=host, port=page_port, clock=clock)

    def vendor(self, name: str) -> Vendor:
        """Raises FlickerError for a vendor that is not simulated here."""
        if name not in self.vendors:
            raise FlickerError(f"no simulated vendor {name!r}; there are {', '.join(self.vendors)}")
        return self.vendors[name]

    def path(self, name: str, stream: str = "") -> str:
        """Where the SIEM has a stream of a vendor."""
        source = self.names[name] if self.siem.by_source else name
        return f"/{source}/{stream}" if stream else f"/{source}"

    def compare(self) -> list[Row]:
        """Every stream's emitted events against what the SIEM accepted."""
        return [row for name in self.vendors for row in self._rows(name)]

    def stop_emitting(self) -> None:
        for vendor in self.vendors.values():
            vendor.set_rate(0.0)

    def status(self) -> dict[str, Any]:
        """What the live page shows."""
        stats = self.siem.stats()
        return {
            "now_ms": int(self._clock() * 1000),
            "began_ms": self._began_ms,
            "ui_port": self.ui_port,
            "sources": [self._shown(name, stats) for name in self.vendors],
        }

    def _shown(self, name: str, stats: Mapping[str, Any]) -> dict[str, Any]:
        """A source with its figures; `streams` are empty where it is its only stream."""
        rows, asset = self._rows(name), self.assets.get(name)
        found = [stats.get(self.path(name, row.stream)) for row in rows]
        streams = [
            _figures(row) | {"siem": siem, "asset": asset and f"{asset}/{row.stream}"}
            for row, siem in zip(rows, found, strict=True)
            if row.stream
        ]
        whole = _figures(together(rows, name)) | {"siem": all_of(found), "asset": None if streams else asset}
        return whole | {"name": self.names[name], "streams": streams}

    def close(self) -> None:
        self.page.close()
        self.siem.close()
        for vendor in self.vendors.values():
            vendor.close()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, name: str) -> list[Row]:
        return [self._row(name, stream) for stream in self.streams[name] or ("",)]

    def _row(self, name: str, stream: str) -> Row:
        vendor = self.vendors[name]
        received = Counter(self.siem.ids(self.path(name, stream)))  # first: what arrives meanwhile was emitted before
        events = vendor.obtainable(stream or vendor.streams[0])
        now_ms = int(self._clock() * 1000)
        in_flight_s = IN_FLIGHT_S + self._delay_s.get(name, 0.0)
        ages = Ages(
            now_ms=now_ms,
            began_ms=self._began_ms,
            in_flight_ms=int(in_flight_s * 1000),
            catching_up=now_ms - self._began_ms < (CATCH_UP_S + in_flight_s - IN_FLIGHT_S) * 1000,
        )
        return compared(events, received, ages, equal_rows=vendor.equal_rows, source=name, stream=stream)

    def _serve_page(self, request: Request) -> Response:
        if request.path == "/api/status":
            headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
            return Response(200, json.dumps(self.status()).encode(), headers)
        if request.path not in ("/", "/index.html"):
            return Response.json({"error": "no such page"}, 404)
        html = (resources.files("flicker_dagster.simulator") / "page.html").read_bytes()
        return Response(200, html, PAGE_HEADERS)


def vendors_of(
    names: Sequence[str],
    *,
    streams: Mapping[str, Sequence[str]] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    tokens: Mapping[str, str] | None = None,
    seed: int = 0,
    port: int = 0,
    **options: Any,
) -> dict[str, Vendor]:
    """Vendors that serve, by name. In the `streams` something happens by itself, by default in the first. `own` are keywords
    of one dialect alone. The port is for a vendor that is alone."""
    return {
        name: dialect(name)(
            token=(tokens or {}).get(name),
            seed=seed + number,
            port=port if len(names) == 1 else 0,
            busy=(streams or {}).get(name) or dialect(name).streams[:1],
            **{**options, **(own or {}).get(name, {})},
        )
        for number, name in enumerate(names)
    }


def _figures(row: Row) -> dict[str, Any]:
    return asdict(row) | {"overdue": row.overdue}


def _identified(vendor: Vendor, stream: str, event: dict[str, Any]) -> str:
    """Which event of a stream it is; what cannot be one of it still has a name."""
    try:
        return vendor.id_of(stream, event)
    except (KeyError, TypeError, IndexError):
        return id_of(event)
