"""The Datadog receiver does as the API does, and Datadog's own client takes it for Datadog."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from flicker_dagster.simulator.receivers.datadog import PATH, DatadogReceiver
from flicker_dagster_tests.deliver.contract import NOW_MS
from flicker_dagster_tests.deliver.destinations.scenes import now_s
from flicker_dagster_tests.simulator.receivers.asking import post

KEY = {"DD_API_KEY": "dd-key"}


@pytest.fixture
def siem() -> Iterator[DatadogReceiver]:
    receiver = DatadogReceiver(clock=now_s)
    yield receiver
    receiver.close()


def send(siem: DatadogReceiver, body: Any, **options: Any) -> int:
    return post(siem.url + PATH, body, **{**KEY, **options})[0]


def test_logs_are_taken_alone_or_in_an_array_packed_or_not(siem: DatadogReceiver) -> None:
    assert send(siem, {"message": "a", "event_uid": "1"}) == 202
    assert (
        send(siem, [{"message": "b", "event_uid": "2"}, {"message": '{"x":1}', "event_uid": "3"}], packed=True) == 202
    )
    assert siem.counts() == {"1": 1, "2": 1, "3": 1}
    assert siem.stored[2].beside["attributes"] == {"x": 1}


def test_it_refuses_as_datadog_does(siem: DatadogReceiver) -> None:
    assert post(siem.url + PATH, [])[0] == 401
    assert send(siem, [], DD_API_KEY="no") == 403
    assert send(siem, b"[{") == 400
    assert send(siem, [{"no": "message"}]) == 400
    assert send(siem, [{"message": "x"}] * 1_001) == 413
    assert send(siem, [{"message": "x" * 5_000_000}], packed=True) == 413
    assert send(siem, b"[]", Content_Encoding="gzip") == 400
    assert send(siem, [], Content_Type="text/csv") == 415
    assert post(siem.url + "/api/v1/input", [], **KEY)[0] == 404
    status, body = post(siem.url + PATH, [], DD_API_KEY="no")
    assert json.loads(body)["errors"][0]["status"] == str(status)
    assert siem.stored == []


def test_what_is_too_long_is_truncated_without_a_word(siem: DatadogReceiver) -> None:
    assert send(siem, [{"message": "x" * 1_000_001, "event_uid": "1"}]) == 202
    assert len(siem.stored[0].event) == 1_000_000
    assert siem.stored[0].beside["truncated"]


@pytest.mark.parametrize(("age_ms", "kept"), [(0, True), (64_800_000, True), (64_800_001, False), (-7_200_001, False)])
def test_a_time_outside_of_the_window_is_replaced(siem: DatadogReceiver, age_ms: int, kept: bool) -> None:
    send(siem, [{"message": "x", "timestamp": NOW_MS - age_ms}])
    assert siem.stored[0].beside["listed_ms"] == (NOW_MS - age_ms if kept else NOW_MS)


@pytest.mark.parametrize("compression", ["gzip", "deflate", None])
def test_datadogs_own_client_is_served(siem: DatadogReceiver, compression: str | None) -> None:
    pytest.importorskip("datadog_api_client", reason="10,000 files: `pip install --group vendor-clients`")
    from datadog_api_client import ApiClient, Configuration
    from datadog_api_client.exceptions import ApiException
    from datadog_api_client.v2.api.logs_api import LogsApi
    from datadog_api_client.v2.model.content_encoding import ContentEncoding
    from datadog_api_client.v2.model.http_log import HTTPLog
    from datadog_api_client.v2.model.http_log_item import HTTPLogItem

    settings = Configuration(
        server_operation_index={"v2.submit_log": 1, "submit_log": 1},
        server_index=1,
        server_variables={"protocol": "http", "name": siem.url.removeprefix("http://")},
    )
    settings.api_key["apiKeyAuth"] = "dd-key"
    body = HTTPLog([HTTPLogItem(message='{"a":1}', ddsource="okta", ddtags="env:prod", service="s", event_uid="7")])
    packed = {"content_encoding": ContentEncoding(compression)} if compression else {}
    with ApiClient(settings) as client:
        assert LogsApi(client).submit_log(body, **packed) == {}
        (stored,) = siem.stored
        assert (stored.uid, stored.event, stored.beside["ddtags"]) == ("7", '{"a":1}', "env:prod")
        siem.faults.plan("429", says="too many")
        with pytest.raises(ApiException) as refused:
            LogsApi(client).submit_log(body)
        assert refused.value.status == 429
