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
from flicker_dagster.deliver.normalise.mapping import Document, Entry
from flicker_dagster.deliver.normalise.tables import table, vendors
from flicker_dagster.deliver.normalise.ways import Found
from flicker_dagster.deliver.shaping import Shaper
from flicker_dagster_tests.deliver.normalise.events import lot_of
from flicker_dagster_tests.deliver.normalise.schemas import ECS, OCSF

#: In which version of OCSF the page says what events become.
VERSION = "1.8.0"

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
        f"An event of the Open Cybersecurity Schema Framework (here {VERSION}, `ocsf_version` chooses), with the original as "
        "text in `raw_data`, and in `unmapped` what no field tells:",
        _json(sent({"normalise": "ocsf"})),
        "## Vendors whose events are recognised",
        ", ".join(f"[{_product(vendor)}](#{vendor})" for vendor in sorted(vendors())) + ".",
        "`*` stands for any characters; a type that is told by two fields of the vendor is both, with a dot. A type that is "
        "not listed, and every event of a vendor that is not, is API Activity (ECS: category `api`), under its own type.",
        *[part for vendor in sorted(vendors()) for part in _vendor(vendor)],
    ]
    return "\n\n".join(parts) + "\n"


def sent(keys: dict[str, Any]) -> Any:
    """What a destination with these keys is sent of the event."""
    config = destination_adapter().validate_python({"type": "http", "endpoint": "https://siem.example.com", **keys})
    text = json.dumps(EVENT, separators=(",", ":")).encode()
    lot = Shaper(config, LaneContext(stream="okta-audit", vendor="okta", env={})).shape(lot_of(text))
    return json.loads(lot.events[0])


def _fields() -> dict[str, Any]:
    return yaml.safe_load(FIELDS)["fields"]


def _product(vendor: str) -> str:
    return table(vendor, Document)[0].product.name


def _vendor(vendor: str) -> list[str]:
    """A heading of the vendor's name, and what each type of event is."""
    document = table(vendor, Document)[0]
    types: dict[str, list[str]] = {}
    for entry in document.events:
        types.setdefault(entry.activity, []).extend(_named(entry))
    if document.otherwise is not None:
        for word, activity in document.otherwise.activities.items():
            types.setdefault(activity, []).append(f"others with `{document.otherwise.at}: {word}`")
    rows = [f"| {_ecs(activity)} | {_ocsf(activity)} | {', '.join(names)} |" for activity, names in types.items()]
    heads = [f"| ECS | OCSF {VERSION} | types of event |", "| --- | --- | --- |"]
    return [f"### {vendor}", f"{document.product.name}:", "\n".join([*heads, *rows])]


def _named(entry: Entry) -> list[str]:
    """The types of an entry, with what the mapping calls those that are numbers or codes."""
    said = entry.fields.get("message")
    called = f" ({said.value})" if isinstance(said, Found) and said.value else ""
    return [f"`{name}`{called}" for name in ([entry.match] if isinstance(entry.match, str) else entry.match)]


def _ecs(activity: str) -> str:
    known = ECS.activities[activity]
    return f"{', '.join(known.category)}: {', '.join(known.type)}"


def _ocsf(activity: str) -> str:
    reached = [line for line in OCSF.activities[activity] if _numbers(line.since) <= _numbers(VERSION)][-1]
    event_class = OCSF.classes[reached.class_]
    return f"{event_class.caption} ({event_class.uid}): {reached.name}"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
