"""A JSON schema of `config.yaml` for editors: what a user may write, shorthands included.

It is derived from the models, so that it cannot fall behind them. It is wider than the loader in one respect: which keys
a preset gives is known only when the endpoint is, so no key that a preset may give is required.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.config.groups import RetryConfig
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import GENERIC, Preset, presets
from flicker_dagster.config.whole_file import LONGEST_NAMESPACE, NAMESPACE_PATTERN, RETENTIONS, FlickerConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: A text that holds a reference, which may stand for a number or a switch.
_REFERENCE = {"type": "string", "pattern": r"\$\{[^}]+\}"}

_SOURCE, _DESTINATION, _RETRY, _FILTER = (
    {"$ref": f"#/$defs/{name}"} for name in ("SourceConfig", "Destination", "RetryConfig", "FieldFilter")
)

_ONE_DESTINATION = [_DESTINATION, {"type": "string", "description": "the name of one under destinations"}]


def json_schema() -> dict[str, Any]:
    """The schema of a whole file, in draft 2020-12."""
    definitions: dict[str, Any] = {}
    adapters: dict[str, TypeAdapter[Any]] = {
        "SourceConfig": TypeAdapter(SourceConfig),
        "RetryConfig": TypeAdapter(RetryConfig),
        "Destination": destination_adapter(),
    }
    for name, adapter in adapters.items():
        schema = adapter.json_schema(ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        definitions[name] = schema
    definitions = {name: _with_references(schema) for name, schema in definitions.items()}
    _widen_source(definitions["SourceConfig"])
    return {
        "$schema": DIALECT,
        "title": "Flicker configuration",
        "type": "object",
        "required": ["api_sources"],
        "additionalProperties": False,
        "patternProperties": {"^x-": {"description": "your own, such as anchors to share"}},
        "properties": {
            "api_sources": {"type": "array", "minItems": 1, "items": _SOURCE},
            "namespace": {
                "type": "string",
                "pattern": f"^({NAMESPACE_PATTERN})?$",
                "maxLength": LONGEST_NAMESPACE,
                "default": "",
                "description": _meaning("namespace"),
            },
            "retry": {**_RETRY, "description": "shared by all sources; a source's own keys lie above"},
            "destinations": {
                "type": "object",
                "description": _meaning("destinations"),
                "additionalProperties": _DESTINATION,
            },
            **{key: _retention(key) for key in RETENTIONS},
        },
        "$defs": definitions,
    }


def _meaning(key: str) -> str | None:
    """Of a key at the top of the file."""
    return FlickerConfig.model_fields[key].description


def _retention(key: str) -> dict[str, object]:
    default = FlickerConfig.model_fields[key].default
    return {"type": "integer", "minimum": 0, "default": default, "description": _meaning(key)}


def _widen_source(source: dict[str, Any]) -> None:
    """The shorthands of a source that the loader writes out before the models see them."""
    keys = source["properties"]
    given_by_presets = {key for preset in presets().values() for key in _given_by(preset)}
    source["required"] = [key for key in source["required"] if key not in {"endpoint", *given_by_presets}]
    source["anyOf"] = [{"required": ["endpoint"]}, {"required": ["vendor"]}]  # presets are known by either
    vendor = {name: text for name, text in keys["vendor"].items() if name == "description"}
    keys["vendor"] = {"enum": [GENERIC, *sorted(presets())], **vendor}
    keys["params"] = {
        "type": "object",
        "description": "what the preset has to be told; `flicker vendors` describes them",
    }
    keys["streams"] = {
        "description": "which of the preset's streams to collect, or streams with keys of their own; default: the usual ones",
        "anyOf": [
            {"type": "array", "minItems": 1, "items": {"type": "string"}},
            {"type": "object", "minProperties": 1, "additionalProperties": {"type": ["object", "null"]}},
        ],
    }
    about = {name: keys["destination"][name] for name in ("description", "examples")}
    keys["destination"] = {
        **about,
        "anyOf": [*_ONE_DESTINATION, {"type": "array", "minItems": 1, "items": {"anyOf": _ONE_DESTINATION}}],
    }
    for key in ("match_on", "exclude_on"):
        keys[key]["items"] = {"anyOf": [_FILTER, {"type": "string", "description": "a pattern for any value"}]}


def _given_by(preset: Preset) -> set[str]:
    """The keys that a preset, or one of its streams, gives."""
    return set(preset.source).union(*(stream.source for stream in preset.streams.values()))


def _with_references(schema: Any) -> Any:
    """The schema with `${VAR}` allowed wherever a mapping's key takes a number or a switch, as the loader does."""
    if isinstance(schema, list):
        return [_with_references(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    widened = {key: _with_references(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        widened["properties"] = {key: _or_reference(value) for key, value in widened["properties"].items()}
    return widened


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = [schema, *schema.get("anyOf", [])]
    plain = {kind.get("type") for kind in kinds}
    if not plain & {"integer", "number", "boolean"} or any(_any_text(kind) for kind in kinds):
        return schema
    about = {key: schema[key] for key in ("title", "description", "default", "examples") if key in schema}
    kept = {key: value for key, value in schema.items() if key not in about}
    return {**about, "anyOf": [*kept.get("anyOf", [kept]), _REFERENCE]}


def _any_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and "enum" not in schema
