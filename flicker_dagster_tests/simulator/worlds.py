"""A clock that tests move, and vendors that live by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import parse_time_ms

SOME_DAY_MS = parse_time_ms("2026-03-02T09:00:00Z") or 0
DAY_S = 86_400

AnyVendor = TypeVar("AnyVendor", bound=Vendor)


class Clock:
    """Stands still until it is moved. Seconds, as `time.time` gives them."""

    def __init__(self, now_s: float = SOME_DAY_MS / 1000) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def ago_ms(self, seconds: float) -> int:
        return self.now_ms - int(seconds * 1000)

    def move(self, seconds: float) -> None:
        self.now_s += seconds


@contextmanager
def serving(vendor: AnyVendor) -> Iterator[AnyVendor]:
    try:
        yield vendor
    finally:
        vendor.close()


def served(kind: type[AnyVendor], **options: Any) -> Any:
    """A fixture of a vendor that lives by the test's clock; it is called as what it is assigned to."""

    @pytest.fixture
    def vendor(clock: Clock) -> Iterator[AnyVendor]:
        with serving(kind(clock=clock, **options)) as simulated:
            yield simulated

    return vendor


def ids(events: list[Any]) -> list[str]:
    """Ids of emitted events."""
    return [event.id for event in events]
