"""Rows that are equal byte for byte and yet events of their own: lawful where a vendor gives no ids and counts in seconds."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.pages import compact
from flicker_dagster.simulator.vendor import content_of


class Alike:
    """Some rows of a log are the row before it in the same second, once more."""

    def __init__(self, share: float = 0.25) -> None:
        self._share = share
        self._last: dict[str, tuple[int, tuple[str, bytes]]] = {}

    def row(
        self, stream: str, published_ms: int, chance: random.Random, event: Callable[[], dict[str, Any]]
    ) -> tuple[str, bytes]:
        """Identity and bytes of the next row of a stream, as `Vendor.make` gives them."""
        second, row = self._last.get(stream, (-1, ("", b"")))
        if second != published_ms // 1000 or chance.random() >= self._share:
            made = event()
            row = content_of(made), compact(made)
        self._last[stream] = published_ms // 1000, row
        return row


def once_each(events: list[Event]) -> list[msgspec.Raw]:
    """The rows of a page without copies: a copy would be an event of its own here."""
    return [msgspec.Raw(event.body) for event in events]
