"""The simulated LogScale reads structured ingest as documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from humiolib.HumioClient import HumioIngestClient
from humiolib.HumioExceptions import HumioHTTPException

from flicker_dagster.simulator.receivers.logscale import PATH, LogScaleReceiver
from flicker_dagster_tests.deliver.contract import NOW_MS, FakeClock


@pytest.fixture(scope="module")
def one() -> Iterator[LogScaleReceiver]:
    receiver = LogScaleReceiver(clock=FakeClock(), max_event_bytes=1_000, max_request_bytes=10_000)
    yield receiver
    receiver.close()


@pytest.fixture
def siem(one: LogScaleReceiver) -> LogScaleReceiver:
    one.stored.clear()
    one.cut = 0
    return one


def post(siem: LogScaleReceiver, batches: Any, *, token: str = "ingest-token", path: str = PATH) -> requests.Response:
    body = batches if isinstance(batches, bytes) else json.dumps(batches).encode()
    return requests.post(siem.url + path, data=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def events(*found: dict[str, Any]) -> list[Any]:
    return [{"tags": {"source": "okta"}, "events": list(found)}]


def test_events_are_kept_with_their_tags_attributes_and_time(siem: LogScaleReceiver) -> None:
    answer = post(
        siem,
        events(
            {"timestamp": "2026-11-23T19:59:00.007Z", "attributes": {"event_uid": "u1"}, "rawstring": "x"},
            {"timestamp": NOW_MS, "timezone": "Z", "attributes": {"event_uid": "u2", "a": {"b": 1}}},
            {"timestamp": "2026-11-23T21:00:00+01:00"},
        ),
    )
    assert (answer.status_code, answer.json()) == (200, {})
    assert [each.uid for each in siem.stored] == ["u1", "u2", ""]
    assert [each.beside["time_ms"] for each in siem.stored] == [NOW_MS - 59_993, NOW_MS, NOW_MS]
    assert siem.stored[0].beside["tags"] == {"source": "okta"}


@pytest.mark.parametrize(
    "batches",
    [
        b"{",
        {},
        [[]],
        [{"events": {}}],
        [{"events": ["x"]}],
        [{"tags": {"a": 1}, "events": []}],
        events({}),
        events({"timestamp": NOW_MS}),
        events({"timestamp": "2026-11-23T20:00:00"}),
        events({"timestamp": "2026-11-23T20:00:00Z", "attributes": []}),
        events({"timestamp": "2026-11-23T20:00:00Z", "rawstring": {}}),
    ],
)
def test_what_is_malformed_is_refused_whole(siem: LogScaleReceiver, batches: Any) -> None:
    assert post(siem, batches).status_code == 400
    assert siem.stored == []


def test_a_wrong_token_address_and_size(siem: LogScaleReceiver) -> None:
    assert post(siem, events(), token="other").status_code == 401
    assert post(siem, events(), path="/elsewhere").status_code == 404
    assert post(siem, b" " * 10_001).status_code == 413


def test_what_is_too_large_is_cut_without_a_word(siem: LogScaleReceiver) -> None:
    answer = post(siem, events({"timestamp": "2026-11-23T20:00:00Z", "rawstring": "x" * 1_001}))
    assert answer.status_code == 200
    assert (siem.cut, siem.stored[0].event) == (1, "x" * 1_000 + "...")


def test_times_far_ahead_become_the_servers(siem: LogScaleReceiver) -> None:
    post(siem, events({"timestamp": NOW_MS + 10_000, "timezone": "Z"}, {"timestamp": NOW_MS + 10_001, "timezone": "Z"}))
    assert [each.beside["time_ms"] for each in siem.stored] == [NOW_MS + 10_000, NOW_MS]


def test_the_vendors_own_client_gets_along_with_it(siem: LogScaleReceiver) -> None:
    sent = events({"timestamp": "2026-11-23T20:00:00.123+00:00", "attributes": {"event_uid": "u1"}, "rawstring": "{}"})
    assert HumioIngestClient(base_url=siem.url, ingest_token="ingest-token").ingest_json_data(sent) == {}
    assert siem.counts() == {"u1": 1}
    with pytest.raises(HumioHTTPException, match="authentication is invalid"):
        HumioIngestClient(base_url=siem.url, ingest_token="other").ingest_json_data(sent)
