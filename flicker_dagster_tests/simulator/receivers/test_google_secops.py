"""The Google SecOps receiver does as the Chronicle API does, and Google's own SDK takes it for Chronicle."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from flicker_dagster.simulator.grants import JWT_BEARER
from flicker_dagster.simulator.receivers.google_secops import GoogleSecopsReceiver
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster_tests.deliver.destinations.scenes import account
from flicker_dagster_tests.simulator.receivers.asking import post
from flicker_dagster_tests.transport.minting import EMAIL

TIMES = {"log_entry_time": "2026-11-23T20:00:00.000Z", "collection_time": "2026-11-23T20:00:01Z"}


@pytest.fixture
def siem() -> Iterator[GoogleSecopsReceiver]:
    tokens = TokenServer(accounts={EMAIL: account()[1]})
    receiver = GoogleSecopsReceiver(tokens=tokens)
    yield receiver
    receiver.close()
    tokens.close()


def token(siem: GoogleSecopsReceiver) -> str:
    import jwt

    now_s = int(time.time())
    claims = {"iss": EMAIL, "scope": "https://www.googleapis.com/auth/cloud-platform", "aud": siem.tokens.url}
    assertion = jwt.encode({**claims, "iat": now_s, "exp": now_s + 3_600}, account()[0], algorithm="RS256")
    status, body = post(
        siem.tokens.url,
        f"grant_type={JWT_BEARER}&assertion={assertion}".encode(),
        Content_Type="application/x-www-form-urlencoded",
    )
    assert status == 200
    return json.loads(body)["access_token"]


def log(text: str, uid: str, **more: Any) -> dict[str, Any]:
    data = base64.b64encode(text.encode()).decode()
    return {"data": data, **TIMES, "labels": {"event_uid": {"value": uid}}, **more}


def send(
    siem: GoogleSecopsReceiver,
    logs: Any,
    *,
    forwarder: str = "f1",
    log_type: str = "OKTA",
    parent: str | None = None,
    bearer: str | None = None,
) -> tuple[int, dict[str, Any]]:
    body = {"inline_source": {"forwarder": f"{siem.parent}/forwarders/{forwarder}", "logs": logs}}
    status, answer = post(
        f"{siem.url}/v1/{parent or siem.parent}/logTypes/{log_type}/logs:import",
        body,
        Authorization=f"Bearer {bearer or token(siem)}",
    )
    return status, json.loads(answer)


def test_logs_are_taken_and_a_batch_that_came_before_is_left_out(siem: GoogleSecopsReceiver) -> None:
    assert send(siem, [log("a", "1"), log("b", "2")]) == (200, {})
    assert send(siem, [log("a", "1"), log("b", "2")]) == (200, {})
    assert siem.counts() == {"1": 1, "2": 1}
    assert siem.repeated == 1
    assert send(siem, [log("b", "2")]) == (200, {})  # another batch, though of a log that it has
    assert siem.counts() == {"1": 1, "2": 2}
    assert siem.stored[0].event == b"a"


def test_it_refuses_as_google_does(siem: GoogleSecopsReceiver) -> None:
    fine = [log("a", "1")]
    assert send(siem, fine, bearer="none")[0] == 401
    assert send(siem, fine, log_type="FOO")[0] == 400
    assert send(siem, fine, forwarder="f2")[0] == 400
    assert send(siem, fine, parent="projects/q/locations/eu/instances/i")[0] == 404
    assert send(siem, [])[0] == 400
    assert send(siem, [log("a", "1", data="no base 64")])[0] == 400
    assert send(siem, [log("a", "1", collection_time="2026-11-23T19:00:00Z")])[0] == 400
    assert send(siem, [log("a", "1", log_entry_time="yesterday")])[0] == 400
    assert send(siem, fine * 1_001)[0] == 400
    status, answer = send(siem, [log("x" * 760_000, "1")])
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    siem.permitted = False
    assert send(siem, fine)[1]["error"]["status"] == "PERMISSION_DENIED"
    assert siem.stored == []


def test_googles_own_sdk_is_served(siem: GoogleSecopsReceiver) -> None:
    pytest.importorskip("secops", reason="110 MB with what it needs: `pip install --group vendor-clients`")
    import requests
    from secops.chronicle.client import ChronicleClient
    from secops.exceptions import APIError

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token(siem)}"
    client = ChronicleClient("p", siem.parent.rpartition("/")[2], region="eu", session=session)
    client.base_url = f"{siem.url}/v1alpha"  # type: ignore[assignment]  # of another host than Google's
    times = {
        "log_entry_time": datetime(2026, 11, 23, 20, 0, tzinfo=timezone.utc),
        "collection_time": datetime(2026, 11, 23, 20, 0, 1, tzinfo=timezone.utc),
    }
    options: dict[str, Any] = {"forwarder_id": "f1", "force_log_type": True, "labels": {"event_uid": "7"}, **times}
    assert client.ingest_log(log_type="OKTA", log_message=['{"a":1}'], **options) == {}
    assert (siem.stored[0].uid, siem.stored[0].event) == ("7", b'{"a":1}')
    with pytest.raises(APIError, match="unknown log type"):
        client.ingest_log(log_type="FOO", log_message=["x"], **options)
