"""Destinations of `type: syslog` towards a receiver, and the certificates of both."""

from __future__ import annotations

import ssl

from flicker_dagster.config.destinations.syslog import SyslogDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.syslog import Syslog
from flicker_dagster.deliver.outcomes import Delivered
from flicker_dagster.simulator.receivers.syslog import SyslogReceiver
from flicker_dagster_tests.deliver.contract import lot_of
from flicker_dagster_tests.tls import Authority


def server_context(
    authority: Authority, *, demand_client: bool = True, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = most
    authority.ca.issue_cert("127.0.0.1").configure_cert(context)
    if demand_client:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.ca.configure_trust(context)
    return context


def tls_of(authority: Authority, client: Authority | None = None) -> dict[str, str]:
    keys = {"ca_cert_path": authority.ca_path}
    if client is not None:
        keys |= {"cert_path": client.client_cert_path, "key_path": client.client_key_path}
    return keys


def opened(endpoint: str, *, env: dict[str, str] | None = None, **keys: object) -> Syslog:
    config = SyslogDestination.model_validate({"type": "syslog", "endpoint": endpoint, "timeout_ms": 5_000, **keys})
    assert not config.faults()
    return Syslog(config, LaneContext("okta", vendor="okta", env=env or {}))


def sent(receiver: SyslogReceiver, *events: bytes, **keys: object) -> list[bytes]:
    outcome = opened(receiver.address, **keys).send(lot_of(events))
    assert isinstance(outcome, Delivered), outcome
    return [message.text for message in receiver.messages]
