"""The destinations' receivers of the simulator, each in a process of its own, so that their CPU is never counted."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

FOREVER_MS = 10**12


@dataclass
class Stand:
    """A receiver: the keys of a destination towards it, the environment they are resolved in, how often each event came."""

    keys: dict[str, Any]
    count: Callable[[], tuple[int, int]]
    env: dict[str, str] = field(default_factory=dict)


class Receiving:
    """A receiver in its process, as a context manager. `verdict` gives events and distinct ones."""

    def __init__(self, context: Any, kind: str) -> None:
        self._context, self._kind = context, kind

    def __enter__(self) -> Receiving:
        self._ask, self._told = self._context.Queue(), self._context.Queue()
        self._process: SpawnProcess = self._context.Process(
            target=_serve, args=(self._kind, self._told, self._ask), daemon=True
        )
        self._process.start()
        self.keys, self.env = self._told.get()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def verdict(self) -> tuple[int, int]:
        self._ask.put(None)
        return self._told.get()


def _serve(kind: str, told: Any, ask: Any) -> None:
    stand = (STANDS | HTTPS)[kind]()
    told.put((stand.keys, stand.env))
    while True:
        ask.get()
        told.put(stand.count())


def _counted(receiver: Any) -> tuple[int, int]:
    counts = receiver.counts()
    return counts.total(), len(counts)


def _of(receiver: Any, keys: dict[str, Any], env: dict[str, str] | None = None) -> Stand:
    return Stand(keys, partial(_counted, receiver), env or {})


def _http(*, slow_s: float = 0.0, most_bytes: int | None = None, fails: float = 0.0) -> Stand:
    from flicker_dagster.simulator.receiver import Receiver

    class Slow(Receiver):
        def handle(self, request: Any) -> Any:
            time.sleep(slow_s)
            return super().handle(request)

    siem = Slow(max_bytes=most_bytes)
    if fails:
        siem.faults.plan("500", count=None, share=fails)

    def count() -> tuple[int, int]:
        ids = siem.ids("/siem")
        return sum(ids.values()), len(ids)

    return Stand({"endpoint": f"{siem.url}/siem", "compression": not slow_s}, count)


def _bulk(kind: str) -> Stand:
    from flicker_dagster.simulator.receivers.elasticsearch import ElasticsearchReceiver
    from flicker_dagster.simulator.receivers.opensearch import OpenSearchReceiver

    cluster = ElasticsearchReceiver() if kind == "elasticsearch" else OpenSearchReceiver()
    return _of(cluster, {"endpoint": cluster.url})


def _splunk_hec() -> Stand:
    from flicker_dagster.simulator.receivers.splunk_hec import SplunkHecReceiver

    collector = SplunkHecReceiver()
    return _of(collector, {"url": collector.url, "token": "${HEC}", "ack": "off"}, {"HEC": "hec-token"})


def _datadog() -> Stand:
    from flicker_dagster.simulator.receivers.datadog import DatadogReceiver

    intake = DatadogReceiver(oldest_ms=FOREVER_MS)
    return _of(intake, {"endpoint": intake.url, "api_key": "${KEY}"}, {"KEY": "dd-key"})


def _sumo_logic() -> Stand:
    from flicker_dagster.simulator.receivers.sumo_logic import SumoLogicReceiver

    collector = SumoLogicReceiver()
    return _of(collector, {"endpoint": "${SUMO_URL}"}, {"SUMO_URL": collector.source_url})


def _loki() -> Stand:
    from flicker_dagster.simulator.receivers.loki import LokiReceiver

    loki = LokiReceiver(oldest_ms=None, behind_ms=FOREVER_MS)
    return _of(loki, {"endpoint": loki.url})


def _logscale() -> Stand:
    from flicker_dagster.simulator.receivers.logscale import LogScaleReceiver

    cluster = LogScaleReceiver()
    return _of(cluster, {"url": cluster.url, "token": "${TOKEN}"}, {"TOKEN": "ingest-token"})


def _sentinel() -> Stand:
    from flicker_dagster.simulator.receivers.sentinel import SentinelReceiver
    from flicker_dagster.simulator.token_server import TokenServer

    tokens = TokenServer(clients={"flicker": "secret"})
    rule = SentinelReceiver(tokens=tokens)
    keys = {
        "endpoint": rule.url,
        "rule_id": rule.rule_id,
        "stream": "Custom-SaasAudit",
        "tenant_id": "11111111-2222-3333-4444-555555555555",
        "client_id": "flicker",
        "client_secret": "${SECRET}",
        "authority": tokens.server.url,
    }
    return _of(rule, keys, {"SECRET": "secret"})


def _google_secops() -> Stand:
    from flicker_dagster.simulator.receivers.google_secops import GoogleSecopsReceiver
    from flicker_dagster.simulator.token_server import TokenServer
    from flicker_dagster_tests.transport.minting import EMAIL, a_key, an_account

    private, public = an_account()
    tokens = TokenServer(accounts={EMAIL: public})
    feed = GoogleSecopsReceiver(tokens=tokens)
    keys = {
        "endpoint": feed.url,
        "project": "p",
        "region": "eu",
        "instance": "11111111-2222-3333-4444-555555555555",
        "forwarder": "f1",
        "log_type": "OKTA",
        "auth": {"type": "google_service_account", "key_json": "${GOOGLE_KEY}"},
    }
    return _of(feed, keys, {"GOOGLE_KEY": a_key(tokens, private)})


def _s3(kind: str, **more: Any) -> Stand:
    from flicker_dagster.simulator.receivers.s3 import REGION, S3Receiver

    store = S3Receiver()
    keys = {
        "bucket": "logs",
        "region": REGION,
        "endpoint": store.url,
        "access_key_id": "${AWS_KEY}",
        "secret_access_key": "${AWS_SECRET}",
        **more,
    }

    def count() -> tuple[int, int]:
        if kind == "lines":
            counts = store.uids()
            return counts.total(), len(counts)
        import pyarrow.parquet as parquet
        from pyarrow import BufferReader

        rows = sum(parquet.read_metadata(BufferReader(each.body)).num_rows for each in store.objects().values())
        return rows, rows

    return Stand(keys, count, {"AWS_KEY": "AKIAEXAMPLE", "AWS_SECRET": "secret"})


def _security_lake() -> Stand:
    sources = {"authentication": {"name": "auth"}, "api_activity": {"name": "api"}}
    return _s3("parquet", account_id="111122223333", sources=sources)


def _kafka() -> Stand:
    from flicker_dagster.simulator.receivers.kafka import KafkaReceiver

    broker = KafkaReceiver()
    return _of(broker, {"brokers": [broker.address], "topic": "audit-events", "compression": "none"})


def _syslog() -> Stand:
    from flicker_dagster.simulator.receivers.syslog import SyslogReceiver

    server = SyslogReceiver()
    return _of(server, {"endpoint": f"tcp://127.0.0.1:{server.port}"})


def _otlp() -> Stand:
    from flicker_dagster.simulator.receivers.otlp import OtlpReceiver

    collector = OtlpReceiver()
    return _of(collector, {"endpoint": f"{collector.url}/v1/logs"})


def _file() -> Stand:
    directory = Path(tempfile.mkdtemp(prefix="flicker-bench-"))
    path = directory / "events.ndjson"

    def count() -> tuple[int, int]:
        ids = re.findall(
            rb'"uuid":"([0-9a-f]{16})',
            b"".join(each.read_bytes() for each in directory.glob("events*") if ".before" not in each.name),
        )
        return len(ids), len(set(ids))

    return Stand({"path": str(path)}, count)


#: One that takes its time, and the same one with a limit and failures.
SLOW_S, HARD_BYTES, HARD_FAILS = 0.05, 20_000, 0.2

#: By type of destination; stdout is left out: it is `file` without its log of what was committed.
STANDS: dict[str, Callable[[], Stand]] = {
    "http": _http,
    "elasticsearch": partial(_bulk, "elasticsearch"),
    "opensearch": partial(_bulk, "opensearch"),
    "splunk_hec": _splunk_hec,
    "datadog": _datadog,
    "sumo_logic": _sumo_logic,
    "loki": _loki,
    "logscale": _logscale,
    "sentinel": _sentinel,
    "google_secops": _google_secops,
    "s3": partial(_s3, "lines"),
    "s3 parquet": partial(_s3, "parquet", format="parquet"),
    "security_lake": _security_lake,
    "kafka": _kafka,
    "syslog": _syslog,
    "otlp": _otlp,
    "file": _file,
}
HTTPS: dict[str, Callable[[], Stand]] = {
    "slow": partial(_http, slow_s=SLOW_S),
    "hard": partial(_http, slow_s=SLOW_S, most_bytes=HARD_BYTES, fails=HARD_FAILS),
}
