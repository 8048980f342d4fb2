"""What a vendor's events say, in words that no schema owns: read from one YAML file per vendor beside this module.

A mapping names the product, where the event's type stands, where each fact lies, and which activity each type of event is.
An activity is a noun and a verb (`user.create`); each schema's own table says what that is there. A type that no entry names
is `api.other`, or what `otherwise` reads of the event.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec
import re2

from flicker_dagster.deliver.normalise.event_paths import EventPath
from flicker_dagster.deliver.normalise.tables import GENERIC, table, vendors
from flicker_dagster.json_text import read_json

#: What an event is whose type nobody has mapped.
OTHER = "api.other"

#: Types longer than this are cut: they come from outside, and schemas bound such fields.
LONGEST_TYPE_CHARS = 256
_TYPES_REMEMBERED = 2_048

_EMAIL = re.compile(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+")


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose events these are."""

    name: str
    vendor: str
    dataset: str  # ECS: event.dataset


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact that lies inside of a text: the group `value` of the pattern, searched for by RE2; or one that always holds."""

    at: str | None = None
    pattern: str | None = None
    value: str | None = None


Place = str | Found


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


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of one vendor."""

    product: Product
    event_type: list[str]
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


class _Way:
    """One way to a fact."""

    def __init__(self, place: Place) -> None:
        found = Found(at=place) if isinstance(place, str) else place
        self._value = found.value
        self.path = None if found.at is None else EventPath(found.at)
        self._pattern = None if found.pattern is None else re2.compile(found.pattern)
        self.whole = self._pattern is None  # is all of what lies there told?

    def of(self, event: dict[str, Any]) -> Any:
        if self.path is None:
            return self._value
        value = self.path.of(event)
        if self._pattern is None:
            return value
        try:
            found = self._pattern.search(value) if isinstance(value, str) else None
        except UnicodeEncodeError:  # lone surrogates
            return None
        return None if found is None else found["value"]


Ways = dict[str, list[_Way]]


class VendorMapping:
    """The compiled mapping of a vendor."""

    def __init__(self, document: Document, fingerprint: str) -> None:
        self.product = document.product
        self.fingerprint = fingerprint
        self._values = document.values
        self._type_paths = [EventPath(path) for path in document.event_type]
        ways = _ways_of(document.fields)
        self._default = (OTHER, ways)
        self._otherwise = document.otherwise
        self._otherwise_path = None if document.otherwise is None else EventPath(document.otherwise.at)
        self._exact: dict[str, tuple[str, Ways]] = {}
        self._patterns: list[tuple[re.Pattern[str], tuple[str, Ways]]] = []
        for entry in document.events:
            known = (entry.activity, ways | _ways_of(entry.fields))
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
        for path in self._type_paths:
            found = path.of(decoded)
            if isinstance(found, str) and found:
                facts.event_type = facts.slots["event.type"] = found[:LONGEST_TYPE_CHARS]
                if len(found) <= LONGEST_TYPE_CHARS:
                    facts.paths["event.type"] = path
                break
        entry = self._entry_of(facts.event_type)
        facts.activity, ways = self._default if entry is None else entry
        if entry is None and self._otherwise is not None and self._otherwise_path is not None:
            said = self._otherwise_path.of(decoded)
            facts.activity = self._otherwise.activities.get(said, OTHER) if isinstance(said, str) else OTHER
        for slot, places in ways.items():
            words = self._values.get(slot)
            for way in places:
                found = way.of(decoded)
                value = None if found is None else _told(slot, found, words)
                if value is not None:
                    facts.slots[slot] = value
                    if way.path is not None and way.whole and (words is None or _is_word(found, words)):
                        facts.paths[slot] = way.path
                    break
        return facts

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


def _ways_of(fields: Mapping[str, Place | list[Place]]) -> Ways:
    return {
        slot: [_Way(place) for place in (places if isinstance(places, list) else [places])]
        for slot, places in fields.items()
    }


def _leniently(event: bytes) -> Any:
    try:
        return read_json(event)
    except (ValueError, RecursionError):
        return None


# -- what kind of value each fact is, by the last word of its name; None for what is no such value


def _told(slot: str, value: Any, words: Mapping[str, str] | None) -> Any:
    if words is None:
        return _KINDS.get(slot.rpartition(".")[2], _text)(value)
    return words.get(value, words.get("*")) if isinstance(value, str) else words.get("*")


def _is_word(value: Any, words: Mapping[str, str]) -> bool:
    return isinstance(value, str) and value in words


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if _number(value) is not None else None


def _ip(value: Any) -> str | None:
    try:
        return str(ipaddress.ip_address(value.strip())) if isinstance(value, str) else None
    except ValueError:
        return None


def _email(value: Any) -> str | None:
    return value if isinstance(value, str) and _EMAIL.fullmatch(value) else None


def _degrees(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and -180 <= value <= 180
    return float(value) if usable else None


def _country_code(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha() else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64 else None


_KINDS: dict[str, Callable[[Any], Any]] = {
    "ip": _ip,
    "email": _email,
    "lat": _degrees,
    "lon": _degrees,
    "country_code": _country_code,
    "as_number": _number,
}
