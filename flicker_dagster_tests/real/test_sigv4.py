"""Our SigV4 signatures, judged by a server that checks them."""

from __future__ import annotations

import pytest

from flicker_dagster.config.auth.sigv4 import SigV4Auth
from flicker_dagster.transport.authenticators import authenticator_of
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Answer, Request, Transport
from flicker_dagster.transport.tokens import MemoryTokens
from flicker_dagster_tests.real.object_stores import ObjectStore

BUCKET = "sigv4-bucket"


def answered(store: ObjectStore, method: str, path: str, body: bytes | None = None, *, secret: str = "") -> Answer:
    auth = SigV4Auth(
        type="aws_sigv4",
        region=store.region,
        service="s3",
        access_key_id=store.key_id,
        secret_access_key=secret or store.secret,
    )
    signer = authenticator_of(auth, env={}, tokens=MemoryTokens(), key="real")
    transport = Transport(store.url)
    try:
        request = Request(method, f"{store.url}/{BUCKET}{path}", {"Content-Type": "text/plain"}, body)
        answer = transport.exchange(signer.sign(request), deadline=Deadline.after(60, "60 s"))
    finally:
        transport.close()
    assert isinstance(answer, Answer), answer
    return answer


@pytest.mark.parametrize("path", ["/plain", "/with%20blank%2Band/slash~", "/%C3%BC/x"])
@pytest.mark.parametrize("body", [b"events", b""])
def test_what_is_signed_is_taken(seaweedfs: ObjectStore, path: str, body: bytes) -> None:
    assert answered(seaweedfs, "PUT", path, body).status == 200
    found = answered(seaweedfs, "GET", path)
    assert (found.status, found.body) == (200, body)


def test_a_query_is_signed_as_it_is_spelt(seaweedfs: ObjectStore) -> None:
    answered(seaweedfs, "PUT", "/listed/a%20b", b"x")
    found = answered(seaweedfs, "GET", "?prefix=listed%2F&list-type=2")
    assert found.status == 200
    assert b"<Key>listed/a b</Key>" in found.body


def test_another_secret_is_refused(seaweedfs: ObjectStore) -> None:
    refused = answered(seaweedfs, "PUT", "/plain", b"events", secret="another-secret")
    assert refused.status == 403
    assert b"SignatureDoesNotMatch" in refused.body
