"""`docs/destinations/normalise.md`, made from what is really sent.

`python -m flicker_dagster_tests.deliver.normalise.page docs/destinations/normalise.md` renews it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.shaping import Shaper
from flicker_dagster_tests.deliver.normalise.events import event_of, lot_of, patterns_of

VENDORS = ("okta", "github", "salesforce")

#: A sign-in, as Okta has it, with no more than is needed to see what becomes of it.
EVENT: dict[str, Any] = {
    "uuid": "5b1c9f0e-8a51-11ef-9c1a-6d0f4d1f7a10",
    "published": "2026-03-02T09:14:07.512Z",
    "eventType": "user.session.start",
    "displayMessage": "User login to Okta",
    "severity": "INFO",
    "actor": {"id": "00u1", "type": "User", "alternateId": "ana@acme.test", "displayName": "Ana Lopez"},
    "client": {"ipAddress": "203.0.113.9", "userAgent": {"rawUserAgent": "Mozilla/5.0"}},
    "outcome": {"result": "SUCCESS"},
    "debugContext": {"debugData": {"requestUri": "/api/v1/authn"}},
}

FIELDS = """fields:
  drop: [debugContext]
  mask: [actor.alternateId]
  mask_key: ${FLICKER_MASK_KEY}
  static: {environment: production}
"""
KEY = "an-example-key-of-more-than-16"

INTRODUCTION = """# Fields and schemas of what is sent

<!-- made from real output by `make reference` -->

Without these keys a destination gets the vendor's own bytes. They stand in a destination, of whatever type, and say what it
gets instead; ledger, dead letters and every other destination keep what the vendor sent. The rules are in
[fields](../fields.md); here is what comes of them. All examples are one sign-in at Okta:
"""


def page() -> str:
    parts = [
        INTRODUCTION.rstrip(),
        _json(EVENT),
        "## Keep, drop, mask, static",
        "```yaml\n" + FIELDS + "```",
        "The event loses `debugContext`, its actor is told by a digest that is the same wherever that key is used, and it has "
        "a field of yours; all other bytes are as they came:",
        _json(sent({"fields": {**_fields(), "mask_key": KEY}})),
        "## `normalise: ecs`",
        "A document of the Elastic Common Schema, with the original as text in `event.original`:",
        _json(sent({"normalise": "ecs"})),
        "## `normalise: ocsf`",
        "An event of the Open Cybersecurity Schema Framework (here 1.8.0, `ocsf_version` chooses), with the original as text "
        "in `raw_data`, and in `unmapped` what no field tells:",
        _json(sent({"normalise": "ocsf"})),
        "## What each type of event becomes",
        "`*` stands for any characters. A type that is not listed, and every event of a vendor without a mapping, is API "
        "Activity (ECS: category `api`), under its own type.",
        *[part for vendor in VENDORS for part in (f"### {vendor.capitalize()}", _types(vendor))],
    ]
    return "\n\n".join(parts) + "\n"


def sent(keys: dict[str, Any], vendor: str = "okta", event: bytes | None = None) -> Any:
    """What a destination with these keys is sent of an event."""
    config = destination_adapter().validate_python({"type": "http", "endpoint": "https://siem.example.com", **keys})
    text = json.dumps(EVENT, separators=(",", ":")).encode() if event is None else event
    lot = Shaper(config, LaneContext(stream="okta-audit", vendor=vendor, env={})).shape(lot_of(text))
    return json.loads(lot.events[0])


def _fields() -> dict[str, Any]:
    return yaml.safe_load(FIELDS)["fields"]


def _types(vendor: str) -> str:
    rows = []
    for pattern in patterns_of(vendor):
        event = event_of(vendor, pattern.replace("*", "x"))
        ecs = sent({"normalise": "ecs"}, vendor, event)["event"]
        ocsf = sent({"normalise": "ocsf"}, vendor, event)
        kinds = ", ".join(ecs.get("type", []))
        rows.append(
            f"| `{pattern}` | {', '.join(ecs.get('category', []))}{f': {kinds}' if kinds else ''} "
            f"| {ocsf['class_name']} ({ocsf['class_uid']}): {ocsf['activity_name']} |"
        )
    return "\n".join(["| type of event | ECS | OCSF 1.8.0 |", "| --- | --- | --- |", *rows])


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
