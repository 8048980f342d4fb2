"""Is a document valid? Asked of OCSF's own schemas where a package has them, and of our tables for every version."""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from flicker_dagster.deliver.normalise.ecs import EcsTable
from flicker_dagster.deliver.normalise.ocsf import OcsfTable
from flicker_dagster.deliver.normalise.tables import table

OCSF, ECS = table("schemas/ocsf", OcsfTable)[0], table("schemas/ecs", EcsTable)[0]

#: The versions of which the package holds a schema.
PACKAGED = ("1.1.0", "1.3.0", "1.8.0")

#: Classes to which 1.9.0 only adds, so that 1.8.0 tells whether they are valid.
SAME_IN_1_9 = frozenset({"authentication", "entity_management", "api_activity"})


@cache
def schema_of(version: str) -> dict[str, Any]:
    return get_ocsf_schema(version)


@cache
def _validator(version: str, event_class: str, profiles: tuple[str, ...]) -> Draft202012Validator:
    schemas = OcsfJsonSchemaEmbedded(schema_of(version))
    return Draft202012Validator(schemas.get_class_schema(event_class, list(profiles)))


def ocsf_problems(document: dict[str, Any], version: str) -> list[str]:
    """What is wrong with an OCSF document; nothing if it is valid."""
    name = next(name for name, each in OCSF.classes.items() if each.uid == document["class_uid"])
    rules = [rules for rules in OCSF.classes[name].rules if _number(rules.since) <= _number(version)][-1]
    problems = [f"{key} is missing" for key in (*OCSF.required, *rules.required) if key not in document]
    problems += [f"none of {group}" for group in rules.any_of if not any(key in document for key in group)]
    problems += [f"{key} is not known" for key in rules.absent if key in document]
    if document["metadata"]["version"] != version:
        problems.append("another version")
    if document["activity_id"] == 99 and not document.get("activity_name"):
        problems.append("another activity without a name")
    if document["type_uid"] != document["class_uid"] * 100 + document["activity_id"]:
        problems.append("type_uid")
    asked = version if version in PACKAGED else "1.8.0" if name in SAME_IN_1_9 else None
    if asked is not None:
        validator = _validator(asked, name, tuple(document["metadata"].get("profiles", ())))
        problems += [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]
    return problems


def ecs_problems(document: dict[str, Any]) -> list[str]:
    """What is wrong with an ECS document; nothing if it is valid."""
    problems = [f"{path} is missing" for path in ECS.required if _at(document, path) is None]
    event = document["event"]
    expected = {each for category in event["category"] for each in ECS.expected.get(category, ())}
    problems += [f"{each} is not expected of {event['category']}" for each in event["type"] if each not in expected]
    if event["outcome"] not in ("success", "failure", "unknown"):
        problems.append(f"outcome {event['outcome']}")
    return problems


def _at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
