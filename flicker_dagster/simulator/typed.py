"""Vendors and one simulated destination of a certain type, and the configuration that works beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from flicker_dagster.simulator.faults import Fault
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.simulator.siems import SIEMS
from flicker_dagster.simulator.vendor import Vendor

SAVED_AS = "simulated.yaml"


class Typed:
    """Serves until it is closed. What the destination has is told at `stats_url`. Raises FlickerError where a port is
    taken."""

    def __init__(self, kind: str, token: str, *, vendors: dict[str, Vendor], port: int = 0) -> None:
        self.kind = kind
        self.vendors = vendors
        self.siem = SIEMS[kind](token, port)
        self._stats = Server(self._tell)

    @property
    def stats_url(self) -> str:
        return f"{self._stats.url}/"

    def plan(self, faults: Sequence[Fault]) -> None:
        """Faults for the vendors, and for the destination where it has any."""
        for fault in faults:
            for server in [*self.vendors.values(), self.siem.receiver]:
                plan = getattr(server, "faults", None)
                if plan is not None:
                    plan.plan(fault.kind, count=fault.count)

    def printed(self, sources: list[str]) -> str:
        """A whole configuration with these lines of sources, or the destination alone where there are none."""
        named = ", ".join(self.vendors) or "no vendor"
        lines = [
            f"# Simulated: {named}, and a destination of type {self.kind}, until Ctrl-C. Save all this as {SAVED_AS};",
            "# in another terminal:",
            *self._advice(bool(sources)),
            f"# What arrived: {self.stats_url}",
            "destinations:",
            "  siem:",
            f"    type: {self.kind}",
            *(f"    {name}: {yaml_of(value)}" for name, value in self.siem.keys.items()),
        ]
        return "\n".join(lines + (["api_sources:", *sources] if sources else []))

    @staticmethod
    def _advice(has_sources: bool) -> list[str]:
        if not has_sources:
            return ["#   (a source of yours goes with it: destination: siem)"]
        return [
            f"#   flicker -c {SAVED_AS} test-destination siem   # one marked event",
            f"#   flicker -c {SAVED_AS} --once                  # poll once, deliver",
            f"#   flicker -c {SAVED_AS} --track                 # or run it, with the Dagster UI",
        ]

    def _tell(self, request: Request) -> Response:
        counts = self.siem.counts()
        what = "objects" if self.kind == "security_lake" else "events"
        return Response.json({"type": self.kind, what: len(counts), "twice": sum(counts.values()) - len(counts)})

    def close(self) -> None:
        self._stats.close()
        self.siem.close()
        for vendor in self.vendors.values():
            vendor.close()

    def __enter__(self) -> Typed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def text_of(value: str) -> str:
    """A text for YAML, and for Flicker's templates, in which a dollar begins a reference."""
    return json.dumps(value.replace("$", "$$"))


def yaml_of(value: Any) -> str:
    """The same for a value of any kind; JSON is YAML."""
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {yaml_of(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(yaml_of, value))}]"
    return json.dumps(value)
