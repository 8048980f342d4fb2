"""The network as the environment describes it: proxies, certificate authorities, client certificates."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.config.records import Tls
from flicker_dagster.errors import CollectError, VendorRefused, VendorUnavailable
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster.transport.exchange import Request
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.proxies import VARIABLES, Proxy
from flicker_dagster_tests.tls import Authority

ANSWER = b'["from the vendor"]'


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(lambda _request: Response(200, ANSWER))
    yield server
    server.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(b'["from the proxy"]', tunnel_to=server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.in_directory(tmp_path)


def get(url: str, env: dict[str, str] | None = None, **source: Any) -> bytes:
    client = VendorClient(a_source(**source), env=env or {})
    try:
        return client.ask(Request("GET", url)).body
    finally:
        client.close()


# -- nobody there


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9/events", "Connection refused; check the address, and that something listens there"),
        ("http://nowhere.invalid/events", "the host's name is not known to DNS; check the address"),
    ],
)
def test_why_there_was_no_answer_is_said_with_what_to_look_at(url: str, said: str) -> None:
    with pytest.raises(VendorUnavailable) as caught:
        get(url)
    assert str(caught.value).endswith(said)
    assert f"GET {url}: no answer: Failed to " in str(caught.value)
    assert "Connection(" not in str(caught.value)


def test_a_certificate_that_nobody_vouches_for_is_said_to_be_that(server: Server, authority: Authority) -> None:
    url = authority.protect(server)
    with pytest.raises(
        VendorUnavailable, match=r"TLS failed: .*certificate verify failed.*; check the address and tls"
    ):
        get(url)


# -- proxies


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_plain_request_goes_through_the_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, proxy.url)
    assert get("http://vendor.invalid/events?a=%2F1") == b'["from the proxy"]'
    assert proxy.seen == ["http://vendor.invalid/events?a=%2F1"]


def test_an_https_request_is_tunnelled_through_the_proxy(
    server: Server, proxy: Proxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = authority.protect(server)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert get(url, tls=Tls(ca_cert_path=authority.ca_path)) == ANSWER
    assert proxy.seen == [f"127.0.0.1:{server.port}"]


@pytest.mark.parametrize("exempt", ["127.0.0.1", "localhost,127.0.0.0/8", "*"])
def test_no_proxy_is_heeded(server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", exempt)
    assert get(server.url) == ANSWER
    assert proxy.seen == []


def test_a_proxy_that_is_not_there_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Proxy()
    gone.close()
    monkeypatch.setenv("HTTP_PROXY", gone.url.replace("//", "//ana:hunter22secret@"))
    monkeypatch.setenv("HTTPS_PROXY", gone.url.replace("//", "//ana:hunter22secret@"))
    for url in ("http://vendor.invalid/events", "https://vendor.invalid/events"):
        with pytest.raises(VendorUnavailable) as caught:
            get(url)
        assert "roxy" in str(caught.value)
        assert "hunter22secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_credentials_gets_them(
    server: Server, proxy: Proxy, authority: Authority, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    url = authority.protect(server) if scheme == "https" else "http://vendor.invalid/events"
    monkeypatch.setenv(f"{scheme}_proxy", proxy.url.replace("//", "//ana:p%40ss@"))
    get(url, tls=Tls(ca_cert_path=authority.ca_path))
    assert proxy.credentials == ["Basic YW5hOnBAc3M="]  # ana:p@ss


def test_a_socks_proxy_without_its_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3.contrib.socks", None)
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1")
    with pytest.raises(VendorRefused, match="pip install pysocks"):
        get("http://vendor.invalid/events")


@pytest.mark.parametrize("address", ["http://ana:hunter22secret@", "http://ana:hunter22secret@host:port"])
def test_a_proxy_whose_address_cannot_be_read_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", address)
    with pytest.raises(VendorRefused, match="the address of the proxy") as caught:
        get("http://vendor.invalid/events")
    assert "hunter22secret" not in str(caught.value)


# -- certificate authorities


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_authority_of_the_environment_is_trusted(
    server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    url = authority.protect(server)
    with pytest.raises(CollectError, match="CERTIFICATE_VERIFY_FAILED"):
        get(url)
    monkeypatch.setenv(variable, authority.ca_path)
    assert get(url) == ANSWER


def test_the_sources_own_authority_comes_before_the_environments(
    server: Server, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = authority.protect(server)
    other = Authority.in_directory(tmp_path, "other")
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, other.ca_path)
    assert get(url, {"CA": authority.ca_path}, tls=Tls(ca_cert_path="${CA}")) == ANSWER
    with pytest.raises(CollectError, match="CERTIFICATE_VERIFY_FAILED"):
        get(url)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_invalid_certificates_are_accepted_only_where_the_source_says_so(server: Server, authority: Authority) -> None:
    assert get(authority.protect(server), tls=Tls(accept_invalid_certs=True)) == ANSWER


# -- client certificates


def test_a_vendor_that_demands_a_client_certificate_gets_it(server: Server, authority: Authority) -> None:
    url = authority.protect(server, demand_client=True)
    trust = {"ca_cert_path": authority.ca_path}
    with pytest.raises(VendorUnavailable):
        get(url, tls=Tls(**trust))
    certificate = {"cert_path": authority.client_cert_path, "key_path": authority.client_key_path}
    assert get(url, tls=Tls(**trust, **certificate)) == ANSWER


def test_a_client_certificate_of_another_authority_is_refused(
    server: Server, authority: Authority, tmp_path: Path
) -> None:
    url = authority.protect(server, demand_client=True)
    other = Authority.in_directory(tmp_path, "other")
    certificate = {"cert_path": other.client_cert_path, "key_path": other.client_key_path}
    with pytest.raises(VendorUnavailable):
        get(url, tls=Tls(ca_cert_path=authority.ca_path, **certificate))
