"""The records of all destinations: each module here defines one, and is found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import Discriminator, Field, Tag, TypeAdapter

from flicker_dagster.config.destinations.base import DestinationRecord


@cache
def records() -> dict[str, type[DestinationRecord]]:
    """Each record by its `type`, in the order of names."""
    found: dict[str, type[DestinationRecord]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        name = f"{__name__}.{module.name}"
        for each in vars(importlib.import_module(name)).values():
            if isinstance(each, type) and issubclass(each, DestinationRecord) and each.__module__ == name:
                kind = each.model_fields["type"].annotation
                if kind is not str:  # of the base
                    found[get_args(kind)[0]] = each
    return dict(sorted(found.items()))


@cache
def destination_adapter() -> TypeAdapter[Any]:
    """Validates one destination by itself, as an entry of the top-level `destinations`."""
    return TypeAdapter(destination_type())


def _how_many(value: Any) -> str:
    return "several" if isinstance(value, list) else "one"


@cache
def destinations_type() -> Any:
    """What stands under a source's `destination`: one, or a list of them."""
    one: Any = Annotated[destination_type(), Tag("one")]
    several: Any = Annotated[list[destination_type()], Field(min_length=1), Tag("several")]  # type: ignore[misc]
    return Annotated[one | several, Discriminator(_how_many)]


@cache
def destination_type() -> Any:
    """The union of all records, told apart by `type`."""
    union = reduce(or_, records().values())
    return Annotated[union, Field(discriminator="type")] if len(records()) > 1 else union
