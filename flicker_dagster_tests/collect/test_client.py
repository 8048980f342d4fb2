"""A request that cannot be made is refused in words that hold no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.config.records import Tls
from flicker_dagster.errors import VendorRefused
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster.transport.exchange import Request
from flicker_dagster_tests.builders import a_source


def refusal(env: dict[str, str], url: str = "https://127.0.0.1:1/events", **source: Any) -> str:
    client = VendorClient(a_source(**source), env=env)
    with pytest.raises(VendorRefused) as caught:
        client.ask(Request("GET", url))
    return str(caught.value)


@pytest.mark.parametrize("secret", ["hunter22secret\nX-Evil: 1", "hunter22secret\r\n."])
def test_a_token_that_fits_no_header_is_not_shown(secret: str) -> None:
    said = refusal({"TOKEN": secret}, api_key="${TOKEN}")
    assert said.startswith("test-source: GET https://127.0.0.1:1/events: ")
    assert "hunter22secret" not in said


def test_a_token_beyond_latin_1_is_not_shown() -> None:
    server = Server(lambda _request: Response.json([]))
    try:
        assert "hunter22secret" not in refusal({"TOKEN": "hunter22secret\u20ac"}, server.url, api_key="${TOKEN}")
    finally:
        server.close()


@pytest.mark.parametrize("tls", [{"ca_cert_path": "gone.pem"}, {"cert_path": "gone.pem", "key_path": "gone.key"}])
def test_a_certificate_file_that_is_not_there_is_named(tmp_path: Path, tls: dict[str, str]) -> None:
    said = refusal({}, tls=Tls(**{name: str(tmp_path / file) for name, file in tls.items()}))
    assert "gone" in said
    assert "tls" in said
