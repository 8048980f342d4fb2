"""Where the state of each configured lane lies, also where the configuration called it otherwise before.

A lane is known by its name. The lane of a single destination has none: it goes on with the state of the lane that was
called as it is, or whose destination was configured in the same way; and so does a list with that of a single destination.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.state.lane_book import LanePlace
from flicker_dagster.state.lane_health import LaneHealthFile
from flicker_dagster.state.layout import StateLayout

#: The configured destinations by their lanes' names.
Lanes = Mapping[str, DestinationRecord]


def fingerprint(record: DestinationRecord) -> str:
    """Of where a destination is and how it is spoken to, whatever its lane is called."""
    plain = record.model_copy(update={"name": None, "required": True, "start_from": "now"})
    return hashlib.blake2b(plain.model_dump_json().encode(), digest_size=8).hexdigest()


def places_of(
    source: str, lanes: Lanes, layout: StateLayout, *, begun: bool, since_ms: Mapping[str, int | None], note: bool
) -> dict[str, LanePlace]:
    """The place of every configured lane; those that are new are written down, unless `note` is false. Raises StateError."""
    book = layout.lane_book(source)
    if "" in lanes:
        record, known = lanes[""], book.read()
        name = record.lane_name if record.lane_name in known else _used_as(source, layout, record, known)
        return {"": LanePlace() if name is None else known[name]}
    single = _health_of(source, layout, "")
    heir = next((name for name, record in lanes.items() if fingerprint(record) == single), None)
    return book.places(list(lanes), begun=begun, since_ms=since_ms, heir=heir, note=note)


def storages_in_use(source: str, lanes: Lanes, layout: StateLayout) -> set[str]:
    """Where the state of the configured lanes lies, of those that are known already. Raises StateError."""
    if "" in lanes:
        return {places_of(source, lanes, layout, begun=False, since_ms={}, note=False)[""].storage}
    return {place.storage for name, place in layout.lane_book(source).read().items() if name in lanes}


def former_storages(source: str, lanes: Lanes, layout: StateLayout) -> dict[str, str]:
    """Where the state of every lane lies that there ever was, the unnamed one included. Raises StateError."""
    known = layout.lane_book(source).read()
    single = _health_of(source, layout, "")
    heir = next((name for name, r in lanes.items() if name in known and fingerprint(r) == single), None)
    return {"": "" if heir is None else known[heir].storage} | {name: place.storage for name, place in known.items()}


def _used_as(source: str, layout: StateLayout, record: DestinationRecord, names: Collection[str]) -> str | None:
    """Of these lanes the one whose destination last took something configured as this one is, on this machine."""
    wanted = fingerprint(record) if names else None
    return next((name for name in names if _health_of(source, layout, name) == wanted), None)


def _health_of(source: str, layout: StateLayout, lane: str) -> str | None:
    return LaneHealthFile(layout.spool(source).directory, lane).read().answered_as
