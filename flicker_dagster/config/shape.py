"""The grammar seen from outside: which records stand under which keys, and which plain types a key takes."""

from __future__ import annotations

import types
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from flicker_dagster.config.auth import WAYS
from flicker_dagster.config.kinds import Kinds
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.records import Record


def plain_kinds(annotation: Any) -> list[Any]:
    """The types inside an annotation, through `Annotated` and unions; `Literal[…]`, `list[…]` and `Kinds` stay whole."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inside, *about = get_args(annotation)
        return [each for each in about if isinstance(each, Kinds)] or plain_kinds(inside)
    if origin in (Union, types.UnionType):
        return [kind for each in get_args(annotation) for kind in plain_kinds(each)]
    return [annotation]


def options(annotation: Any) -> list[str]:
    """The words that an annotation's `Literal` allows."""
    return [word for kind in plain_kinds(annotation) if get_origin(kind) is Literal for word in get_args(kind)]


def records_in(annotation: Any, raw: Any = None) -> list[type[Record]]:
    """The records a key takes: as its value, or as items of its list. Of `Kinds` only what `raw` names, if it names one."""
    found: list[type[Record]] = []
    for kind in plain_kinds(annotation):
        if get_origin(kind) is list:
            found += records_in(get_args(kind)[0], raw)
        elif isinstance(kind, Kinds):
            found += kind.meant(raw)
        elif isinstance(kind, type) and issubclass(kind, Record):
            found.append(kind)
    return found


@cache
def places() -> dict[str, list[type[Record]]]:
    """The records by the key they stand under, the source itself under `source`, outermost first."""
    found: dict[str, list[type[Record]]] = {"source": [SourceConfig]}
    waiting: list[type[Record]] = [SourceConfig]
    while waiting:
        for key, field in waiting.pop(0).model_fields.items():
            records = [record for record in records_in(field.annotation) if record not in found.get(key, [])]
            if records:
                found.setdefault(key, []).extend(records)
                waiting += records
    return found


def tag_of(record: type[Record]) -> str | None:
    """The `type` that tells this record from others under the same key."""
    field = record.model_fields.get("type")
    words = options(field.annotation) if field is not None else []
    return words[0] if words else None


def meant(records: list[type[Record]], raw: Any) -> list[type[Record]]:
    """Of several records under one key those that `raw` names by its `type`; all of them where it names none."""
    tag = raw.get("type") if isinstance(raw, dict) else None
    named = [record for record in records if tag_of(record) == tag]
    return named or records


def takes_any_auth(field: FieldInfo) -> bool:
    """Does a key take every way to sign?"""
    return WAYS in plain_kinds(field.annotation)
