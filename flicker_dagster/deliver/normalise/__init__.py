"""Events in a common schema, the vendor's own beside."""

from __future__ import annotations

from typing import Protocol

from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.lots import Lot


class Normaliser(Protocol):
    """Writes events in one schema."""

    #: `ecs` or `ocsf`, for `Lot.schema`.
    schema: str
    #: Names everything that shapes a document beside the event.
    fingerprint: str

    def document(self, event: bytes, lot: Lot, index: int) -> tuple[bytes, str]:
        """The document for the event at an index of the lot, and what it was recognised as, for counting."""
        ...


def normaliser_of(schema: str, *, vendor: str | None, stream: str, ocsf_version: str) -> Normaliser:
    raise DestinationBlocked(
        f"{stream}: destination.normalise {schema} (OCSF {ocsf_version}) knows no vendor {vendor!r} yet"
    )
