"""What a mapping can say of events that are not all alike."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from flicker_dagster.deliver.normalise.mapping import Document, Facts, VendorMapping


def facts(mapping: dict[str, Any], event: dict[str, Any]) -> Facts:
    product = {"name": "Vault", "vendor": "Acme", "dataset": "acme.audit"}
    document = msgspec.convert({"product": product, "event_type": ["type"], **mapping}, Document)
    return VendorMapping(document, "").facts(json.dumps(event).encode())


def test_a_type_may_be_a_number() -> None:
    said = facts({"events": [{"match": "1005", "activity": "authentication.logon"}]}, {"type": 1005})
    assert (said.event_type, said.activity) == ("1005", "authentication.logon")
    assert said.rest({"event.type"}) == {}


def test_a_type_that_two_places_tell_is_both_and_both_stay() -> None:
    mapping = {
        "event_type": [["object", "action"], "action"],
        "events": [{"match": "user.*", "activity": "user.create"}],
    }
    both, one = facts(mapping, {"object": "user", "action": "create"}), facts(mapping, {"action": "reveal"})
    assert (both.event_type, both.activity) == ("user.create", "user.create")
    assert both.rest({"event.type"}) == {"object": "user", "action": "create"}
    assert (one.event_type, one.activity) == ("reveal", "api.other")


def test_events_without_a_type_are_recognised_by_what_they_have() -> None:
    mapping = {"event_type": ["type", {"at": "signedInAt", "value": "sign-in"}]}
    assert facts(mapping, {"signedInAt": "2026-03-02"}).event_type == "sign-in"
    assert facts(mapping, {"type": "x", "signedInAt": "2026-03-02"}).event_type == "x"
    assert facts(mapping, {"other": 1}).event_type == "unknown"


@pytest.mark.parametrize(
    ("said", "outcome"), [(True, "success"), (False, "failure"), (0, "success"), (50126, "failure"), ("ok", "success")]
)
def test_words_may_be_numbers_and_booleans(said: Any, outcome: str) -> None:
    words = {"true": "success", "0": "success", "ok": "success", "*": "failure"}
    mapping = {"fields": {"outcome": "result"}, "values": {"outcome": words}}
    assert facts(mapping, {"type": "x", "result": said}).slots["outcome"] == outcome


def test_a_value_of_the_mapping_is_no_word_of_the_vendor() -> None:
    mapping = {
        "fields": {"outcome": "result"},
        "values": {"outcome": {"ok": "success"}},
        "events": [
            {"match": "refused", "activity": "authentication.logon", "fields": {"outcome": {"value": "failure"}}}
        ],
    }
    assert facts(mapping, {"type": "refused", "result": "ok"}).slots["outcome"] == "failure"


@pytest.mark.parametrize(
    ("said", "activity"), [(200, "api.read"), (True, "api.update"), ([], "api.other"), (None, "api.other")]
)
def test_what_else_an_event_is_may_be_told_by_a_number_or_a_boolean(said: Any, activity: str) -> None:
    mapping = {"otherwise": {"at": "code", "activities": {"200": "api.read", "true": "api.update"}}}
    assert facts(mapping, {"type": "x", "code": said}).activity == activity
