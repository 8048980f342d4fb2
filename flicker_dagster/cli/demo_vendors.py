"""A demo of any vendors: the file that a newcomer writes for them, with secrets by reference, and the world around it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flicker_dagster.cli.simulated import (
    checked,
    delay_s_of,
    destination_lines,
    literal,
    params_of,
    source_lines,
    streams_of_source,
    tokens_of,
)
from flicker_dagster.config.vendor_blocks import variable_of
from flicker_dagster.config.vendors import presets
from flicker_dagster.simulator.dialects import dialect
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.simulator.world import World

SIEM_KEY = "demo-siem-key"
START_FROM = "7h"
#: One stream is polled every five seconds; with many of them, about one of them every second.
LEAST_POLL_MS, PACE_MS = 5_000, 1_000

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = re.compile(r"\$\{file:([^{}]+)\}")


class DemoVendors:
    """Vendors that were chosen by name. Raises FlickerError for one that is not simulated, or has no preset."""

    def __init__(self, chosen: Sequence[str]) -> None:
        self.vendors = checked([name for each in chosen for name in re.split(r"[\s,]+", each) if name])
        self.names = {vendor: vendor.replace("_", "-") for vendor in self.vendors}
        self.streams = {vendor: streams_of_source(vendor) for vendor in self.vendors}
        count = sum(len(streams) or 1 for streams in self.streams.values())
        self.poll_ms = max(LEAST_POLL_MS, count * PACE_MS)
        #: What the file's references stand for, as far as they are variables.
        self.environment: dict[str, str] = {"SIEM_API_KEY": SIEM_KEY}

    def world(self) -> dict[str, Any]:
        """Keywords of a World of these vendors, with a SIEM that tells their streams apart."""
        return {
            "vendors": self.vendors,
            "streams": self.streams,
            "options": {vendor: dialect(vendor).hurried for vendor in self.vendors},
            "delay_s": {vendor: delay_s_of(vendor) + self.poll_ms / 1000 for vendor in self.vendors},
            "tokens": tokens_of(self.vendors),
            "siem": Receiver(token=SIEM_KEY, by_source=True),
        }

    def config(self, world: World, home: Path) -> str:
        """The whole file. Secrets that are files are written into `home`; the others are in `environment` from then on."""
        keys = {"polling_frequency_ms": self.poll_ms, "start_from": START_FROM}
        lines = [
            "# What a newcomer writes. Only connect_to, the short polling_frequency_ms and start_from are the demo's.",
            *destination_lines("${SIEM_ENDPOINT}/events", "${SIEM_API_KEY}"),
            "api_sources:",
        ]
        for vendor, simulated in world.vendors.items():
            params = self._referring(simulated, home)
            lines += source_lines(simulated, name=self.names[vendor], params=params, keys=keys)
        return "\n".join([*lines, ""])

    def _referring(self, simulated: Vendor, home: Path) -> Mapping[str, str]:
        """The parameters of an account: secrets by reference, everything else as it is."""
        known = presets()[simulated.name].params
        return {
            name: self._reference(simulated.name, name, value, home) if known[name].secret else literal(value)
            for name, value in params_of(simulated).items()
        }

    def _reference(self, vendor: str, name: str, value: str, home: Path) -> str:
        usual = variable_of(presets()[vendor], name)
        file = _FILE.fullmatch(usual)
        if file is not None:
            path = home / f"{vendor}-{Path(file[1]).name}"
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as secret:
                secret.write(value)
            return f"${{file:{path}}}"
        found = _VARIABLE.fullmatch(usual)
        variable = found[1] if found else _own(vendor, name)
        if self.environment.get(variable, value) != value:
            variable = _own(vendor, name)  # two vendors, one usual name
        self.environment[variable] = value
        return f"${{{variable}}}"


def _own(vendor: str, name: str) -> str:
    return f"{vendor}_{name}".upper()
