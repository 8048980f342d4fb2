"""Everything around Flicker in one object: simulated vendors, a SIEM, and the live page that compares them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from types import TracebackType
from typing import Any

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.dialects import dialect
from flicker_dagster.simulator.emitter import Habits
from flicker_dagster.simulator.receiver import Receiver
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


@dataclass(frozen=True)
class Row:
    """One source compared: what the vendor emitted and what the SIEM holds of it."""

    source: str
    emitted: int
    in_siem: int
    in_flight: int  # not there yet, and young
    missing: int  # all that is not there yet
    twice: int
    unknown: int  # in the SIEM, but not from this vendor
    backlog: int = 0  # not there yet, and from before the world began, in its first minutes

    @property
    def overdue(self) -> int:
        """Missing without an excuse."""
        return self.missing - self.in_flight - self.backlog


class World:
    """Vendors by name, each delivering to the SIEM's path of the same name.

    `names` says what the sources that collect from them are called, `assets` which Dagster asset each is, and `ui_port`
    where the Dagster UI is: the live page shows and links them.
    """

    def __init__(
        self,
        *,
        vendors: tuple[str, ...] = USUAL,
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
        self.vendors = vendors_of(
            vendors,
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
        self.page = Server(self._serve_page, host=host, port=page_port, clock=clock)

    def vendor(self, name: str) -> Vendor:
        """Raises FlickerError for a vendor that is not simulated here."""
        if name not in self.vendors:
            raise FlickerError(f"no simulated vendor {name!r}; there are {', '.join(self.vendors)}")
        return self.vendors[name]

    def compare(self) -> list[Row]:
        """Every vendor's emitted events against what the SIEM accepted."""
        return [self._row(name, vendor) for name, vendor in self.vendors.items()]

    def stop_emitting(self) -> None:
        for vendor in self.vendors.values():
            vendor.emitter.stop()

    def status(self) -> dict[str, Any]:
        """What the live page shows."""
        stats = self.siem.stats()
        return {
            "now_ms": int(self._clock() * 1000),
            "began_ms": self._began_ms,
            "ui_port": self.ui_port,
            "sources": [self._shown(row) | {"siem": stats.get(f"/{row.source}")} for row in self.compare()],
        }

    def _shown(self, row: Row) -> dict[str, Any]:
        return asdict(row) | {
            "overdue": row.overdue,
            "name": self.names[row.source],
            "asset": self.assets.get(row.source),
        }

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

    def _row(self, name: str, vendor: Vendor) -> Row:
        received = self.siem.ids(f"/{name}")  # first: what arrives meanwhile was emitted before
        emitted = vendor.emitter.emitted()
        now_ms = int(self._clock() * 1000)
        outstanding = [event for event in emitted if event.id not in received and vendor.is_listed("", event.body)]
        old = [event for event in outstanding if now_ms - event.visible_ms >= IN_FLIGHT_S * 1000]
        catching_up = now_ms - self._began_ms < CATCH_UP_S * 1000
        listed = {event.id for event in emitted if vendor.is_listed("", event.body)}
        return Row(
            source=name,
            emitted=len(listed),
            in_siem=len(received),
            in_flight=len(outstanding) - len(old),
            backlog=sum(event.visible_ms < self._began_ms for event in old) if catching_up else 0,
            missing=len(outstanding),
            twice=sum(received.values()) - len(received),
            unknown=len(received.keys() - listed),
        )

    def _serve_page(self, request: Request) -> Response:
        if request.path == "/api/status":
            headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
            return Response(200, json.dumps(self.status()).encode(), headers)
        if request.path not in ("/", "/index.html"):
            return Response.json({"error": "no such page"}, 404)
        html = (resources.files("flicker_dagster.simulator") / "page.html").read_bytes()
        return Response(200, html, PAGE_HEADERS)


def vendors_of(
    names: tuple[str, ...], *, tokens: Mapping[str, str] | None = None, seed: int = 0, port: int = 0, **options: Any
) -> dict[str, Vendor]:
    """Vendors that serve, by name. The port is for one that is alone."""
    return {
        name: dialect(name)(
            token=(tokens or {}).get(name), seed=seed + number, port=port if len(names) == 1 else 0, **options
        )
        for number, name in enumerate(names)
    }
