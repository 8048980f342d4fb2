"""Events in a common schema, the vendor's own beside: `ecs` or `ocsf`.

A vendor's YAML file says what its events mean, a schema's table (`schemas/`) how that is written; a vendor that has no file is
API activity under its own type. Nothing is lost on the way: the original goes along as text.
"""

from __future__ import annotations

from typing import Protocol

from flicker_dagster.deliver.normalise.ecs import EcsNormaliser
from flicker_dagster.deliver.normalise.mapping import mapping_of
from flicker_dagster.deliver.normalise.ocsf import OcsfNormaliser
from flicker_dagster.lots import Lot


class Normaliser(Protocol):
    """Writes events in one schema."""

    #: `ecs` or `ocsf`, for `Lot.schema`.
    schema: str
    #: Names everything that shapes a document beside the event.
    fingerprint: str

    def document(self, event: bytes, lot: Lot, index: int) -> tuple[bytes, str]:
        """The document for an event of the lot, and what it was recognised as, for counting."""
        ...


def normaliser_of(schema: str, *, vendor: str | None, stream: str, ocsf_version: str) -> Normaliser:
    """The normaliser that `destination.normalise` names."""
    mapping = mapping_of(vendor)
    if schema == "ecs":
        return EcsNormaliser(mapping, vendor=vendor)
    return OcsfNormaliser(mapping, version=ocsf_version, stream=stream)
