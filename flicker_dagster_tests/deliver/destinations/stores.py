"""Destinations that put objects into a store, opened for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.config.destinations.s3 import S3Destination
from flicker_dagster.deliver.destination import Destination, LaneContext
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.receivers.s3 import REGION
from flicker_dagster_tests.deliver.contract import event_of, lot_of

Opens = Callable[..., Destination]

KEYS = {"AKIAEXAMPLE": "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"}
ENV = {"AWS_KEY": "AKIAEXAMPLE", "AWS_SECRET": KEYS["AKIAEXAMPLE"]}
DAY_MS = 86_400_000
#: 2026-11-23T20:00:00Z
MONDAY_MS = 1_795_464_000_000


def record(url: str | None, **keys: Any) -> S3Destination:
    given = {
        "type": "s3",
        "bucket": "logs",
        "region": REGION,
        "endpoint": url,
        "access_key_id": "${AWS_KEY}",
        "secret_access_key": "${AWS_SECRET}",
        "prefix": "audit/",
        "timeout_ms": 5_000,
    } | keys
    return destination_adapter().validate_python({name: value for name, value in given.items() if value is not None})


def context(*, message_field: str | None = None, env: Any = ENV) -> LaneContext:
    return LaneContext(
        stream="okta",
        lane="lake",
        vendor="okta",
        message_field=message_field,
        env=env,
        credentials=lambda: "config.yaml:9",
    )


def two_days(*, count: int = 6) -> Lot:
    """Events that alternate between two days."""
    times = [MONDAY_MS + DAY_MS * (i % 2) + i for i in range(count)]
    return lot_of([event_of(i) for i in range(count)], times_ms=times)
