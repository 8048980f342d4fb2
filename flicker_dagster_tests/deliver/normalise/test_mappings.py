"""The mappings of vendors and the tables of schemas: what they may name."""

from __future__ import annotations

import pytest

from flicker_dagster.config.vendors import presets
from flicker_dagster.deliver.normalise import normaliser_of
from flicker_dagster.deliver.normalise.mapping import Document, mapping_of
from flicker_dagster.deliver.normalise.tables import GENERIC, table, vendors
from flicker_dagster_tests.deliver.normalise.documents import TYPES, event, ocsf
from flicker_dagster_tests.deliver.normalise.schemas import ECS, OCSF, PACKAGED, schema_of


def test_every_mapping_is_of_a_vendor_that_has_a_preset() -> None:
    assert vendors() <= set(presets())


@pytest.mark.parametrize("vendor", [*sorted(vendors()), GENERIC])
def test_a_mapping_names_known_activities_and_facts_only(vendor: str) -> None:
    document = table(vendor, Document)[0]
    told = {each.slot for each in (*OCSF.attributes, *ECS.attributes)} | {"severity", "outcome"}
    activities = {entry.activity for entry in document.events}
    activities |= set(document.otherwise.activities.values()) if document.otherwise else set()
    assert activities <= set(OCSF.activities) & set(ECS.activities)
    assert {slot for each in (document, *document.events) for slot in each.fields} <= told
    assert set(document.values.get("severity", {}).values()) <= set(OCSF.severity)
    assert set(document.values.get("outcome", {}).values()) <= set(OCSF.status)
    mapping_of(vendor)


def test_both_schemas_know_the_same_activities() -> None:
    assert set(OCSF.activities) == set(ECS.activities)


@pytest.mark.parametrize("version", PACKAGED)
def test_ids_and_captions_are_those_of_ocsf(version: str) -> None:
    classes = schema_of(version)["classes"]
    for name, lines in OCSF.activities.items():
        line = [line for line in lines if line.since <= version][-1]
        known, ours = classes[line.class_], OCSF.classes[line.class_]
        captions = {int(uid): each["caption"] for uid, each in known["attributes"]["activity_id"]["enum"].items()}
        assert (known["uid"], known["caption"]) == (ours.uid, ours.caption)
        assert captions[line.id] == (line.name if line.id != 99 else "Other"), name
        assert line.id != 99 or line.name not in captions.values(), name


def test_from_1_9_on_no_event_is_of_a_class_that_is_deprecated_there() -> None:
    deprecated = {3001, 3005}
    for vendor, event_type in TYPES:
        assert ocsf(event(vendor, event_type), vendor, "1.9.0")["class_uid"] not in deprecated


def test_a_version_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"OCSF 1\.0\.0 is none of 1\.1\.0"):
        normaliser_of("ocsf", vendor="okta", stream="s", ocsf_version="1.0.0")
