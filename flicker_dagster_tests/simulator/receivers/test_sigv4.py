"""The simulator's check of AWS signatures takes what AWS's own signer signs, and nothing that was changed since."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import opensearchpy
import opensearchpy.helpers
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from flicker_dagster.simulator.bulk_api import AwsCaller
from flicker_dagster.simulator.receivers.opensearch import OpenSearchReceiver
from flicker_dagster.simulator.server import Request

CALLER = AwsCaller("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "eu-central-1", "es", session_token="token")
URL = "https://h.example.com/logs-okta-default/_bulk?filter_path=errors%2Citems.%2A.status&pipeline=a%20b"


def signed(
    service: str = "es", url: str = URL, body: bytes = b"body", *, with_digest: bool = True, token: str | None = "token"
) -> Request:
    """A request as it arrives, signed by botocore."""
    headers = {"Content-Type": "application/x-ndjson", "Host": urlsplit(url).netloc}
    if with_digest:
        headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
    asked = AWSRequest("POST", url, headers=headers, data=body)
    credentials = Credentials(CALLER.access_key_id, CALLER.secret_access_key, token)
    SigV4Auth(credentials, service, CALLER.region).add_auth(asked)
    parts = urlsplit(url)
    return Request(
        "POST",
        parts.path,
        dict(parse_qsl(parts.query)),
        {name.lower(): value for name, value in asked.headers.items()},
        body,
        f"{parts.path}?{parts.query}",
    )


@pytest.mark.parametrize("with_digest", [True, False])
def test_what_botocore_signs_is_right(with_digest: bool) -> None:
    assert CALLER.fault_of(signed(with_digest=with_digest), now_s=time.time()) is None


def test_serverless_demands_the_bodys_hash() -> None:
    keys = dataclasses.replace(CALLER, service="aoss")
    assert keys.fault_of(signed("aoss"), now_s=time.time()) is None
    assert keys.fault_of(signed("aoss", with_digest=False), now_s=time.time())


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"another"},
        {"method": "PUT"},
        {"path": "/logs-other-default/_bulk"},
        {"query": {"pipeline": "b"}},
    ],
)
def test_what_was_changed_since_is_refused(change: dict[str, Any]) -> None:
    assert CALLER.fault_of(dataclasses.replace(signed(), **change), now_s=time.time())


@pytest.mark.parametrize(
    "change",
    [
        {"secret_access_key": "another"},
        {"access_key_id": "another"},
        {"region": "us-east-1"},
        {"service": "aoss"},
        {"session_token": ""},
    ],
)
def test_other_keys_are_refused(change: dict[str, Any]) -> None:
    assert dataclasses.replace(CALLER, **change).fault_of(signed(), now_s=time.time())


def test_a_request_without_a_signature_is_refused() -> None:
    request = signed()
    del request.headers["authorization"]
    assert CALLER.fault_of(request, now_s=time.time()) == "AccessDenied"


@pytest.fixture(params=["es", "aoss"])
def cluster(request: pytest.FixtureRequest) -> Iterator[OpenSearchReceiver]:
    receiver = OpenSearchReceiver(signed_by=dataclasses.replace(CALLER, service=request.param))
    yield receiver
    receiver.close()


def test_the_vendors_client_signs_for_a_simulated_cluster(cluster: OpenSearchReceiver) -> None:
    assert cluster.signed_by is not None
    credentials = Credentials(CALLER.access_key_id, CALLER.secret_access_key, "token")
    signer = opensearchpy.Urllib3AWSV4SignerAuth(credentials, CALLER.region, cluster.signed_by.service)
    action = {"_op_type": "create", "_index": "audit", "_id": "a", "n": 1}
    with opensearchpy.OpenSearch(
        cluster.url, http_auth=signer, connection_class=opensearchpy.Urllib3HttpConnection, max_retries=0
    ) as client:
        assert opensearchpy.helpers.bulk(client, [action]) == (1, [])
