"""Events of vendors, and what was agreed to become of them: `golden/<vendor>/<what it is>.json`, with the documents.

`python -m flicker_dagster_tests.deliver.normalise.golden_events` writes the documents anew. What that changes is to be read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flicker_dagster_tests.deliver.normalise.documents import ecs, ocsf
from flicker_dagster_tests.deliver.normalise.events import text_of

GOLDEN = Path(__file__).parent / "golden"


def golden_events() -> list[Path]:
    return sorted(GOLDEN.glob("*/*.json"))


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def documents_of(vendor: str, event: Any) -> dict[str, Any]:
    """What is sent of the event, without the original that goes along."""
    text = text_of(event)
    made = {"event": event, "ecs": ecs(text, vendor), "ocsf 1.8.0": ocsf(text, vendor)}
    del made["ecs"]["event"]["original"], made["ocsf 1.8.0"]["raw_data"]
    return made


if __name__ == "__main__":
    for path in golden_events():
        made = documents_of(path.parent.name, json.loads(path.read_text())["event"])
        path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
