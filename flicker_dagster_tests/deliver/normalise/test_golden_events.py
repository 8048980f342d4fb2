"""Telling events of each vendor become what was agreed; what a mapping reads, it reads of whatever is sent."""

from __future__ import annotations

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.deliver.normalise.tables import vendors
from flicker_dagster_tests.deliver.normalise.bare_events import bare_events
from flicker_dagster_tests.deliver.normalise.documents import VERSIONS, ecs, ocsf
from flicker_dagster_tests.deliver.normalise.events import text_of
from flicker_dagster_tests.deliver.normalise.golden_events import documents_of, golden_events, name_of
from flicker_dagster_tests.deliver.normalise.schemas import ecs_problems, ocsf_problems


@pytest.mark.parametrize("path", golden_events(), ids=name_of)
def test_an_event_becomes_the_documents_that_were_agreed(path: Path) -> None:
    agreed = json.loads(path.read_text())
    assert documents_of(path.parent.name, agreed["event"]) == agreed


@pytest.mark.parametrize("path", golden_events(), ids=name_of)
def test_a_golden_event_is_valid_in_every_schema_with_its_original(path: Path) -> None:
    vendor, text = path.parent.name, text_of(json.loads(path.read_text())["event"])
    for version in VERSIONS:
        document = ocsf(text, vendor, version)
        assert ocsf_problems(document, version) == []
        assert document["raw_data"].encode() == text
    assert ecs_problems(ecs(text, vendor)) == []
    assert ecs(text, vendor)["event"]["original"].encode() == text


#: What no vendor should send, and what belongs elsewhere.
STRANGE: list[Any] = [
    None,
    -1,
    True,
    1.5,
    [],
    {},
    "",
    "\ud800",
    10**30,
    [{"a": 1}],
    "x" * 5_000,
    "*",
    "[::1]:99",
    "a@b.c",
]


@pytest.mark.parametrize("path", golden_events(), ids=name_of)
def test_whatever_lies_in_the_place_of_a_fact_the_document_is_valid(path: Path) -> None:
    vendor, event = path.parent.name, json.loads(path.read_text())["event"]
    for (holder, key), strange in zip(places(event), cycle(STRANGE)):
        told, holder[key] = holder[key], strange
        text = json.dumps(event).encode()
        assert ocsf_problems(ocsf(text, vendor), "1.8.0") == []
        assert ecs_problems(ecs(text, vendor)) == []
        holder[key] = told


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place of an event: what holds it, and its key there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [found for key in keys for found in ((value, key), *places(value[key]))]


@pytest.mark.parametrize("vendor", sorted(vendors()))
def test_every_type_that_a_mapping_names_can_be_read_and_is_valid_even_if_nothing_else_is_told(vendor: str) -> None:
    for name, text in bare_events(vendor):
        for version in VERSIONS:
            document = ocsf(text, vendor, version)
            assert (ocsf_problems(document, version), document["metadata"]["event_code"]) == ([], name)
        assert ecs_problems(ecs(text, vendor)) == []
