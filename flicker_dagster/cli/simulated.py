"""What a newcomer writes to collect from simulated vendors: a source for each, by the parameters of its preset, and one
destination for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flicker_dagster.config.vendor_blocks import scalar, usual_streams
from flicker_dagster.config.vendors import presets
from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.dialects import dialect
from flicker_dagster.simulator.vendor import Vendor

DESTINATION = "siem"
TEST_TOKEN = "test-token"
#: Longer parameters than these stand on a line each.
WIDEST = 110


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """Vendors that can be simulated and collected from, each once. Raises FlickerError."""
    for name in names:
        dialect(name)
        if name not in presets():
            raise FlickerError(f"{name} has no preset yet that a source could be built on; see `flicker vendors`")
    return tuple(dict.fromkeys(names))


def streams_of_source(vendor: str) -> tuple[str, ...]:
    """The streams of a source that names none; none for a source that is its own only stream."""
    preset = presets()[vendor]
    return () if preset.alone is not None else tuple(usual_streams(preset))


def delay_s_of(vendor: str) -> float:
    """How far a source stays behind the vendor's clock, at most."""
    preset = presets()[vendor]
    keys = [preset.source, *(preset.streams[name].source for name in streams_of_source(vendor))]
    return max(each.get("delay_ms", 0) for each in keys) / 1000


def tokens_of(vendors: Sequence[str], given: str | None = None) -> dict[str, str]:
    """The tokens that vendors ask for which have one, by vendor: the one given, else that of the simulated account."""
    own = {name: dialect(name).params.get("token") for name in vendors}
    return {name: given or token for name, token in own.items() if token is not None}


def params_of(vendor: Vendor) -> dict[str, str]:
    """With what a source reads this account."""
    known = set(presets()[vendor.name].params)
    given = {"token": vendor.token} if vendor.token and "token" in vendor.params else {}
    return {name: value for name, value in (vendor.params | given).items() if name in known}


def source_lines(vendor: Vendor, *, name: str, params: Mapping[str, str], keys: Mapping[str, Any]) -> list[str]:
    """An entry of `api_sources`. The parameters are texts of the configuration: references, or with each dollar twice."""
    lines = [f"- name: {scalar(name)}", f"  vendor: {vendor.name}"]
    lines += [f"  {line}" for line in _params(params)]
    lines.append(f"  connect_to: {scalar({'*': vendor.url})}")
    lines += [f"  {key}: {scalar(value)}" for key, value in keys.items()]
    return [f"  {line}" for line in [*lines, f"  destination: {DESTINATION}"]]


def destination_lines(endpoint: str, token: str) -> list[str]:
    """The destination of all sources, in envelopes, which tell the SIEM the source of each event."""
    auth = {"type": "bearer", "token": token}
    keys = {"type": "http", "endpoint": endpoint, "format": "envelope", "auth": auth}
    return ["destinations:", f"  {DESTINATION}:", *(f"    {key}: {scalar(value)}" for key, value in keys.items())]


def literal(text: str) -> str:
    """A text of the configuration in which a dollar begins no reference."""
    return text.replace("$", "$$")


def _params(params: Mapping[str, str]) -> list[str]:
    on_a_line = f"params: {scalar(dict(params))}"
    if len(on_a_line) <= WIDEST:
        return [on_a_line]
    return ["params:", *(f"  {name}: {scalar(value)}" for name, value in params.items())]
