"""Destinations of `type: http` towards an endpoint, and a lot of two events that is sent to it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from flicker_dagster.deliver.destination import Destination
from flicker_dagster.lots import Lot
from flicker_dagster_tests.deliver.contract import lot_of
from flicker_dagster_tests.deliver.destinations.scenes import opened

LOT = lot_of([b'{"id":"a","n":1.10}', b'{"id":"b"}'])


def siem_at(url: str, *, env: dict[str, str] | None = None, stream: str = "okta", **keys: Any) -> Destination:
    return opened({"type": "http", "endpoint": url, **keys}, env=env, stream=stream)


def send(url: str, env: dict[str, str] | None = None, *, lot: Lot = LOT, **keys: Any) -> Any:
    with closing(siem_at(url, env=env, **keys)) as destination:
        return destination.send(lot)
