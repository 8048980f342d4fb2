"""The keys of a destination's record as a person reads them: path, default, meaning. For the command and the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.destinations.base import DestinationRecord, FieldRules
from flicker_dagster.config.records import Record, Template, Tls
from flicker_dagster.config.reference import MEANINGS, default_of
from flicker_dagster.config.shape import options, plain_kinds, records_in, tag_of

#: What every bare template says of itself, which is no meaning.
_ANY_TEMPLATE = get_args(Template)[1].description

#: Meanings by a key's last name, where its record gives none.
_BY_NAME = {
    "endpoint": "address that is posted to; a template",
    "token": "the token; a template",
    "username": "the user's name; a template",
    "password": "the password; a template",
    "secret": "the secret that the hash is made with; a template",
    "client_id": "the client's id; a template",
    "client_secret": "the client's secret; a template",
    "access_key_id": "the access key; a template",
    "secret_access_key": "its secret; a template",
    "session_token": "token of temporary keys; a template",
    "bucket": "the bucket's name; a template",
    "region": "region that requests are signed for; a template",
    "header": "header that carries it",
    "name": "the header's name",
    "value": "the header's value; a template",
    "algorithm": "the hash",
    "encoding": "how the hash is written",
    "require_auth": "refuse to start without a way to authenticate",
    "headers": "more request headers; templates",
    "compression": "how bodies are packed",
    "success_status": "answers that count as taken",
    "tls": "client certificate and authorities, see below",
    "format": "how a body is made of events",
    "auth": "how requests are signed, see below",
}


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
    if is_any_auth(field):
        return []
    records = [record for record in records_in(field.annotation) if tag_of(record)]
    return [
        KeyGroup(f"`{path}` with `type: {tag_of(record)}`", tuple(keys_of(record, f"{path}."))) for record in records
    ]


def is_any_auth(field: FieldInfo) -> bool:
    """Does a key take every way to sign?"""
    return set(records_in(get_args(Auth)[0])) <= set(records_in(field.annotation))


def _inner(annotation: Any) -> tuple[type[Record], str] | None:
    """The one record under a key, and what stands before its keys: nothing, or the name of a member."""
    for kind in plain_kinds(annotation):
        if get_origin(kind) is dict:
            found = records_in(get_args(kind)[1])
            return (found[0], "NAME.") if found else None
    found = [record for record in records_in(annotation) if not tag_of(record) and record not in (Tls, FieldRules)]
    return (found[0], "") if len(found) == 1 else None


def _key(path: str, field: FieldInfo) -> Key:
    return Key(path, default_of(field).strip("`"), _meaning(path, field))


def _meaning(path: str, field: FieldInfo) -> str:
    described = field.description if field.description != _ANY_TEMPLATE else None
    name = path.rpartition(".")[2]
    meaning = described or _BY_NAME.get(name) or MEANINGS.get(path) or MEANINGS.get(f"destination.{name}")
    meaning = meaning or _ANY_TEMPLATE
    words = [word for word in options(field.annotation) if isinstance(word, str)]
    unsaid = [word for word in words if f"`{word}`" not in meaning]
    tags = [tag for record in records_in(field.annotation) if (tag := tag_of(record))]
    if is_any_auth(field):
        return f"{meaning.removesuffix(', see below')}; one of [many ways](../auth.md)"
    if tags:
        return f"{meaning}; one of the types {', '.join(f'`{tag}`' for tag in tags)}"
    return f"{meaning} ({', '.join(f'`{word}`' for word in words)})" if len(words) > 1 and unsaid else meaning
