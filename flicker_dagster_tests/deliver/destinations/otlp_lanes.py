"""Destinations of `type: otlp` towards a collector, and events that are hard to carry."""

from __future__ import annotations

from typing import Any

import pytest

from flicker_dagster.config.auth.fixed import BearerAuth
from flicker_dagster.config.destinations.otlp import OtlpDestination
from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.otlp import Otlp
from flicker_dagster.deliver.outcomes import Outcome
from flicker_dagster.lots import Lot

SURROGATE = b'{"id":"s","agent":"cut \\ud83d here"}'
HOSTILE = [
    SURROGATE,
    b'{"id":"n","n":1.10,"big":123456789012345678901234567890}',
    b'{"id":"u","text":"\xf0\x9f\x98\x80"}',
]
NOT_UTF8 = b'{"id":"x","raw":"\xff\xfe"}'

encodings = pytest.mark.parametrize("encoding", ["protobuf", "json"])


def opened(url: str, *, token: str = "t0ken-value", masker: Masker | None = None, **changes: Any) -> Otlp:
    config = OtlpDestination(
        type="otlp",
        endpoint=f"{url}/v1/logs",
        auth=BearerAuth(type="bearer", token="${TOKEN}"),
        **{"timeout_ms": 5_000} | changes,
    )
    context = LaneContext(stream="okta", env={"TOKEN": token}, masker=masker or Masker([]))
    return Otlp(config, context)


def send(lot: Lot, url: str, **changes: Any) -> Outcome:
    destination = opened(url, **changes)
    try:
        return destination.send(lot)
    finally:
        destination.close()
