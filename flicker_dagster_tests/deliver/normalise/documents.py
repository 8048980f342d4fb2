"""Events of the tests as documents of ECS and OCSF."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from flicker_dagster.deliver.normalise import Normaliser, normaliser_of
from flicker_dagster_tests.deliver.normalise.events import (
    SALESFORCE_LOGIN,
    UNKNOWN,
    event_of,
    lot_of,
    text_of,
    types_of,
)
from flicker_dagster_tests.deliver.normalise.schemas import OCSF

VERSIONS = OCSF.versions
VENDORS = ("github", "okta", "salesforce")
TYPES = [
    *((vendor, event_type) for vendor in VENDORS for event_type in [*types_of(vendor), UNKNOWN]),
    ("salesforce", "Login"),
]


@cache
def normaliser(vendor: str | None, schema: str, version: str = "1.8.0") -> Normaliser:
    return normaliser_of(schema, vendor=vendor, stream="acme-audit", ocsf_version=version)


def ocsf(event: bytes, vendor: str | None = "okta", version: str = "1.8.0") -> dict[str, Any]:
    return json.loads(normaliser(vendor, "ocsf", version).document(event, lot_of(event), 0)[0])


def ecs(event: bytes, vendor: str | None = "okta") -> dict[str, Any]:
    return json.loads(normaliser(vendor, "ecs").document(event, lot_of(event), 0)[0])


def event(vendor: str, event_type: str) -> bytes:
    if (vendor, event_type) == ("salesforce", "Login"):
        return text_of(SALESFORCE_LOGIN)
    return event_of(vendor, event_type)
