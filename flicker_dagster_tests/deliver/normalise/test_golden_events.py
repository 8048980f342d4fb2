"""Telling events of each vendor become what was agreed, and every type that a mapping names is valid everywhere."""

from __future__ import annotations

import json
from pathlib import Path

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


@pytest.mark.parametrize("vendor", sorted(vendors()))
def test_every_type_that_a_mapping_names_can_be_read_and_is_valid_even_if_nothing_else_is_told(vendor: str) -> None:
    for name, text in bare_events(vendor):
        for version in VERSIONS:
            document = ocsf(text, vendor, version)
            assert (ocsf_problems(document, version), document["metadata"]["event_code"]) == ([], name)
        assert ecs_problems(ecs(text, vendor)) == []
