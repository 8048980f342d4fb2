"""Receivers behind nginx: mutual TLS, accounts, limits and outages are the proxy's, and so are its words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import Destination, LaneContext, open_destination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, PerItem, Retry
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.real.collector import Collector
from flicker_dagster_tests.real.nginx import Front
from flicker_dagster_tests.real.opensearch import OpenSearch
from flicker_dagster_tests.tls import Authority

Put = Callable[..., Front]


def trusting(authority: Authority, *, certificate: bool = True) -> dict[str, str]:
    ours = {"cert_path": authority.client_cert_path, "key_path": authority.client_key_path} if certificate else {}
    return {"ca_cert_path": authority.ca_path, **ours}


def opened(kind: str, endpoint: str, tls: dict[str, str], **keys: Any) -> Destination:
    record = destination_adapter().validate_python({"type": kind, "endpoint": endpoint, "tls": tls, **keys})
    return open_destination(
        record, LaneContext("okta", credentials=lambda: "destination.auth", env={"PASSWORD": "s3cret-word"})
    )


@pytest.fixture
def index(opensearch: OpenSearch) -> str:
    name = f"nginx-{uuid4().hex[:8]}"
    opensearch.ask("PUT", f"/{name}", {"mappings": {"dynamic": False}})
    return name


def test_accounts_and_limits_of_the_proxy_hold(
    opensearch: OpenSearch, index: str, nginx_before: Put, tmp_path: Path
) -> None:
    (tmp_path / "accounts").write_text("flicker:{PLAIN}s3cret-word\n")
    extra = f"auth_basic siem; auth_basic_user_file {tmp_path / 'accounts'};"
    front = nginx_before(opensearch.url, largest_body_bytes=20_000, extra=extra)
    keys: dict[str, Any] = {"index": index, "compression": "none"}
    auth = {"type": "basic", "username": "flicker", "password": "${PASSWORD}"}

    def opening(**other: Any) -> Callable[[], Destination]:
        return lambda: opened("opensearch", front.url, trusting(front.authority), **keys, **other)

    poison = event_of(1_000, text="x" * 30_000)
    queue = MemoryQueue([*lots_of(300), lot_of([event_of(999), poison], seq=99)])
    waiting = drain(queue, opening(), runs=1)
    assert queue.waiting == 302, "without an account nothing is taken, and nothing lost"
    assert "401" in waiting.last_words
    drained = drain(queue, opening(auth=auth))
    assert drained.done
    assert [letter.event for letter in drained.letters.kept] == [poison]
    assert opensearch.count(index) == 301


@pytest.mark.parametrize("kind", ["opensearch", "otlp"])
@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
def test_a_client_certificate_that_is_not_taken_keeps_everything(
    kind: str, whose: str, opensearch: OpenSearch, collector: Collector, nginx_before: Put, tmp_path: Path
) -> None:
    """nginx answers it with 400 and a page, as if the events were wrong."""
    front = nginx_before(opensearch.url if kind == "opensearch" else collector.otlp.removesuffix("/v1/logs"))
    endpoint = front.url if kind == "opensearch" else f"{front.url}/v1/logs"
    tls = trusting(front.authority, certificate=False)
    if whose == "a stranger's":
        stranger = Authority.in_directory(tmp_path, "stranger")
        tls |= {"cert_path": stranger.client_cert_path, "key_path": stranger.client_key_path}
    lot = lots_of(3)[0]
    outcome = opened(kind, endpoint, tls).send(lot)
    assert isinstance(outcome, Blocked), outcome
    assert "certificate" in outcome.why
    outcome = opened(kind, endpoint, trusting(front.authority)).send(lot)
    assert isinstance(outcome, Delivered | PerItem), outcome


def test_a_server_behind_it_that_is_away_is_tried_again(nginx_before: Put) -> None:
    front = nginx_before("http://127.0.0.1:1")
    outcome = opened("otlp", f"{front.url}/v1/logs", trusting(front.authority)).send(lots_of(3)[0])
    assert isinstance(outcome, Retry)
    assert "502" in outcome.why


def test_an_authority_that_is_not_ours_is_not_spoken_to(
    collector: Collector, nginx_before: Put, tmp_path: Path
) -> None:
    front = nginx_before(collector.otlp.removesuffix("/v1/logs"))
    tls = {**trusting(front.authority), "ca_cert_path": Authority.in_directory(tmp_path, "other").ca_path}
    assert isinstance(opened("otlp", f"{front.url}/v1/logs", tls).send(lots_of(3)[0]), Blocked)
    assert front.requests() == []
