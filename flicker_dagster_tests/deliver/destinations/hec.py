"""Openers of the collector's destination for tests, and a collector that says what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flicker_dagster.config.destinations.splunk_hec import SplunkHecDestination
from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.splunk_hec import SplunkHec
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster_tests.deliver.contract import FakeClock

TOKEN = "hec-token"


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
