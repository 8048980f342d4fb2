"""What a vendor's documentation leaves open: presets hold whichever way the simulated API decides it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.vendors import presets
from flicker_dagster.errors import VendorRefused
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendors.github import GitHub
from flicker_dagster.simulator.vendors.jumpcloud import JumpCloud
from flicker_dagster.simulator.vendors.okta import Okta
from flicker_dagster.simulator.vendors.salesforce import Salesforce
from flicker_dagster_tests.catalogue.rows import ROWS
from flicker_dagster_tests.catalogue.scenes import HOUR_MS, scene_of

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("airtable", {"newest_first_in_pages": False}),
    ("bitwarden", {"storage": "sql"}),
    ("cloudflare", {"inclusive": True}),
    ("cloudflare", {"nested_cursor": True}),
    ("hubspot", {"sort": "occurredAt"}),
    ("jumpcloud", {"end_inclusive": True}),
    ("lastpass", {"rows_per_page": 7}),
    ("microsoft_365", {"again_after_s": 600.0}),
    ("microsoft_365", {"next_header": "NextPageUrl", "blobs_per_page": 1}),
    ("atlassian", {"polling_cursor": True, "processed_at": True}),
    ("box", {"text_positions": True}),
    ("box", {"behind_s": 12.0}),
    ("confluence", {"largest_page": 3, "next_links": True}),
    ("mimecast", {"ends_empty": False}),
    ("miro", {"end": "null"}),
    ("onelogin", {"refused_with_200": True}),
    ("proofpoint", {"nothing_is_204": False}),
    ("snyk", {"api_access": 0.5}),
    ("terraform", {"inclusive": True}),
    ("webex", {"newest_first": False}),
    ("wiz", {"newest_first": False}),
    ("workday", {"rotates": True}),
    ("zendesk", {"edges_listed": False}),
]

#: Vendors that leave out what happened at the very start of the span asked for, and those that take it in.
EDGES = [
    "cloudflare",
    "crowdstrike",
    "terraform",
    "wiz",
    "openai",
    "snyk",
    "tailscale",
    "pingone",
    "jumpcloud",
    "entra",
    "google_workspace",
    "duo",
    "onelogin",
    "bitwarden",
    "lastpass",
    "docker_hub",
    "webex",
    "onepassword",
    "okta",
    "zendesk",
    "hubspot",
    "monday",
    "airtable",
    "miro",
    "linear",
    "workday",
    "servicenow",
    "pagerduty",
    "launchdarkly",
    "sentry",
    "stripe",
    "twilio",
]


@pytest.fixture(scope="module")
def siem() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("row", ["plain", "ties", "sweep"])
@pytest.mark.parametrize(("vendor", "options"), VARIANTS)
def test_each_event_arrives_once(
    tmp_path: Path, siem: Receiver, vendor: str, options: dict[str, Any], row: str
) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, _first(vendor), options=options) as scene:
        ROWS[row][0](scene)


@pytest.mark.parametrize("vendor", EDGES)
def test_a_window_holds_what_happened_at_its_start_and_not_at_its_end(
    tmp_path: Path, siem: Receiver, vendor: str
) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, _first(vendor), window={"size": "hour"}) as scene:
        scene.begin()
        window = scene.window_of(scene.clock.now_ms + HOUR_MS)
        scene.clock.now_s = window.end_ms / 1000
        for at_ms in (window.start_ms, window.end_ms - 1000, window.end_ms):
            scene.emitter.emit(1, at_ms=at_ms)
        scene.clock.wait(HOUR_MS / 1000)
        assert scene.sweep_anyhow(window).tally.seen == 2
        scene.drain()
        scene.assert_each_once()


@pytest.mark.parametrize("vendor", ["proofpoint", "terraform", "snyk", "tailscale"])
def test_what_is_still_kept_is_collected_from_its_edge_on(tmp_path: Path, siem: Receiver, vendor: str) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, _first(vendor), start_from="100d") as scene:
        scene.emit(5, seconds_ago=3_600)
        scene.clock.wait(1.7)  # no whole second, as the edge is in none
        assert scene.poll().complete
        scene.assert_each_once()


def test_requests_that_are_recorded_themselves_feed_no_endless_walk(tmp_path: Path, siem: Receiver) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, "anthropic", "", page_size=None, options={"records_reads": True}) as scene:
        scene.begin()
        emitted = scene.emit(11)
        before = scene.vendor.requests
        for _ in range(10):
            assert scene.poll().complete
            scene.clock.wait(60)
        assert scene.vendor.requests == before + 10
        received = scene.received()
        assert {event.id for event in emitted} <= set(received)
        assert set(received.values()) == {1}


#: Other ways to sign than the preset's first, as parameters of the account that the dialect knows.
KEYS: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("github", {"app": True}, GitHub.app_params()),
    ("salesforce", {}, Salesforce.jwt_params()),
]


@pytest.mark.parametrize("row", ["plain", "expired token", "one token"])
@pytest.mark.parametrize(("vendor", "options", "params"), KEYS)
def test_each_event_arrives_once_for_who_signs_with_a_key(
    tmp_path: Path, siem: Receiver, vendor: str, options: dict[str, Any], params: dict[str, str], row: str
) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, _first(vendor), options=options, params=params) as scene:
        ROWS[row][0](scene)


@pytest.mark.parametrize("row", ["expired token", "one token"])
@pytest.mark.parametrize("vendor", ["onelogin", "wiz"])
def test_a_token_that_is_refused_by_a_200_is_renewed(tmp_path: Path, siem: Receiver, vendor: str, row: str) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, "", options={"refused_with_200": True}) as scene:
        ROWS[row][0](scene)
        assert scene.failures == []


@pytest.mark.parametrize("row", ["plain", "sweep"])
def test_one_of_an_administrators_organisations_is_read(tmp_path: Path, siem: Receiver, row: str) -> None:
    siem.forget()
    params = JumpCloud.params | {"org_id": "5e1f00a1b2c3d4e5f6a7b8c9"}
    with scene_of(tmp_path, siem, "jumpcloud", "", options={"several_orgs": True}, params=params) as scene:
        ROWS[row][0](scene)


def test_an_organisation_that_is_not_given_is_asked_for_by_name(tmp_path: Path, siem: Receiver) -> None:
    siem.forget()
    refused = pytest.raises(VendorRefused, match=r"no organization selected.* as params\.org_id")
    with scene_of(tmp_path, siem, "jumpcloud", "", options={"several_orgs": True}) as scene, refused:
        scene.poll()


def _first(vendor: str) -> str:
    return next(iter(presets()[vendor].streams), "")


@pytest.mark.parametrize("row", ["plain", "expired token", "clock -1 h"])
def test_okta_is_read_with_a_service_applications_key(tmp_path: Path, siem: Receiver, row: str) -> None:
    siem.forget()
    skew_s = -3600.0 if row == "clock -1 h" else 0.0
    with scene_of(
        tmp_path, siem, "okta", "", skew_s=skew_s, options={"oauth": True}, params=Okta.oauth_params
    ) as scene:
        ROWS[row][0](scene)


@pytest.mark.parametrize(("vendor", "options"), [("docker_hub", {}), ("lastpass", {"rows_per_page": 7})])
def test_equal_rows_are_counted_on_by_a_walk_that_was_killed(
    tmp_path: Path, siem: Receiver, vendor: str, options: dict[str, Any]
) -> None:
    siem.forget()
    with scene_of(tmp_path, siem, vendor, _first(vendor), options=options) as scene:
        scene.begin()
        scene.emit(40, seconds_ago=30, apart_ms=0)
        for page in (1, 2, 1):
            scene.die_after_page(page)
        scene.drain()
        scene.assert_each_once()


@pytest.mark.parametrize(("cap", "apart_ms"), [(9, 300), (40, 0)])
def test_events_beyond_a_silent_cap_are_asked_for_from_the_last_one_on(
    tmp_path: Path, siem: Receiver, cap: int, apart_ms: int
) -> None:
    """`apart_ms: 0`: nearly as many of one instant as the cap."""
    siem.forget()
    keys: dict[str, Any] = {"paging": {"most": cap}}
    with scene_of(tmp_path, siem, "workday", "", options={"instances": cap}, **keys) as scene:
        for seconds_ago in (600, 500, 400, 300):
            scene.emit(33, seconds_ago=seconds_ago, apart_ms=apart_ms)
        scene.drain()
        scene.assert_each_once()
