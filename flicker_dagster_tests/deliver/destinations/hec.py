"""Openers of the collector's destination for tests, and a collector that says what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flicker_dagster.config.destinations.splunk_hec import SplunkHecDestination
from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.splunk_hec import SplunkHec
from flicker_dagster.deliver.outcomes import Delivered, Receipt
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.receivers.api import Stored
from flicker_dagster.simulator.receivers.splunk_hec import SplunkHecReceiver
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster_tests.deliver.contract import Drained, FakeClock, MemoryQueue, drain, event_of, lot_of, lots_of

TOKEN = "hec-token"
LOT = lot_of([event_of(n) for n in range(5)])
Collector = Callable[..., SplunkHecReceiver]


def opened(
    url: str,
    clock: Callable[[], float] | None = None,
    *,
    env: dict[str, str] | None = None,
    masker: Masker | None = None,
    **keys: Any,
) -> SplunkHec:
    """A destination towards a collector at `url`; `keys` are keys of its record."""
    config = SplunkHecDestination(type="splunk_hec", url=url, **({"token": "${HEC}", "max_in_flight": 1} | keys))
    context = LaneContext(
        stream="okta",
        credentials=lambda: "siem.yaml:7: token",
        clock=clock or FakeClock(),
        env={"HEC": TOKEN} | (env or {}),
        masker=masker or Masker([]),
    )
    return SplunkHec(config, context)


class Scripted:
    """A server that gives these answers, the last one from then on, and keeps what it was sent."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.server = Server(self._handle)

    def _handle(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def url(self) -> str:
        return self.server.url

    def close(self) -> None:
        self.server.close()


def stored_from(siem: SplunkHecReceiver, lot: Lot, **keys: Any) -> list[Stored]:
    destination = opened(siem.url, siem.clock, **keys)
    assert isinstance(destination.send(lot), Delivered)
    destination.close()
    return siem.stored


def receipt_of(siem: SplunkHecReceiver, **keys: Any) -> Receipt:
    """Sent by a destination that is closed again, as in an earlier run."""
    destination = opened(siem.url, siem.clock, **keys)
    outcome = destination.send(LOT)
    destination.close()
    assert isinstance(outcome, Receipt)
    return outcome


def confirmed(siem: SplunkHecReceiver, *receipts: Receipt, **keys: Any) -> list[object]:
    """What another run learns of them, in their order; None for what is under way."""
    destination = opened(siem.url, siem.clock, **keys)
    found = destination.confirm(receipts)
    destination.close()
    return [found.get(receipt.token) for receipt in receipts]


def delivered(siem: SplunkHecReceiver, clock: FakeClock, events: int = 200, runs: int = 40, **keys: Any) -> Drained:
    queue = MemoryQueue(lots_of(events, size=20))
    return drain(queue, lambda: opened(siem.url, clock, **keys), runs=runs, clock=clock)
