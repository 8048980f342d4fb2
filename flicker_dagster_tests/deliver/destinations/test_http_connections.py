"""TLS and proxies on the way to an HTTP endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flicker_dagster.deliver.outcomes import Blocked, Delivered
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster_tests.deliver.destinations.http_endpoints import send
from flicker_dagster_tests.deliver.destinations.scenes import Answering
from flicker_dagster_tests.proxies import VARIABLES, Proxy
from flicker_dagster_tests.tls import Authority


@pytest.fixture
def own_server() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.server.close()


def test_tls_trusts_the_configured_authority_and_shows_the_client_certificate(
    own_server: Answering, tmp_path: Path
) -> None:
    ours, other = Authority.in_directory(tmp_path), Authority.in_directory(tmp_path, "other")
    url = ours.protect(own_server.server, demand_client=True)
    client = {"cert_path": ours.client_cert_path, "key_path": ours.client_key_path}
    assert isinstance(send(url, tls={"ca_cert_path": ours.ca_path, **client}), Delivered)
    assert isinstance(send(url, tls={"ca_cert_path": other.ca_path, **client}), Blocked)
    assert not isinstance(send(url, tls={"ca_cert_path": ours.ca_path}), Delivered)
    assert len(own_server.requests) == 1


@pytest.mark.parametrize("tls", [{"ca_cert_path": "gone.pem"}, {"cert_path": "gone.pem", "key_path": "gone.key"}])
def test_a_certificate_file_that_is_not_there_blocks(
    own_server: Answering, tmp_path: Path, tls: dict[str, str]
) -> None:
    url = Authority.in_directory(tmp_path).protect(own_server.server)
    paths = {name: str(tmp_path / file) for name, file in tls.items()}
    with pytest.raises(DestinationBlocked, match=r"okta: destination: tls: cannot read .*gone"):
        send(url, tls=paths)
    assert own_server.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_gone_through_with_its_credentials(
    own_server: Answering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    authority = Authority.in_directory(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    url = authority.protect(own_server.server) if scheme == "https" else "http://siem.invalid/in"
    proxy = Proxy(b"{}", tunnel_to=own_server.server.port)
    monkeypatch.setenv(f"{scheme}_proxy", proxy.url.replace("//", "//ana:p%40ss@"))
    with closing(proxy):
        assert isinstance(send(url, tls={"ca_cert_path": authority.ca_path}), Delivered)
        assert proxy.seen == [f"127.0.0.1:{own_server.server.port}" if scheme == "https" else url]
        assert proxy.credentials == ["Basic YW5hOnBAc3M="]  # ana:p@ss


@pytest.mark.parametrize(
    "proxy", ["http://ana:hunter22secret@", "http://ana:hunter22secret@host:port", "ftp://ana:hunter22secret@h:1"]
)
def test_a_proxy_that_cannot_be_used_blocks_and_its_password_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(DestinationBlocked, match=r"^okta: destination: .*[Pp]roxy.*; check its endpoint") as caught:
        send("http://siem.invalid/in")
    assert "hunter22secret" not in str(caught.value)
