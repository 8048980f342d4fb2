"""The HTTP destination: what it sends, and what it makes of a request that cannot be made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.auth import BasicDestinationAuth, BearerAuth, HeaderAuth
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.records import Tls
from flicker_dagster.deliver.batching import pack
from flicker_dagster.deliver.http import HttpSender
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Outcome, Retry
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.types import Batch
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.proxies import VARIABLES, Proxy
from flicker_dagster_tests.tls import Authority

BODY = b'[{"id":"a","n":1.10}]'
BATCH = Batch(1, "batch-1", 1, "application/json", pack(BODY), len(BODY), {"h": bytes(16)})


class Recorder:
    """A SIEM that keeps its requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.server = Server(self._handle)

    def _handle(self, request: Request) -> Response:
        self.requests.append(request)
        return Response.json({"ok": True})


@pytest.fixture
def siem() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.server.close()


def send(endpoint: str, env: dict[str, str] | None = None, **destination: Any) -> Outcome:
    config = HttpDestination(type="http", endpoint=endpoint, **destination)
    sender = HttpSender(a_source(destination=config), env=env or {})
    try:
        return sender.send(BATCH)
    finally:
        sender.close()


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (BearerAuth(type="bearer", token="${T}"), "authorization", "Bearer s3cret-value"),
        (
            BasicDestinationAuth(type="basic", username="u", password="${T}"),
            "authorization",
            "Basic dTpzM2NyZXQtdmFsdWU=",
        ),
        (HeaderAuth(type="header", name="X-Key", value="${T}"), "x-key", "s3cret-value"),
    ],
)
def test_credentials_stand_where_they_belong(siem: Recorder, auth: Any, header: str, value: str) -> None:
    assert isinstance(send(siem.server.url, {"T": "s3cret-value"}, auth=auth), Delivered)
    assert siem.requests[0].headers[header] == value


@pytest.mark.parametrize(("compression", "body"), [("gzip", BATCH.body), ("none", BODY), (True, BATCH.body)])
def test_the_frozen_bytes_go_out_under_the_batch_id(siem: Recorder, compression: Any, body: bytes) -> None:
    send(siem.server.url, compression=compression)
    (request,) = siem.requests
    assert request.body == body
    assert request.headers["idempotency-key"] == "batch-1"
    assert (request.headers.get("content-encoding") == "gzip") is (body != BODY)


@pytest.mark.parametrize("secret", ["hunter22secret\nX-Evil: 1", "hunter22secret\u20ac"])
def test_a_token_that_fits_no_header_blocks_and_is_not_shown(siem: Recorder, secret: str) -> None:
    found = send(siem.server.url, {"T": secret}, auth=BearerAuth(type="bearer", token="${T}"))
    assert isinstance(found, Blocked)
    assert "hunter22secret" not in found.why
    assert siem.requests == []


def test_nobody_there_is_a_retry() -> None:
    assert isinstance(send("http://127.0.0.1:1/siem"), Retry)


def test_an_answer_that_never_comes_is_ambiguous_and_the_same_bytes_go_again() -> None:
    receiver = Receiver(dedupe_by_key=True)
    receiver.faults.plan("commit_then_cut")
    try:
        assert isinstance(send(f"{receiver.url}/siem"), Ambiguous)
        assert isinstance(send(f"{receiver.url}/siem"), Delivered)
        assert receiver.ids("/siem") == {"a": 1}
        assert receiver.inbox("/siem").repeated_otherwise == 0
    finally:
        receiver.close()


def test_tls_trusts_the_configured_authority_and_shows_the_client_certificate(siem: Recorder, tmp_path: Path) -> None:
    ours, other = Authority.in_directory(tmp_path), Authority.in_directory(tmp_path, "other")
    url = ours.protect(siem.server, demand_client=True)
    client = {"cert_path": ours.client_cert_path, "key_path": ours.client_key_path}
    assert isinstance(send(url, tls=Tls(ca_cert_path=ours.ca_path, **client)), Delivered)
    assert isinstance(send(url, tls=Tls(ca_cert_path=other.ca_path, **client)), Blocked)
    assert not isinstance(send(url, tls=Tls(ca_cert_path=ours.ca_path)), Delivered)
    assert len(siem.requests) == 1


@pytest.mark.parametrize("tls", [{"ca_cert_path": "gone.pem"}, {"cert_path": "gone.pem", "key_path": "gone.key"}])
def test_a_certificate_file_that_is_not_there_blocks(siem: Recorder, tmp_path: Path, tls: dict[str, str]) -> None:
    url = Authority.in_directory(tmp_path).protect(siem.server)
    paths = {name: str(tmp_path / file) for name, file in tls.items()}
    with pytest.raises(DestinationBlocked, match=r"test-source: destination: tls: cannot read .*gone"):
        send(url, tls=Tls(**paths))
    assert siem.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_gone_through_with_its_credentials(
    siem: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    authority = Authority.in_directory(tmp_path)
    url = authority.protect(siem.server) if scheme == "https" else "http://siem.invalid/in"
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    proxy = Proxy(b"{}", tunnel_to=siem.server.port)
    monkeypatch.setenv(f"{scheme}_proxy", proxy.url.replace("//", "//ana:p%40ss@"))
    try:
        assert isinstance(send(url, tls=Tls(ca_cert_path=authority.ca_path)), Delivered)
        assert proxy.seen == [f"127.0.0.1:{siem.server.port}" if scheme == "https" else url]
        assert proxy.credentials == ["Basic YW5hOnBAc3M="]  # ana:p@ss
    finally:
        proxy.close()


@pytest.mark.parametrize(
    "proxy", ["http://ana:hunter22secret@", "http://ana:hunter22secret@host:port", "ftp://ana:hunter22secret@h:1"]
)
def test_a_proxy_that_cannot_be_used_blocks_and_its_password_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(
        DestinationBlocked, match=r"^test-source: destination: .*[Pp]roxy.*; check its endpoint"
    ) as caught:
        send("http://siem.invalid/in")
    assert "hunter22secret" not in str(caught.value)
