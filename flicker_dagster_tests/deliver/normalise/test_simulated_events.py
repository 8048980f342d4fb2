"""Every event that a dialect of the simulator emits is recognised, valid in every schema, and loses none of what it tells."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from flicker_dagster.deliver.normalise.tables import vendors
from flicker_dagster_tests.deliver.normalise.documents import VERSIONS, ecs, normaliser, ocsf
from flicker_dagster_tests.deliver.normalise.events import lot_of
from flicker_dagster_tests.deliver.normalise.schemas import ecs_problems, ocsf_problems
from flicker_dagster_tests.deliver.normalise.simulated import Emitted, simulated

VENDORS = sorted(vendors())

#: Types that dialects emit and no mapping names: they are API activity under their own names.
UNNAMED = {
    "duo": {"telephony"},
    "google_workspace": {
        "calendar.add_event_guest",
        "chat.add_room_member",
        "chat.room_created",
        "chrome.CHROMEOS_LOGIN_EVENT",
        "chrome.DEVICE_BOOT_STATE_CHANGE",
        "context_aware_access.ACCESS_DENY_EVENT",
        "data_studio.DOWNLOAD_REPORT",
        "gcp.DELETE_POSIX_ACCOUNT",
        "gcp.IMPORT_SSH_PUBLIC_KEY",
        "groups.add_member",
        "meet.call_ended",
        "meet.livestream_watched",
        "mobile.DEVICE_REGISTER_UNREGISTER_EVENT",
        "mobile.DEVICE_SYNC_EVENT",
        "rules.action_complete",
        "rules.rule_match",
        "token.activity",
        "vault.create_matter",
        "vault.run_search",
        "vault.view_search_results",
    },
    "microsoft_365": {"DlpRuleMatch", "DlpRuleUndo"},
    "onepassword": {"user.grant", "user.join", "uva.join", "vault.grant"},
    "salesforce": {"ReportExport"},
}

#: Streams whose events do not say who did it.
NOBODYS = {("duo", "telephony")}

#: Where vendors say whether it went well.
OUTCOMES = frozenset({"result", "resultstatus", "success", "outcome", "status", "login_status", "errorcode"})


def emitted(vendor: str) -> list[Emitted]:
    return [each for each in simulated() if each.vendor == vendor]


@cache
def written(vendor: str) -> list[tuple[Emitted, dict[str, Any]]]:
    """The events with their ECS documents."""
    return [(each, ecs(each.event, vendor)) for each in emitted(vendor)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("vendor", VENDORS)
def test_every_event_is_valid_ocsf(vendor: str, version: str) -> None:
    problems = [ocsf_problems(ocsf(each.event, vendor, version), version) for each in emitted(vendor)]
    assert problems == [[] for _ in emitted(vendor)]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_event_is_valid_ecs(vendor: str) -> None:
    assert [ecs_problems(document) for _, document in written(vendor)] == [[] for _ in emitted(vendor)]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_event_is_recognised(vendor: str) -> None:
    other = set()
    for each, document in written(vendor):
        assert document["event"]["action"] != "unknown", each.event
        if normaliser(vendor, "ecs").document(each.event, lot_of(each.event), 0)[1] == "api.other":
            other.add(document["event"]["action"])
    assert other == UNNAMED.get(vendor, set())


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_event_says_who_did_it(vendor: str) -> None:
    silent = {(vendor, each.stream) for each, document in written(vendor) if "user" not in document}
    assert silent == {(name, stream) for name, stream in NOBODYS if name == vendor}


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_address_that_an_event_tells_is_where_addresses_are_looked_for(vendor: str) -> None:
    for each, document in written(vendor):
        told = {str(value) for _, value in leaves(json.loads(each.event)) if is_address(value)}
        assert told <= set(document.get("related", {}).get("ip", ())), each.event


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_event_that_says_whether_it_went_well_has_an_outcome(vendor: str) -> None:
    for each, document in written(vendor):
        if any(key.casefold() in OUTCOMES and value is not None for key, value in leaves(json.loads(each.event))):
            assert document["event"]["outcome"] in ("success", "failure"), each.event


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is neither object nor list, with its key."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, key)
    else:
        yield key, value


def is_address(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False
