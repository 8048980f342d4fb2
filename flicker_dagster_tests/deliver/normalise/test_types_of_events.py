"""Each type of event becomes what it was agreed to be, and all it tells has a place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flicker_dagster_tests.deliver.normalise.documents import TYPES, VENDORS, VERSIONS, ecs, event, normaliser, ocsf
from flicker_dagster_tests.deliver.normalise.events import (
    COLLECTED_MS,
    OKTA,
    TIME_MS,
    UNKNOWN,
    event_of,
    lot_of,
    text_of,
)

GOLDEN = Path(__file__).parent / "golden"


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
