"""Destinations of `type: opensearch` towards a node, and what is read back from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import Destination, LaneContext, open_destination
from flicker_dagster.deliver.outcomes import Outcome, PerItem
from flicker_dagster.lots import Lot
from flicker_dagster_tests.real.opensearch import OpenSearch


def opened(url: str, **keys: Any) -> Destination:
    record = destination_adapter().validate_python({"type": "opensearch", "endpoint": url} | keys)
    return open_destination(record, LaneContext("okta", vendor="okta", message_field="actor.name"))


def opening(url: str, **keys: Any) -> Callable[[], Destination]:
    return lambda: opened(url, **keys)


def send(node: OpenSearch, lot: Lot, **keys: Any) -> Outcome:
    destination = opened(node.url, **keys)
    try:
        return destination.send(lot)  # type: ignore[return-value]
    finally:
        destination.close()


def kinds(outcome: Outcome) -> list[type]:
    assert isinstance(outcome, PerItem), outcome
    return [type(item) for item in outcome.items]


def uids_of(lots: Sequence[Lot]) -> list[str]:
    return sorted(uid for lot in lots for uid in lot.uids)


def ids_in(node: OpenSearch, index: str) -> list[str]:
    return sorted(each["_id"] for each in node.documents(index))


def stream(name: str) -> dict[str, Any]:
    """Keys for a data stream of a test's own, and the name it has."""
    return {"data_stream": {"dataset": name}}
