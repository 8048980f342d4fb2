"""Events as documents of the Elastic Common Schema."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from flicker_dagster.deliver.normalise.mapping import VendorMapping
from flicker_dagster.deliver.normalise.placing import Attribute, Document, Placing, original_of, written
from flicker_dagster.deliver.normalise.tables import table
from flicker_dagster.lots import Lot
from flicker_dagster.readers import ready
from flicker_dagster.times import rfc3339_ms


class Activity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`event.category` and `event.type`."""

    category: list[str]
    type: list[str]


@ready
class EcsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """schemas/ecs.yaml"""

    version: str
    activities: dict[str, Activity]
    expected: dict[str, list[str]]
    required: list[str]
    attributes: list[Attribute]
    needs: dict[str, list[str]]
    related: dict[str, list[str]]


class EcsNormaliser:
    """Writes events of one vendor as ECS. Safe to use from several threads.

    Placed are `event.id` (the event's uid), `labels.vendor_event_id` (the vendor's id), `event.action` and `event.code` (the
    vendor's type), `@timestamp`, `event.created` (when it was collected), `event.original` (the original as text), and below
    the vendor's name what no field tells. `event.ingested` is the cluster's.
    """

    schema = "ecs"

    def __init__(self, mapping: VendorMapping, *, vendor: str | None) -> None:
        self._table, text = table("schemas/ecs", EcsTable)
        self._mapping = mapping
        self._module = vendor or "vendor"
        self._placing = Placing(self._table.attributes, self._table.needs)
        told = "\x00".join((self._module, mapping.fingerprint)).encode() + text
        self.fingerprint = blake2b(told, digest_size=8).hexdigest()

    def document(self, event: bytes, lot: Lot, index: int) -> tuple[bytes, str]:
        """The document for an event of the lot, and the activity it was recognised as."""
        facts = self._mapping.facts(event)
        activity = self._table.activities[facts.activity]
        document: Document = {
            "@timestamp": rfc3339_ms(lot.time_ms(index)),
            "ecs": {"version": self._table.version},
            "event": {
                "kind": "event",
                "category": activity.category,
                "type": activity.type,
                "action": facts.event_type,
                "code": facts.event_type,
                "outcome": facts.slots.get("outcome", "unknown"),
                "id": lot.uids[index],
                "created": rfc3339_ms(lot.collected_ms),
                "module": self._module,
                "dataset": self._mapping.product.dataset,
                "provider": lot.source,
                "original": original_of(event),
            },
            "observer": {"vendor": self._mapping.product.vendor, "product": self._mapping.product.name},
        }
        told = self._placing.put(document, facts.slots)
        for kind, slots in self._table.related.items():
            values = dict.fromkeys(facts.slots[slot] for slot in slots if slot in facts.slots)
            if values:
                document.setdefault("related", {})[kind] = list(values)
        rest = facts.rest(told | {"event.type", "outcome"})
        if rest:
            document[self._module] = rest
        return written(document, self._module), facts.activity
