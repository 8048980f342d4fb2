"""`type: splunk_hec` as it is configured: keys, secrets, addresses and TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.destinations.splunk_hec import SplunkHecDestination
from flicker_dagster.config.records import Tls
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster_tests.deliver.contract import event_of, lot_of
from flicker_dagster_tests.deliver.destinations.hec import Collector, opened
from flicker_dagster_tests.tls import Authority


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        ({"indexed_fields": {"event_uid": "x"}}, ["indexed_fields"]),
        ({"indexed_fields": {"env": "x"}, "format": "raw"}, ["indexed_fields"]),
        ({"ack_expires_ms": 5_000, "ack_ask_after_ms": 5_000}, ["ack_expires_ms"]),
        ({"indexed_fields": {"env": "x"}}, []),
    ],
)
def test_keys_that_contradict_each_other_are_named(keys: dict[str, Any], at: list[str]) -> None:
    config = SplunkHecDestination(type="splunk_hec", url="https://s", token="t", **keys)
    assert [key for key, _ in config.faults()] == at


def test_nothing_is_resolved_before_the_first_request() -> None:
    destination = opened("http://127.0.0.1:1", token="${NOBODY_SET_THIS}")
    assert destination.describe() == "http://127.0.0.1:1"
    with pytest.raises(SecretUnset, match="NOBODY_SET_THIS"):
        destination.send(lot_of([event_of(0)]))


def test_an_address_that_is_none_blocks() -> None:
    with pytest.raises(DestinationBlocked, match="okta"):
        opened("${AT}", env={"AT": "not an address"}).send(lot_of([event_of(0)]))


def test_tls_trusts_the_configured_authority_and_shows_the_client_certificate(
    collector: Collector, tmp_path: Path
) -> None:
    siem = collector()
    ours, other = Authority.in_directory(tmp_path), Authority.in_directory(tmp_path, "other")
    url = ours.protect(siem.server, demand_client=True)
    client = {"cert_path": ours.client_cert_path, "key_path": ours.client_key_path}
    kinds = []
    for tls in ({"ca_cert_path": ours.ca_path, **client}, {"ca_cert_path": other.ca_path, **client}):
        destination = opened(url, tls=Tls(**tls))
        kinds.append(type(destination.send(lot_of([event_of(0)]))))
        destination.close()
    assert kinds == [Delivered, Blocked]


def test_an_answer_that_never_ends_is_left(collector: Collector) -> None:
    siem = collector()
    siem.faults.plan("endless", count=2)
    destination = opened(siem.url)
    assert isinstance(destination.send(lot_of([event_of(0)])), Ambiguous)
    destination.close()
    destination = opened(siem.url, ack="off")
    assert isinstance(destination.send(lot_of([event_of(0)])), Delivered)
    destination.close()
