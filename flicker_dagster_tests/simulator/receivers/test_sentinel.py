"""The Sentinel receiver does as the Logs Ingestion API does, and Azure's own client takes it for Azure."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.monitor.ingestion import LogsIngestionClient

from flicker_dagster.simulator.receivers.sentinel import SentinelReceiver
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster_tests.simulator.receivers.asking import post
from flicker_dagster_tests.transport.minting import Clock

SCOPE = "https://monitor.azure.com//.default"
ROW = {"TimeGenerated": "2026-11-23T20:00:00.000Z", "EventUid": "1", "Raw": "{}"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def siem(clock: Clock) -> Iterator[SentinelReceiver]:
    tokens = TokenServer(clients={"flicker": "secret"}, scopes=frozenset({SCOPE}), clock=clock)
    receiver = SentinelReceiver(tokens=tokens, clock=clock)
    yield receiver
    receiver.close()
    tokens.close()


def token(siem: SentinelReceiver) -> str:
    form = f"grant_type=client_credentials&client_id=flicker&client_secret=secret&scope={SCOPE}"
    status, body = post(siem.tokens.url, form.encode(), Content_Type="application/x-www-form-urlencoded")
    assert status == 200
    return json.loads(body)["access_token"]


def send(
    siem: SentinelReceiver,
    body: Any,
    *,
    rule: str | None = None,
    stream: str = "Custom-SaasAudit",
    query: str = "?api-version=2023-01-01",
    bearer: str | None = None,
    **options: Any,
) -> tuple[int, bytes]:
    url = f"{siem.url}/dataCollectionRules/{rule or siem.rule_id}/streams/{stream}{query}"
    return post(url, body, Authorization=f"Bearer {bearer or token(siem)}", **options)


def test_rows_are_taken_with_204_and_nothing_else(siem: SentinelReceiver) -> None:
    assert send(siem, [ROW], packed=True) == (204, b"")
    assert siem.stored[0].event == ROW
    assert siem.stored[0].beside["lost"] == {}


def test_it_refuses_as_azure_does(siem: SentinelReceiver, clock: Clock) -> None:
    assert send(siem, ROW)[0] == 400
    assert send(siem, b"[{")[0] == 400
    assert send(siem, [1])[0] == 400
    assert send(siem, [ROW], query="")[0] == 400
    assert send(siem, [ROW], rule="dcr-other")[0] == 404
    assert send(siem, [ROW], stream="Custom-Other")[0] == 404
    assert send(siem, [ROW], bearer="none")[0] == 401
    assert send(siem, [ROW], Content_Type="text/plain")[0] == 415
    siem.granted = False
    status, body = send(siem, [ROW])
    assert (status, json.loads(body)["error"]["code"]) == (403, "OperationFailed")
    siem.granted = True
    old = token(siem)
    clock.now_s += 3_601
    assert send(siem, [ROW], bearer=old)[0] == 401
    assert siem.stored == []


def test_its_limit_counts_before_compression_and_after_it(siem: SentinelReceiver) -> None:
    assert send(siem, [{**ROW, "Raw": "x" * 1_000_000}], packed=True)[0] == 413
    noise = random.Random(1).randbytes(1_000_001)
    assert send(siem, noise, Content_Encoding="gzip")[0] == 413


def test_it_loses_columns_without_a_word(siem: SentinelReceiver) -> None:
    row = {**ROW, "Raw": "ä" * 40_000, "Other": 1, "Source": 5}
    assert send(siem, [row])[0] == 204
    (stored,) = siem.stored
    assert stored.beside["lost"] == {"Raw": "truncated", "Other": "not declared", "Source": "not of its type"}
    assert len(stored.event["Raw"].encode()) == 65_536
    assert stored.event["Source"] is None


class Credential:
    """Tokens as azure-identity would get them."""

    def __init__(self, siem: SentinelReceiver) -> None:
        self._siem = siem

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes == (SCOPE,)
        return AccessToken(token(self._siem), 2_000_000_000)


def test_azures_own_client_is_served(siem: SentinelReceiver) -> None:
    with LogsIngestionClient(siem.url, Credential(siem), credential_scopes=[SCOPE], retry_total=0) as client:  # type: ignore[arg-type]
        client.upload(siem.rule_id, "Custom-SaasAudit", [ROW, {**ROW, "EventUid": "2"}], enforce_https=False)
        assert siem.counts() == {"1": 1, "2": 1}
        with pytest.raises(HttpResponseError) as refused:
            client.upload("dcr-other", "Custom-SaasAudit", [ROW], enforce_https=False)
        assert refused.value.status_code == 404
        assert refused.value.error is not None
        assert refused.value.error.code == "NotFound"


def test_azures_own_client_cuts_as_it_thinks_right_and_is_told_what_is_too_large(siem: SentinelReceiver) -> None:
    rows = [{**ROW, "EventUid": str(number), "Raw": "x" * 60_000} for number in range(20)]
    with LogsIngestionClient(siem.url, Credential(siem), credential_scopes=[SCOPE], retry_total=0) as client:  # type: ignore[arg-type]
        with pytest.raises(HttpResponseError) as refused:  # it counts a MB as 1,048,576 bytes
            client.upload(siem.rule_id, "Custom-SaasAudit", rows, enforce_https=False)
        assert refused.value.status_code == 413
