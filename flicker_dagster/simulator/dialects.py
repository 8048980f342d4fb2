"""The vendors that can be simulated. A dialect is a module of `simulator/vendors`, found by being there."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import import_module, resources

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.vendor import Vendor

_PACKAGE = "flicker_dagster.simulator.vendors"


@cache
def dialect_names() -> tuple[str, ...]:
    """All of them: each is named as its preset is."""
    files = resources.files(_PACKAGE).iterdir()
    return tuple(sorted(file.name[:-3] for file in files if file.name.endswith(".py") and file.name[0] != "_"))


@cache
def dialect(name: str) -> type[Vendor]:
    """The dialect of a vendor. Raises FlickerError for one that is not simulated."""
    if name not in dialect_names():
        near = difflib.get_close_matches(name, dialect_names(), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(dialect_names())}"
        raise FlickerError(f"no simulated vendor {name!r}{hint}")
    module = import_module(f"{_PACKAGE}.{name}")
    return next(
        kind
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Vendor)
        and kind.__module__ == module.__name__
        and kind.name == name
    )
