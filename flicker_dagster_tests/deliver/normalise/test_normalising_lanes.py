"""Lanes that normalise: rules come before, columns after, and the schema is in the request's name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.destinations.base import FieldRules as RulesRecord
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.encoders.ocsf.parquet import OcsfParquet
from flicker_dagster.deliver.normalise.tables import vendors
from flicker_dagster.deliver.shaping import Shaper
from flicker_dagster_tests.deliver.normalise.documents import TYPES, VERSIONS, event
from flicker_dagster_tests.deliver.normalise.events import event_of, lot_of, text_of
from flicker_dagster_tests.deliver.normalise.golden_events import golden_events
from flicker_dagster_tests.deliver.normalise.simulated import simulated


def shaper(schema: str, *, vendor: str | None = "okta", version: str = "1.8.0", **fields: Any) -> Shaper:
    record = DestinationRecord.model_validate(
        {
            "type": "any",
            "normalise": schema,
            "ocsf_version": version,
            "fields": RulesRecord(**fields) if fields else None,
        }
    )
    return Shaper(record, LaneContext("acme", vendor=vendor, env={"FLICKER_MASK_KEY": "0123456789abcdef"}))


@pytest.mark.parametrize("schema", ["ecs", "ocsf"])
def test_a_lane_normalises_what_its_rules_left_and_no_original_tells_more(schema: str) -> None:
    masking = shaper(
        schema, mask=["client.ipAddress", "request.ipChain.ip"], drop=["actor"], static={"labels.env": "prod"}
    )
    shaped, counts = masking.shaped(lot_of(event_of("okta", "user.session.start")))
    assert shaped.schema == schema
    assert b"203.0.113.9" not in shaped.array
    assert b"ana@acme.test" not in shaped.array
    assert json.loads(shaped.array)[0]["labels"]["env"] == "prod"
    assert counts.normalised == {"authentication.logon": 1}
    assert counts.masked == {"client.ipAddress": 1, "request.ipChain.ip": 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_has_columns_in_security_lake(version: str) -> None:
    for vendor in sorted(vendors()):
        told = [event(name, event_type) for name, event_type in TYPES if name == vendor]
        told += [
            text_of(json.loads(path.read_text())["event"]) for path in golden_events() if path.parent.name == vendor
        ]
        lot = lot_of(*told, *(each.event for each in simulated() if each.vendor == vendor))
        assert OcsfParquet(version).unfit(shaper("ocsf", vendor=vendor, version=version).shape(lot)) == {}


def test_schema_version_and_vendor_are_in_the_requests_name() -> None:
    lot = lot_of(event_of("okta", "user.session.start"))
    lanes = (
        shaper("ecs"),
        shaper("ocsf"),
        shaper("ocsf", version="1.9.0"),
        shaper("ecs", vendor="github"),
        shaper("ecs", vendor=None),
        shaper("ecs", drop=["x"]),
    )
    assert len({lane.shape(lot).key("json") for lane in lanes}) == len(lanes)
    assert shaper("ocsf").shape(lot).array == shaper("ocsf").shape(lot).array
