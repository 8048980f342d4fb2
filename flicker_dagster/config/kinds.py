"""Records told apart by their `type`: each is imported, and its validator made, when a configuration first names it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, get_args

from pydantic_core import CoreSchema, SchemaValidator, core_schema

from flicker_dagster.config.records import Record


class Kinds:
    """Makes `Annotated[Base, Kinds(…)]` the union of records. `modules` says by `type` which module defines the record."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.modules = dict(modules)
        self.record = lru_cache(None)(self._record)
        self._validator = lru_cache(None)(self._made)

    def records(self) -> dict[str, type[Any]]:
        """Every record by its `type`."""
        return {kind: self.record(kind) for kind in self.modules}

    def meant(self, raw: Any) -> list[type[Any]]:
        """The record that a mapping (or record) names by its `type`; all of them where it names none."""
        kind = self._named(raw)
        return list(self.records().values()) if kind is None else [self.record(kind)]

    def _named(self, raw: Any) -> str | None:
        kind = raw.get("type") if isinstance(raw, dict) else getattr(raw, "type", None)
        return kind if isinstance(kind, str) and kind in self.modules else None

    def _record(self, kind: str) -> type[Any]:
        for each in vars(import_module(self.modules[kind])).values():
            fields = each.model_fields if isinstance(each, type) and issubclass(each, Record) else {}
            if "type" in fields and get_args(fields["type"].annotation) == (kind,):
                return each
        raise LookupError(f"{self.modules[kind]} defines no record of type {kind!r}")

    def _union(self, records: Mapping[str, type[Any]]) -> CoreSchema:
        return core_schema.tagged_union_schema(
            {kind: record.__pydantic_core_schema__ for kind, record in records.items()}, "type"
        )

    def _made(self, kind: str | None) -> SchemaValidator:
        """Of one record; or of what names none, which is an error that none of them has to be known for."""
        if kind is None:
            known: dict[Any, CoreSchema] = {each: core_schema.any_schema() for each in self.modules}
            return SchemaValidator(core_schema.tagged_union_schema(known, "type"))
        return SchemaValidator(self._union({kind: self.record(kind)}))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda raw: self._validator(self._named(raw)).validate_python(raw)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return handler(self._union(self.records()))
