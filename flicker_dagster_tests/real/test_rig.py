"""The receivers themselves: each is the real one, and gives back what it took."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from botocore.exceptions import ClientError

from flicker_dagster.simulator.server import Response, Server
from flicker_dagster_tests.real import collector as collector_
from flicker_dagster_tests.real.collector import Collector
from flicker_dagster_tests.real.kafka import Kafka
from flicker_dagster_tests.real.nginx import Front
from flicker_dagster_tests.real.object_stores import ObjectStore
from flicker_dagster_tests.real.opensearch import LARGEST_BODY_BYTES, OpenSearch
from flicker_dagster_tests.real.programs import Program, call
from flicker_dagster_tests.real.rsyslog import Rsyslog
from flicker_dagster_tests.real.victorialogs import VictoriaLogs
from flicker_dagster_tests.tls import Authority

NDJSON, JSON = {"Content-Type": "application/x-ndjson"}, {"Content-Type": "application/json"}


def test_opensearch_creates_a_document_once(opensearch: OpenSearch) -> None:
    body = b'{"create":{"_index":"rig-once","_id":"a"}}\n{"n":1}\n'
    statuses = []
    for _ in range(2):
        status, answer = call("POST", f"{opensearch.url}/_bulk", body, NDJSON)
        assert status == 200
        statuses.append(json.loads(answer)["items"][0]["create"]["status"])
    assert statuses == [201, 409]
    assert [(each["_id"], each["_source"]) for each in opensearch.documents("rig-once")] == [("a", {"n": 1})]


def test_opensearch_refuses_a_large_body_with_413(opensearch: OpenSearch) -> None:
    status, answer = call("POST", f"{opensearch.url}/_bulk", b"x" * (LARGEST_BODY_BYTES + 1), NDJSON)
    assert (status, answer) == (413, b"")


def test_opensearch_killed_and_started_again_has_what_it_took(opensearch: OpenSearch) -> None:
    opensearch.ask("PUT", "/rig-kept/_doc/a", {"n": 1})
    opensearch.program.kill()
    opensearch.program.start()
    assert opensearch.count("rig-kept") == 1


def test_victorialogs_gives_back_what_it_took(victorialogs: VictoriaLogs) -> None:
    line = b'{"_msg":"rig {\\"n\\":1.10}","_time":"2026-01-02T03:04:05Z","test":"rig"}\n'
    status, _ = call("POST", f"{victorialogs.jsonline}?_stream_fields=test", line, {"Content-Type": "application/json"})
    assert status == 200
    (row,) = victorialogs.rows("test:rig")
    assert row["_msg"] == 'rig {"n":1.10}'
    assert row["_time"] == "2026-01-02T03:04:05Z"


def test_kafka_gives_back_what_was_committed(kafka: Kafka) -> None:
    import confluent_kafka as clients

    producer = clients.Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "rig"})
    producer.init_transactions(60)
    for value, ends in ((b"aborted", producer.abort_transaction), (b"committed", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce("rig", value)
        producer.flush(60)
        ends(60)
    settings = {"group.id": "rig", "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
    consumer = clients.Consumer({"bootstrap.servers": kafka.bootstrap, **settings})
    consumer.subscribe(["rig"])
    try:
        message = consumer.poll(60)
        assert message is not None
        assert message.value() == b"committed"
    finally:
        consumer.close()


def test_the_collector_gives_back_what_it_took(collector: Collector) -> None:
    record = {"timeUnixNano": "1767323045000000000", "body": {"stringValue": '{"n-of-the-rig":1.10}'}}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    status, answer = call("POST", collector.otlp, body, JSON)
    assert (status, json.loads(answer)) == (200, {"partialSuccess": {}})
    (found,) = collector.wait_for(1, holding="n-of-the-rig")
    assert found["body"] == {"stringValue": '{"n-of-the-rig":1.10}'}
    large = b'{"resourceLogs":[' + b" " * collector_.LARGEST_BODY_BYTES + b"]}"
    assert call("POST", collector.otlp, large, JSON)[0] == 400


SYSLOG = b'<134>1 2026-01-02T03:04:05.000Z okta flicker - rig - {"n":1.10,"text":"' + b"x" * 300_000 + b'"}'
FRAME = b"%d %b" % (len(SYSLOG), SYSLOG)


def test_rsyslog_takes_messages_over_mutual_tls(rsyslog: Rsyslog) -> None:
    with _connected(rsyslog.port, _with_certificate(rsyslog.authority)) as sock:
        sock.sendall(FRAME)
        assert rsyslog.wait_for(1, holding=b" rig ") == [SYSLOG]


def test_the_collector_takes_messages_over_mutual_tls(collector: Collector) -> None:
    with _connected(collector.syslog_port, _with_certificate(collector.authority)) as sock:
        sock.sendall(FRAME)
        (found,) = collector.wait_for(1, holding=" rig ")
        assert found["body"] == {"stringValue": FRAME.decode()}


@pytest.mark.parametrize("which", ["rsyslog", "collector"])
def test_without_a_certificate_nothing_is_taken(which: str, request: pytest.FixtureRequest) -> None:
    receiver = request.getfixturevalue(which)
    port = receiver.port if which == "rsyslog" else receiver.syslog_port
    with pytest.raises(OSError, match=r"alert|reset|EOF|closed"):
        _send_and_read(port, ssl.create_default_context(cafile=receiver.authority.ca_path))


def _send_and_read(port: int, context: ssl.SSLContext) -> None:
    """In TLS 1.3 a client learns that it was refused when it reads."""
    with _connected(port, context) as sock:
        sock.sendall(FRAME)
        if not sock.recv(1):
            raise OSError("closed")


def _with_certificate(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.ca_path)
    context.load_cert_chain(authority.client_cert_path, authority.client_key_path)
    return context


@contextmanager
def _connected(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
    ):
        yield sock


@pytest.mark.parametrize("which", ["seaweedfs", "moto_s3"])
def test_an_object_store_makes_an_object_once(which: str, request: pytest.FixtureRequest) -> None:
    store: ObjectStore = request.getfixturevalue(which)
    client = store.client()
    client.create_bucket(Bucket="rig-bucket")
    client.put_object(Bucket="rig-bucket", Key="a/b", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket="rig-bucket", Key="a/b", Body=b"second", IfNoneMatch="*")
    assert store.objects("rig-bucket", "a/") == {"a/b": b"first"}


def test_seaweedfs_checks_signatures(seaweedfs: ObjectStore) -> None:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        replace(seaweedfs, secret="another").client().put_object(Bucket="rig-signed", Key="a", Body=b"")


def test_nginx_has_a_limit_of_its_own_and_wants_a_certificate(nginx_before: Callable[..., Front]) -> None:
    server = Server(lambda request: Response.json({"bytes": len(request.body)}))
    try:
        front = nginx_before(server.url, largest_body_bytes=1000)
        trust = ssl.create_default_context(cafile=front.authority.ca_path)
        assert call("POST", front.url, b"x", tls=trust)[0] == 400
        trust = _with_certificate(front.authority)
        assert call("POST", front.url, b"x" * 1000, tls=trust) == (200, b'{"bytes": 1000}')
        status, answer = call("POST", front.url, b"x" * 1001, tls=trust)
        assert status == 413
        assert answer.startswith(b"<html>")
    finally:
        server.close()


def test_what_the_collector_is_just_writing_is_not_read_yet(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    line = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}}]}]}]}\n'
    out.write_bytes(line + line[:40])
    collector = Collector(
        otlp="", syslog_port=0, authority=cast("Authority", None), file=out, program=cast("Program", None)
    )
    assert len(collector.records()) == 1


def test_an_answer_that_comes_before_the_whole_body_is_taken_is_read() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server, ThreadPoolExecutor(1) as pool:

        def refuse() -> None:
            connection, _ = server.accept()
            with closing(connection):
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

        refused = pool.submit(refuse)
        assert call("POST", f"http://127.0.0.1:{server.getsockname()[1]}/", bytes(20_000_000)) == (413, b"")
        refused.result()
