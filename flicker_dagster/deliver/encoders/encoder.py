"""What every encoder offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from flicker_dagster.lots import Lot


class Encoder(Protocol):
    """One way of writing a lot. The same lot always becomes the same bytes, whenever and wherever it is written."""

    #: What the body is, in the words of an HTTP header.
    content_type: str

    @property
    def encoding(self) -> str:
        """Everything of the configuration that shapes the body, for `Lot.key`."""
        ...

    def encode(self, lot: Lot) -> bytes:
        """The body. Raises ValueError where it holds an event that `unfit` names."""
        ...

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        """Events that cannot be written so, by index, each with the reason."""
        ...
