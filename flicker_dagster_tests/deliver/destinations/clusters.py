"""Clusters of the simulator, and destinations towards them: both servers' tests are made of these."""

from __future__ import annotations

from typing import Any

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import Destination, LaneContext, open_destination
from flicker_dagster.deliver.outcomes import Outcome, PerItem
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.bulk_api import BulkReceiver
from flicker_dagster.simulator.receivers.elasticsearch import ElasticsearchReceiver
from flicker_dagster.simulator.receivers.opensearch import OpenSearchReceiver
from flicker_dagster_tests.deliver.contract import event_of, lot_of

RECEIVERS: dict[str, Any] = {"elasticsearch": ElasticsearchReceiver, "opensearch": OpenSearchReceiver}
TARGET = "logs-okta-default"
LOT = lot_of([event_of(n) for n in range(10)])


def kind_of(cluster: BulkReceiver) -> str:
    return next(kind for kind, receiver in RECEIVERS.items() if isinstance(cluster, receiver))


def opened(
    cluster: BulkReceiver, *, env: dict[str, str] | None = None, message_field: str | None = None, **keys: Any
) -> Destination:
    """A destination towards the cluster, of the cluster's type; `keys` are those of its record."""
    record = destination_adapter().validate_python({"type": kind_of(cluster), "endpoint": cluster.url} | keys)
    context = LaneContext(
        "okta", vendor="okta", message_field=message_field, credentials=lambda: "siem.auth", env=env or {}
    )
    return open_destination(record, context)


def send(cluster: BulkReceiver, lot: Lot = LOT, **keys: Any) -> Outcome:
    destination = opened(cluster, **keys)
    try:
        outcome = destination.send(lot)
    finally:
        destination.close()
    return outcome  # type: ignore[return-value]


def kinds(outcome: Outcome) -> list[type]:
    assert isinstance(outcome, PerItem)
    return [type(item) for item in outcome.items]
