"""The records of all destinations: each module here that is named like a `type` defines it, and is found by being here."""

from __future__ import annotations

import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Field, Tag, TypeAdapter

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.kinds import Kinds

#: Modules of what several records share.
SHARED = frozenset({"base", "bulk", "object_store", "posted"})

DESTINATIONS = Kinds(
    {
        module.name: f"{__name__}.{module.name}"
        for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name)
        if module.name not in SHARED
    }
)

records = DESTINATIONS.records

#: Any destination.
Destination = Annotated[DestinationRecord, DESTINATIONS]


@cache
def destination_adapter() -> TypeAdapter[Any]:
    """Validates one destination by itself, as an entry of the top-level `destinations`."""
    return TypeAdapter(Destination)


def _how_many(value: Any) -> str:
    return "several" if isinstance(value, list) else "one"


if TYPE_CHECKING:
    Destinations = DestinationRecord | list[DestinationRecord]
else:  # what stands under a source's `destination`: one, or a list of them
    Destinations = Annotated[
        Annotated[Destination, Tag("one")] | Annotated[list[Destination], Field(min_length=1), Tag("several")],
        Discriminator(_how_many),
    ]
