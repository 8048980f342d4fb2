"""The YAML files of this package: mappings of vendors beside it, tables of schemas below `schemas/`."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TypeVar

import msgspec
import yaml

Table = TypeVar("Table", bound=msgspec.Struct)

_FILES = resources.files("flicker_dagster.deliver.normalise")

#: The mapping of all vendors that have none.
GENERIC = "generic"


@cache
def table(name: str, kind: type[Table]) -> tuple[Table, bytes]:
    """A file (`okta`, `schemas/ocsf`) as a record, which is never changed, and its bytes. Raises msgspec.ValidationError."""
    text = (_FILES / f"{name}.yaml").read_bytes()
    return msgspec.convert(yaml.load(text, Loader=yaml.CSafeLoader), kind, strict=False), text


@cache
def vendors() -> frozenset[str]:
    """The vendors that have a mapping of their own."""
    names = (file.name for file in _FILES.iterdir())
    return frozenset(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")) - {GENERIC}
