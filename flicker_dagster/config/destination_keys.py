"""The keys of a destination's record as a person reads them: path, default, meaning. For the command and the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from flicker_dagster.config.destinations.base import DestinationRecord, FieldRules
from flicker_dagster.config.records import Record, Tls
from flicker_dagster.config.reference import default_of
from flicker_dagster.config.shape import options, plain_kinds, records_in, tag_of, takes_any_auth


@dataclass(frozen=True)
class Key:
    """One key. `default` is empty where there is none to tell, and `required` where there has to be a value."""

    path: str
    default: str
    meaning: str


@dataclass(frozen=True)
class KeyGroup:
    """Keys that stand together, and the heading above them."""

    title: str
    keys: tuple[Key, ...]


def key_groups(record: type[DestinationRecord]) -> list[KeyGroup]:
    """All keys of a record: its own, those that all destinations have, then each way to authenticate, and TLS."""
    own, shared, below = [], [], []
    for name, field in record.model_fields.items():
        if name == "type":
            own.insert(0, Key("type", "required", f"always `{tag_of(record)}`"))
        elif name in DestinationRecord.model_fields:
            shared.append(_key(name, field))
        else:
            own += _keys(name, field)
            below += _alternatives(name, field)
    groups = [KeyGroup("Its own keys", tuple(own)), KeyGroup("Keys that every destination has", tuple(shared)), *below]
    if any(Tls in records_in(field.annotation) for field in record.model_fields.values()):
        groups.append(KeyGroup("`tls`", tuple(keys_of(Tls, "tls."))))
    groups.append(KeyGroup("`fields`", tuple(keys_of(FieldRules, "fields."))))
    return groups


def _keys(path: str, field: FieldInfo) -> list[Key]:
    """A key, with those of the record that stands under it."""
    found = [_key(path, field)]
    inner = _inner(field.annotation)
    if inner is not None:
        record, at = inner
        found += keys_of(record, f"{path}.{at}")
    return found


def keys_of(record: type[Record], prefix: str) -> list[Key]:
    """The keys of a record but for the `type` that tells it from others, each below `prefix`."""
    return [
        key for name, field in record.model_fields.items() if name != "type" or not tag_of(record)
        for key in _keys(prefix + name, field)
    ]  # fmt: skip


def _alternatives(path: str, field: FieldInfo) -> list[KeyGroup]:
    """A group for each of several records that are told apart by their `type`; those of `auth` have a page of their own."""
    if takes_any_auth(field):
        return []
    records = [record for record in records_in(field.annotation) if tag_of(record)]
    return [
        KeyGroup(f"`{path}` with `type: {tag_of(record)}`", tuple(keys_of(record, f"{path}."))) for record in records
    ]


def _inner(annotation: Any) -> tuple[type[Record], str] | None:
    """The one record under a key, and what stands before its keys: nothing, or the name of a member."""
    for kind in plain_kinds(annotation):
        if get_origin(kind) is dict:
            found = records_in(get_args(kind)[1])
            return (found[0], "NAME.") if found else None
    found = [record for record in records_in(annotation) if not tag_of(record) and record not in (Tls, FieldRules)]
    return (found[0], "") if len(found) == 1 else None


def _key(path: str, field: FieldInfo) -> Key:
    return Key(path, default_of(field).strip("`"), _meaning(field))


def _meaning(field: FieldInfo) -> str:
    meaning = field.description or ""
    words = [word for word in options(field.annotation) if isinstance(word, str)]
    unsaid = [word for word in words if f"`{word}`" not in meaning]
    tags = [tag for record in records_in(field.annotation) if (tag := tag_of(record))]
    if takes_any_auth(field):
        return f"{meaning}; one of [many ways](../auth.md)"
    if tags:
        return f"{meaning}; one of the types {', '.join(f'`{tag}`' for tag in tags)}"
    return f"{meaning} ({', '.join(f'`{word}`' for word in words)})" if len(words) > 1 and unsaid else meaning
