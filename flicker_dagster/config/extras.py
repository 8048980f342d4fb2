"""Packages that only some destinations need: extras of pip, imported where they are used."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from flicker_dagster.config.models import SourceConfig

#: What an extra brings, by the name it is imported under.
_BRINGS = {"kafka": "confluent_kafka", "parquet": "pyarrow"}


def pip_install(extra: str) -> str:
    return f"pip install 'flicker-dagster[{extra}]'"


def missing_extras(source: SourceConfig) -> Iterator[str]:
    """One line for each destination of a source whose package is not installed here: file, line, source, what to do."""
    for number, record in enumerate(source.lanes.values()):
        extra = record.extra
        if extra is None or find_spec(_BRINGS[extra]) is not None:
            continue
        key = f"destination[{number}].type" if isinstance(source.destination, list) else "destination.type"
        yield (
            f"{source.line_of(key)}: {source.name}: {key}: {record.type} needs the package {_BRINGS[extra]}, which is not "
            f"installed here: {pip_install(extra)}"
        )
