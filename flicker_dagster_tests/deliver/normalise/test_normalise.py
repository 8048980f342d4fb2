"""Events as ECS and OCSF: valid in every version, nothing lost, and each type of event what it is."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.destinations.base import FieldRules as RulesRecord
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.encoders.ocsf.parquet import OcsfParquet
from flicker_dagster.deliver.normalise import Normaliser, normaliser_of
from flicker_dagster.deliver.normalise.event_paths import EventPath
from flicker_dagster.deliver.normalise.mapping import Document, mapping_of
from flicker_dagster.deliver.normalise.tables import GENERIC, table, vendors
from flicker_dagster.deliver.shaping import Shaper
from flicker_dagster.simulator.vendors.github import GitHub
from flicker_dagster.simulator.vendors.okta import Okta
from flicker_dagster.simulator.vendors.salesforce import Salesforce
from flicker_dagster_tests.deliver.normalise.events import (
    COLLECTED_MS,
    OKTA,
    SALESFORCE_LOGIN,
    TIME_MS,
    UNKNOWN,
    event_of,
    lot_of,
    text_of,
    types_of,
)
from flicker_dagster_tests.deliver.normalise.schemas import ECS, OCSF, PACKAGED, ecs_problems, ocsf_problems, schema_of

VERSIONS = OCSF.versions
GOLDEN = Path(__file__).parent / "golden"
VENDORS = ("github", "okta", "salesforce")
TYPES = [(vendor, event_type) for vendor in VENDORS for event_type in [*types_of(vendor), UNKNOWN]]
TYPES.append(("salesforce", "Login"))


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


@cache
def simulated(count: int = 60) -> list[tuple[str, bytes]]:
    made = []
    for kind in (Okta, GitHub, Salesforce):
        vendor = kind(rate=0)
        chance = random.Random(7)
        made += [
            (kind.name, vendor.make(stream, number, TIME_MS + number, chance)[1])
            for stream in kind.streams
            for number in range(count)
        ]
        vendor.close()
    return made


# -- valid


@pytest.mark.parametrize("version", VERSIONS)
def test_every_event_of_the_simulator_is_valid_ocsf(version: str) -> None:
    assert [
        problem for vendor, text in simulated() for problem in ocsf_problems(ocsf(text, vendor, version), version)
    ] == []


def test_every_event_of_the_simulator_is_valid_ecs() -> None:
    assert [problem for vendor, text in simulated() for problem in ecs_problems(ecs(text, vendor))] == []


@pytest.mark.parametrize(("vendor", "event_type"), TYPES)
def test_every_type_of_event_is_valid_in_every_schema(vendor: str, event_type: str) -> None:
    text = event(vendor, event_type)
    for version in VERSIONS:
        assert ocsf_problems(ocsf(text, vendor, version), version) == []
    assert ecs_problems(ecs(text, vendor)) == []


@pytest.mark.parametrize(("vendor", "event_type"), TYPES)
def test_an_event_that_tells_nothing_but_its_type_is_valid_all_the_same(vendor: str, event_type: str) -> None:
    key = {"okta": "eventType", "github": "action", "salesforce": "Action"}[vendor]
    text = text_of({key: event_type})
    for version in VERSIONS:
        assert ocsf_problems(ocsf(text, vendor, version), version) == []
    assert ecs_problems(ecs(text, vendor)) == []


KEYS = st.sampled_from(
    [
        "eventType",
        "actor",
        "id",
        "alternateId",
        "target",
        "type",
        "client",
        "ipAddress",
        "uuid",
        "severity",
        "outcome",
        "result",
        "geographicalContext",
        "geolocation",
        "lat",
        "country",
        "x",
        "displayMessage",
        "securityContext",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["User", "INFO", "SUCCESS", "", "user.lifecycle.create", "203.0.113.9", "a@b.c", "\ud800", "é" * 300]
    )
)
EVENTS = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=8)
)


@given(EVENTS, st.sampled_from(["okta", "github", None]), st.sampled_from(VERSIONS))
def test_whatever_an_event_holds_it_becomes_a_valid_document_with_its_original(
    drawn: dict[str, Any], vendor: str | None, version: str
) -> None:
    text = json.dumps(drawn).encode()
    document, original = ocsf(text, vendor, version), ecs(text, vendor)
    assert ocsf_problems(document, version) == []
    assert ecs_problems(original) == []
    assert document["raw_data"].encode() == original["event"]["original"].encode() == text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[1]",
        b'{"eventType":"user.session.start"',
        b'{"eventType":"user.session.start","n":1e400}',
        b'{"eventType":"user.session.start","n":NaN,"b":"\xff"}',
        b'{"eventType":"user.session.start","displayMessage":"\\ud800 \xff"}',
        b'{"eventType":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b'{"x":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"eventType":"' + b"x" * 10_000 + b'"}',
        b'{"actor":{"id":' + b"9" * 5_000 + b"}}",
    ],
)
def test_what_no_strict_decoder_reads_is_sent_with_its_bytes(text: bytes) -> None:
    document, original = ocsf(text), ecs(text)
    assert ocsf_problems(document, "1.8.0") == []
    assert ecs_problems(original) == []
    for kept in (document["raw_data"], original["event"]["original"]):
        assert kept.encode("utf-8", "surrogateescape") == text
    expected = "user.session.start" if text.startswith(b'{"eventType":"user.session.start",') else None
    assert expected in (None, document["metadata"]["event_code"])


# -- what each event is


def what_it_is(vendor: str, event_type: str) -> list[str]:
    """The activity; type_uid and names in each version of OCSF; category, type and outcome in ECS."""
    text = event(vendor, event_type)
    documents = [ocsf(text, vendor, version) for version in VERSIONS]
    made = ecs(text, vendor)["event"]
    return [
        normaliser(vendor, "ecs").document(text, lot_of(text), 0)[1],
        *("{type_uid} {class_name}: {activity_name}".format(**document) for document in documents),
        f"{'+'.join(made['category'])} {'+'.join(made['type'])} {made['outcome']}",
    ]


@pytest.mark.parametrize("vendor", VENDORS)
def test_each_type_of_event_is_what_it_was_agreed_to_be(vendor: str) -> None:
    agreed = json.loads((GOLDEN / f"{vendor}_types.json").read_text())
    assert {event_type: what_it_is(vendor, event_type) for name, event_type in TYPES if name == vendor} == agreed


#: Whole documents: one of each class, of each vendor.
WHOLE = [
    ("okta", "user.session.start"),
    ("okta", "user.lifecycle.deactivate"),
    ("okta", "application.user_membership.add"),
    ("okta", "group.user_membership.add"),
    ("okta", "application.lifecycle.update"),
    ("okta", UNKNOWN),
    ("github", "user.failed_login"),
    ("github", "two_factor_authentication.disabled"),
    ("github", "org.add_member"),
    ("github", "repo.create"),
    ("github", "git.clone"),
    ("github", UNKNOWN),
    ("salesforce", "Login"),
    ("salesforce", "createdUser"),
    ("salesforce", "PermSetAssign"),
    ("salesforce", UNKNOWN),
]


@pytest.mark.parametrize(("vendor", "event_type"), WHOLE)
def test_a_document_is_written_as_it_was_agreed(vendor: str, event_type: str) -> None:
    text = event(vendor, event_type)
    written = {"ocsf 1.8.0": ocsf(text, vendor), "ocsf 1.9.0": ocsf(text, vendor, "1.9.0"), "ecs": ecs(text, vendor)}
    assert written == json.loads((GOLDEN / f"{vendor}_{event_type}.json").read_text())


def test_ids_and_times_have_their_places() -> None:
    text = event_of("okta", "user.session.start")
    lot, document, other = lot_of(text), ocsf(text), ecs(text)
    assert document["metadata"]["uid"] == other["event"]["id"] == lot.uids[0]
    assert document["metadata"]["original_event_uid"] == other["labels"]["vendor_event_id"] == OKTA["uuid"]
    assert document["metadata"]["event_code"] == other["event"]["action"] == "user.session.start"
    assert (document["time"], document["metadata"]["logged_time"]) == (TIME_MS, COLLECTED_MS)
    assert (other["@timestamp"], other["event"]["created"]) == ("2026-03-02T09:14:07.512Z", "2026-03-02T09:14:10.000Z")
    assert "original_event_uid" not in ocsf(text, version="1.3.0")["metadata"]


def test_what_no_attribute_tells_is_beside_and_nothing_stands_there_twice() -> None:
    document, other = ocsf(event_of("okta", "user.session.start")), ecs(event_of("okta", "user.session.start"))
    assert document["unmapped"]["transaction"] == other["okta"]["transaction"] == OKTA["transaction"]
    assert document["unmapped"]["client"]["geographicalContext"] == {"country": "France"}
    assert "geographicalContext" not in other["okta"]["client"]
    assert "uuid" not in document["unmapped"]
    assert "uuid" not in other["okta"]


def test_the_user_of_a_change_is_never_the_one_who_made_it() -> None:
    text = text_of(
        {key: value for key, value in OKTA.items() if key != "target"} | {"eventType": "user.lifecycle.create"}
    )
    document = ocsf(text)
    assert document["user"] == {"name": "unknown"}
    assert document["actor"]["user"]["name"] == "ana@acme.test"
    assert (
        ocsf(
            event_of("okta", "user.session.start").replace(
                b'"type":"User","alternateId":"bob', b'"type":"X","alternateId":"bob'
            )
        )["user"]["name"]
        == "ana@acme.test"
    )


def test_numbers_of_any_size_are_in_the_original_and_beside() -> None:
    number = 123456789012345678901234567890
    document = ocsf(text_of({"eventType": "x", "n": number, "m": 1.10}))
    assert document["unmapped"] == {"n": number, "m": 1.10}
    assert f'"n":{number}' in document["raw_data"]


@pytest.mark.parametrize(
    ("display", "user"),
    [
        ("Permission set Auditor: assigned to user Bob Ray", "Bob Ray"),
        ("Permission set Auditor: unassigned from user bob@acme.test.", "bob@acme.test"),
        ("Changed profile for user bob@acme.test, from A to B", "bob@acme.test"),
        ("Created new user Bob Ray", "Bob Ray"),
        ("Something else", "unknown"),
    ],
)
def test_salesforce_names_a_user_in_a_sentence(display: str, user: str) -> None:
    assert ocsf(text_of({"Action": "createdUser", "Display": display}), "salesforce")["user"] == {"name": user}


# -- the data


def test_every_vendor_of_the_presets_has_a_mapping() -> None:
    assert vendors() == set(VENDORS)


@pytest.mark.parametrize("vendor", [*VENDORS, GENERIC])
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


@pytest.mark.parametrize("path", ["", "a[b]", "a[b=c", "a]", "a[b=c]d"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        EventPath(path)


@pytest.mark.parametrize(
    ("path", "found", "left"),
    [
        ("a.b", 1, {"a": {"c": 2}, "l": [{"t": "X"}, {"t": "Y", "v": {"w": 3}}, 4]}),
        ("l[t=Y].v.w", 3, None),
        ("l[t=Z|Y].t", "Y", None),
        ("l[t=Z].t", None, None),
        ("a[t=Z].t", None, None),
        ("a.x", None, None),
    ],
)
def test_a_path_reads_and_takes(path: str, found: Any, left: Any) -> None:
    value: dict[str, Any] = {"a": {"b": 1, "c": 2}, "l": [{"t": "X"}, {"t": "Y", "v": {"w": 3}}, 4]}
    before = json.loads(json.dumps(value))
    assert EventPath(path).of(value) == found
    EventPath(path).take_from(value)
    assert value == (before if left is None else left)


# -- in a lane


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
    for vendor in VENDORS:
        lot = lot_of(*(event(vendor, event_type) for name, event_type in TYPES if name == vendor))
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
