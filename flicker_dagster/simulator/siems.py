"""A simulated receiver for each type of destination, with what a configuration has to say to deliver into it."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flicker_dagster.simulator.bulk_api import BulkReceiver
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.receivers.datadog import DatadogReceiver
from flicker_dagster.simulator.receivers.elasticsearch import ElasticsearchReceiver
from flicker_dagster.simulator.receivers.google_secops import GoogleSecopsReceiver
from flicker_dagster.simulator.receivers.kafka import KafkaReceiver
from flicker_dagster.simulator.receivers.logscale import LogScaleReceiver
from flicker_dagster.simulator.receivers.loki import LokiReceiver
from flicker_dagster.simulator.receivers.opensearch import OpenSearchReceiver
from flicker_dagster.simulator.receivers.otlp import OtlpReceiver
from flicker_dagster.simulator.receivers.s3 import REGION, S3Receiver
from flicker_dagster.simulator.receivers.sentinel import SentinelReceiver
from flicker_dagster.simulator.receivers.splunk_hec import HecToken, SplunkHecReceiver
from flicker_dagster.simulator.receivers.sumo_logic import PATH as SUMO_PATH
from flicker_dagster.simulator.receivers.sumo_logic import SumoLogicReceiver
from flicker_dagster.simulator.receivers.syslog import SyslogReceiver
from flicker_dagster.simulator.token_server import Minted, TokenServer

ACCESS_KEY = "AKIASIMULATED"


class Closable(Protocol):
    def close(self) -> None: ...


@dataclass
class Siem:
    """A receiver that serves until it is closed. `keys` are those of the destination's record; the one at `secret` (a dotted
    path) is its credential. `counts` says how often each event came, by its id there."""

    receiver: Any
    keys: dict[str, Any]
    counts: Callable[[], Counter[str]]
    secret: str = ""
    beside: Sequence[Closable] = field(default=())

    def close(self) -> None:
        self.receiver.close()
        for each in self.beside:
            each.close()


def _http(token: str, port: int) -> Siem:
    receiver = Receiver(token=token, port=port)
    keys = {"endpoint": f"{receiver.url}/events", "auth": {"type": "bearer", "token": token}}
    return Siem(receiver, keys, lambda: Counter(receiver.ids("/events")), "auth.token")


def _splunk_hec(token: str, port: int) -> Siem:
    indexes = frozenset({"main", "saas"})
    receiver = SplunkHecReceiver(tokens={token: HecToken(ack=True, indexes=indexes)}, port=port)
    keys = {"url": receiver.url, "token": token, "index": "saas", "ack_ask_after_ms": 1_000}
    return Siem(receiver, keys, receiver.counts, "token")


def _cluster(kind: type[BulkReceiver], token: str, port: int, scheme: str, keys: dict[str, Any], secret: str) -> Siem:
    receiver = kind(authorizations=(f"{scheme} {token}",), port=port)  # type: ignore[call-arg]
    return Siem(receiver, {"endpoint": receiver.url, **keys}, receiver.counts, secret)


def _elasticsearch(token: str, port: int) -> Siem:
    return _cluster(ElasticsearchReceiver, token, port, "ApiKey", {"api_key": token}, "api_key")


def _opensearch(token: str, port: int) -> Siem:
    packed = base64.b64encode(f"flicker:{token}".encode()).decode()
    auth = {"type": "basic", "username": "flicker", "password": token}
    return _cluster(OpenSearchReceiver, packed, port, "Basic", {"auth": auth}, "auth.password")


def _sentinel(token: str, port: int) -> Siem:
    tokens = TokenServer(clients={"flicker": token})
    receiver = SentinelReceiver(tokens=tokens, port=port)
    keys = {
        "endpoint": receiver.url,
        "rule_id": receiver.rule_id,
        "stream": "Custom-SaasAudit",
        "tenant_id": "11111111-2222-3333-4444-555555555555",
        "client_id": "flicker",
        "client_secret": token,
        "authority": tokens.server.url,
    }
    return Siem(receiver, keys, receiver.counts, "client_secret", (tokens,))


def _google_secops(token: str, port: int) -> Siem:
    tokens = TokenServer()
    tokens.minted.append(Minted(token, float("inf"), "", ""))
    receiver = GoogleSecopsReceiver(tokens=tokens, port=port)
    project, region, instance = receiver.parent.split("/")[1::2]
    keys = {
        "endpoint": receiver.url,
        "project": project,
        "region": region,
        "instance": instance,
        "forwarder": "f1",
        "log_type": "OKTA",
        "auth": {"type": "bearer", "token": token},
    }
    return Siem(receiver, keys, receiver.counts, "auth.token", (tokens,))


def _datadog(token: str, port: int) -> Siem:
    receiver = DatadogReceiver(api_key=token, port=port)
    return Siem(receiver, {"endpoint": receiver.url, "api_key": token}, receiver.counts, "api_key")


def _sumo_logic(token: str, port: int) -> Siem:
    receiver = SumoLogicReceiver(code=token, port=port)
    return Siem(receiver, {"endpoint": f"{receiver.url}{SUMO_PATH}{token}"}, receiver.counts, "endpoint")


def _logscale(token: str, port: int) -> Siem:
    receiver = LogScaleReceiver(token=token, port=port)
    return Siem(receiver, {"url": receiver.url, "token": token}, receiver.counts, "token")


def _loki(token: str, port: int) -> Siem:
    receiver = LokiReceiver(authorization=f"Bearer {token}", port=port)
    keys = {"endpoint": receiver.url, "auth": {"type": "bearer", "token": token}}
    return Siem(receiver, keys, receiver.counts, "auth.token")


def _otlp(token: str, port: int) -> Siem:
    receiver = OtlpReceiver(token=token, port=port)
    keys = {"endpoint": f"{receiver.url}/v1/logs", "auth": {"type": "bearer", "token": token}}
    return Siem(receiver, keys, receiver.counts, "auth.token")


def _store(token: str, port: int) -> tuple[S3Receiver, dict[str, Any]]:
    receiver = S3Receiver(buckets=("audit-logs",), keys={ACCESS_KEY: token}, port=port)
    keys = {
        "endpoint": receiver.url,
        "bucket": "audit-logs",
        "region": REGION,
        "access_key_id": ACCESS_KEY,
        "secret_access_key": token,
    }
    return receiver, keys


def _s3(token: str, port: int) -> Siem:
    receiver, keys = _store(token, port)
    return Siem(receiver, keys, lambda: receiver.uids("audit-logs"), "secret_access_key")


def _security_lake(token: str, port: int) -> Siem:
    receiver, keys = _store(token, port)
    classes = ("authentication", "account_change", "user_access", "group_management", "entity_management")
    sources = {name: {"name": name.replace("_", "-")} for name in (*classes, "api_activity")}
    keys |= {"account_id": "111122223333", "sources": sources}
    return Siem(receiver, keys, lambda: Counter(dict.fromkeys(receiver.objects("audit-logs"), 1)), "secret_access_key")


def _kafka(token: str, port: int) -> Siem:
    receiver = KafkaReceiver(users={"flicker": token}, port=port)
    keys = {
        "brokers": [receiver.address],
        "topic": receiver.topic_name,
        "compression": "none",
        "sasl": {"type": "scram", "username": "flicker", "password": token},
    }
    return Siem(receiver, keys, receiver.counts, "sasl.password")


def _syslog(token: str, port: int) -> Siem:
    receiver = SyslogReceiver(max_message_bytes=65_536, port=port)
    return Siem(receiver, {"endpoint": receiver.address, "max_message_bytes": 65_536}, receiver.counts)


#: Receivers by the type of the destination, each made with the credential it asks for and its port, 0 for a free one.
#: Raises FlickerError where the port is taken.
SIEMS: dict[str, Callable[[str, int], Siem]] = {
    "datadog": _datadog,
    "elasticsearch": _elasticsearch,
    "google_secops": _google_secops,
    "http": _http,
    "kafka": _kafka,
    "logscale": _logscale,
    "loki": _loki,
    "opensearch": _opensearch,
    "otlp": _otlp,
    "s3": _s3,
    "security_lake": _security_lake,
    "sentinel": _sentinel,
    "splunk_hec": _splunk_hec,
    "sumo_logic": _sumo_logic,
    "syslog": _syslog,
}
