"""Events as OCSF documents, in the version that is asked for: classes and ids differ between versions, as the table has it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from flicker_dagster.deliver.normalise.mapping import Facts, VendorMapping
from flicker_dagster.deliver.normalise.placing import (
    Attribute,
    Document,
    Path,
    Placing,
    holder_of,
    original_of,
    path_of,
    put_at,
    written,
)
from flicker_dagster.deliver.normalise.tables import table
from flicker_dagster.lots import Lot
from flicker_dagster.readers import ready

OTHER = 99


class Activity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an activity is from a version on. `set` are attributes that follow from it."""

    since: str
    class_: str = msgspec.field(name="class")
    id: int
    name: str
    set: dict[str, Any] = {}


class ClassRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a class asks for from a version on."""

    since: str
    required: list[str]
    any_of: list[list[str]] = []
    absent: list[str] = []
    profiles: list[str] = []


class EventClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    uid: int
    caption: str
    rules: list[ClassRules]


class Missing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands for a required attribute: a copy of another, or a value."""

    at: str
    value: Any = None
    copy: str | None = None
    classes: list[str] | None = None


@ready
class OcsfTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """schemas/ocsf.yaml"""

    versions: list[str]
    activities: dict[str, list[Activity]]
    classes: dict[str, EventClass]
    categories: dict[int, str]
    required: list[str]
    attributes: list[Attribute]
    needs: dict[str, list[str]]
    missing: list[Missing]
    severity: dict[str, tuple[int, str]]
    status: dict[str, tuple[int, str]]


@dataclass(frozen=True)
class _Plan:
    """How events of one activity are written."""

    activity: Activity
    event_class: EventClass
    rules: ClassRules
    placing: Placing
    missing: tuple[
        tuple[Missing, Path, Path | None], ...
    ]  # with the places of what is missing, and of what it is a copy of


class OcsfNormaliser:
    """Writes events of one vendor as OCSF of one version. Safe to use from several threads.

    Placed are `metadata.uid` (the event's uid), `metadata.original_event_uid` (the vendor's id, where the version knows it),
    `metadata.event_code` (the vendor's type), `time`, `metadata.logged_time` (when it was collected), `raw_data` (the
    original as text), and in `unmapped` what no attribute tells.
    """

    schema = "ocsf"

    def __init__(self, mapping: VendorMapping, *, version: str, stream: str) -> None:
        self._table, text = table("schemas/ocsf", OcsfTable)
        if version not in self._table.versions:
            raise ValueError(f"OCSF {version} is none of {', '.join(self._table.versions)}")
        self._mapping = mapping
        self._version = version
        self._stream = stream
        self._plans = {name: self._plan(name) for name in self._table.activities}
        told = "\x00".join((version, stream, mapping.fingerprint)).encode() + text
        self.fingerprint = blake2b(told, digest_size=8).hexdigest()

    def document(self, event: bytes, lot: Lot, index: int) -> tuple[bytes, str]:
        """The document for an event of the lot, and the activity it was recognised as."""
        facts = self._mapping.facts(event)
        plan = self._plans[facts.activity]
        document = self._frame(facts, plan, lot, index)
        facts.slots["event.type"] = facts.event_type
        told = plan.placing.put(document, facts.slots)
        for name, value in plan.activity.set.items():
            document[name] = value
        self._complete(document, plan, facts)
        document["raw_data"] = original_of(event)
        rest = facts.rest(told | {"event.type", "severity", "outcome"})
        if rest:
            document["unmapped"] = rest
        return written(document, "unmapped"), facts.activity

    def _plan(self, name: str) -> _Plan:
        activity = self._reached(self._table.activities[name])
        event_class = self._table.classes[activity.class_]
        rules = self._reached(event_class.rules)

        def known(classes: list[str] | None, at: str, since: str | None = None) -> bool:
            head = at.partition(".")[0].removesuffix("[]")
            return (
                (classes is None or activity.class_ in classes)
                and head not in rules.absent
                and (since is None or _number(since) <= _number(self._version))
            )

        attributes = [each for each in self._table.attributes if known(each.classes, each.to, each.since)]
        missing = tuple(
            (each, path_of(each.at), None if each.copy is None else path_of(each.copy))
            for each in self._table.missing
            if known(each.classes, each.at)
        )
        return _Plan(activity, event_class, rules, Placing(attributes, self._table.needs), missing)

    def _reached(self, lines: list[Any]) -> Any:
        """The last line whose version is reached. Raises StopIteration where none is."""
        return next(line for line in reversed(lines) if _number(line.since) <= _number(self._version))

    def _frame(self, facts: Facts, plan: _Plan, lot: Lot, index: int) -> Document:
        activity, event_class = plan.activity, plan.event_class
        category = event_class.uid // 1_000
        activity_name = activity.name.replace("{event_type}", facts.event_type)
        severity_id, severity = self._table.severity[facts.slots.get("severity", "informational")]
        status_id, status = self._table.status[facts.slots.get("outcome", "unknown")]
        return {
            "activity_id": activity.id,
            "activity_name": activity_name,
            "category_uid": category,
            "category_name": self._table.categories[category],
            "class_uid": event_class.uid,
            "class_name": event_class.caption,
            "type_uid": event_class.uid * 100 + activity.id,
            "type_name": f"{event_class.caption}: {'Other' if activity.id == OTHER else activity_name}",
            "severity_id": severity_id,
            "severity": severity,
            "status_id": status_id,
            "status": status,
            "time": lot.time_ms(index),
            "metadata": {
                "version": self._version,
                "product": {"name": self._mapping.product.name, "vendor_name": self._mapping.product.vendor},
                "uid": lot.uids[index],
                "event_code": facts.event_type,
                "logged_time": lot.collected_ms,
                "log_name": self._stream,
                **({"profiles": plan.rules.profiles} if plan.rules.profiles else {}),
            },
        }

    def _complete(self, document: Document, plan: _Plan, facts: Facts) -> None:
        """Fill in what the class requires and the event does not tell."""
        wanted = [name for name in plan.rules.required if name not in document]
        wanted += [group[0] for group in plan.rules.any_of if not any(name in document for name in group)]
        for each, path, copied in plan.missing if wanted else ():
            if each.at not in wanted or each.at in document:
                continue
            if copied is None:
                words = {"{event_type}": facts.event_type, "{product}": self._mapping.product.name}
                put_at(document, path, _filled(each.value, words))
            elif (found := holder_of(document, copied)) is not None:
                put_at(document, path, copy.copy(found))


def _filled(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, str):
        return words.get(value, value)
    if isinstance(value, dict):
        return {key: _filled(each, words) for key, each in value.items()}
    return [_filled(each, words) for each in value] if isinstance(value, list) else value


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
