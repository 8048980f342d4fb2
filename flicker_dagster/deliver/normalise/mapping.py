"""What a vendor's events say, in words that no schema owns: read from one YAML file per vendor beside this module.

A mapping names the product, where the event's type stands, where each fact lies, and which activity each type of event is.
An activity is a noun and a verb (`user.create`); each schema's own table says what that is there. A type that no entry names
is `api.other`, or what `otherwise` reads of the event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from flicker_dagster.deliver.normalise.event_paths import EventPath
from flicker_dagster.deliver.normalise.fact_kinds import word_of
from flicker_dagster.deliver.normalise.tables import GENERIC, table, vendors
from flicker_dagster.deliver.normalise.ways import Place, TypeWay, Ways, ways_of
from flicker_dagster.json_text import read_json
from flicker_dagster.readers import ready

#: What an event is whose type nobody has mapped.
OTHER = "api.other"

#: Types longer than this are cut: they come from outside, and schemas bound such fields.
LONGEST_TYPE_CHARS = 256
_TYPES_REMEMBERED = 2_048


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose events these are."""

    name: str
    vendor: str
    dataset: str  # ECS: event.dataset


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Types of events (in any case; `user.lifecycle.*` stands for all that begin so, after those that are named in full),
    what they are, and what lies elsewhere in them."""

    match: str | list[str]
    activity: str
    fields: dict[str, Place | list[Place]] = {}


class Otherwise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an event is whose type no entry names: by what lies at a path of it."""

    at: str
    activities: dict[str, str]


@ready
class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of one vendor."""

    product: Product
    #: The first of these that an event has; in a list of several places their words are joined with dots.
    event_type: list[Place | list[Place]]
    fields: dict[str, Place | list[Place]] = {}
    #: Vendors' words for what the schemas have words for; `*` is any other.
    values: dict[str, dict[str, str]] = {}
    otherwise: Otherwise | None = None
    events: list[Entry] = []


@dataclass
class Facts:
    """What one event says. `slots` are values by name (`actor.id`), `paths` where those lie that are told in full; `event` is
    the decoded event, which belongs to the reader, or None where no strict decoder reads it."""

    event_type: str = "unknown"
    activity: str = OTHER
    slots: dict[str, Any] = field(default_factory=dict)
    paths: dict[str, EventPath] = field(default_factory=dict)
    event: dict[str, Any] | None = None

    def rest(self, told: Iterable[str]) -> dict[str, Any]:
        """What of the event is in none of these slots."""
        if self.event is None:
            return {}
        for slot in told:
            if slot in self.paths:
                self.paths[slot].take_from(self.event)
        return self.event


class VendorMapping:
    """The compiled mapping of a vendor."""

    def __init__(self, document: Document, fingerprint: str) -> None:
        self.product = document.product
        self.fingerprint = fingerprint
        self._values = document.values
        self._type_ways = [TypeWay(places) for places in document.event_type]
        ways = ways_of(document.fields)
        self._default = (OTHER, ways)
        self._otherwise = document.otherwise
        self._otherwise_path = None if document.otherwise is None else EventPath(document.otherwise.at)
        self._exact: dict[str, tuple[str, Ways]] = {}
        self._patterns: list[tuple[re.Pattern[str], tuple[str, Ways]]] = []
        for entry in document.events:
            known = (entry.activity, ways | ways_of(entry.fields))
            for name in [entry.match] if isinstance(entry.match, str) else entry.match:
                if "*" in name:
                    self._patterns.append((re.compile(translate(name.casefold())), known))
                else:
                    self._exact.setdefault(name.casefold(), known)
        self._entry_of: Callable[[str], tuple[str, Ways] | None] = lru_cache(_TYPES_REMEMBERED)(self._matching)

    def facts(self, event: bytes) -> Facts:
        """What the event says. One that cannot be read says nothing, and is of an unknown type."""
        facts = Facts()
        try:
            decoded: Any = msgspec.json.decode(event)
            strict = True
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            decoded, strict = _leniently(event), False
        if not isinstance(decoded, dict):
            return facts
        facts.event = decoded if strict else None
        self._read_type(decoded, facts)
        entry = self._entry_of(facts.event_type)
        facts.activity, ways = self._default if entry is None else entry
        if entry is None and self._otherwise is not None and self._otherwise_path is not None:
            said = word_of(self._otherwise_path.of(decoded))
            facts.activity = self._otherwise.activities.get(said, OTHER)
        for slot, places in ways.items():
            words = self._values.get(slot)
            for way in places:
                value, path = way.fact(slot, decoded, words)
                if value is not None:
                    facts.slots[slot] = value
                    if path is not None:
                        facts.paths[slot] = path
                    break
        return facts

    def _read_type(self, event: dict[str, Any], facts: Facts) -> None:
        for way in self._type_ways:
            found, path = way.type_of(event)
            if found:
                facts.event_type = facts.slots["event.type"] = found[:LONGEST_TYPE_CHARS]
                if path is not None and len(found) <= LONGEST_TYPE_CHARS:
                    facts.paths["event.type"] = path
                break

    def _matching(self, event_type: str) -> tuple[str, Ways] | None:
        name = event_type.casefold()
        if name in self._exact:
            return self._exact[name]
        return next((known for pattern, known in self._patterns if pattern.match(name)), None)


def mapping_of(vendor: str | None) -> VendorMapping:
    """The mapping of a vendor, or the one for all others under its name. Raises msgspec.ValidationError, ValueError."""
    name = vendor if vendor is not None and vendor in vendors() else GENERIC
    document, text = table(name, Document)
    if name == GENERIC and vendor is not None:
        product = Product(name=vendor, vendor=vendor, dataset=f"{vendor}.audit")
        document = msgspec.structs.replace(document, product=product)
    return VendorMapping(document, blake2b(text + repr(document.product).encode(), digest_size=8).hexdigest())


def _leniently(event: bytes) -> Any:
    try:
        return read_json(event)
    except (ValueError, RecursionError):
        return None
