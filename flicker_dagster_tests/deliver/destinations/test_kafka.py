"""Kafka: what a record holds, who may write, and what each answer of a broker stands for."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from flicker_dagster.config.destinations.kafka import KafkaDestination
from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.kafka.errors import NOTE, outcome_of_failures
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, PerItem, Rejected, Retry, Split
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster.simulator.kafka.broker import Fault
from flicker_dagster.simulator.kafka.errors import Code
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.tokens import MemoryTokens
from flicker_dagster_tests.deliver.contract import NOW_MS, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.kafka_lanes import PROGRESS, TOPIC, broker, opened, read, send
from flicker_dagster_tests.tls import Authority

PASSWORD = "br0ker-passw0rd"

# -- what a record holds


def test_a_record_is_the_event_byte_for_byte_with_its_id_source_and_time() -> None:
    events = [b'{"id":"s","agent":"cut \\ud83d"}', b'{"raw":"\xff\xfe", "n":1.10}', event_of(1)]
    times_ms = [NOW_MS - 5_000, None, NOW_MS + 86_400_000]
    lot = lot_of(events, times_ms=times_ms)
    with broker() as kafka:
        assert send(lot, kafka.address) == Delivered("committed")
        stored = kafka.stored
    assert [record.value for record in stored] == events
    assert [record.key for record in stored] == [b"okta"] * 3
    assert [record.headers["event_uid"] for record in stored] == [uid.encode() for uid in lot.uids]
    assert {(record.headers["source"], record.headers["schema"]) for record in stored} == {(b"okta", b"vendor")}
    expected = [NOW_MS - 5_000, NOW_MS, NOW_MS]
    assert [record.timestamp_ms for record in stored] == expected, "a broker refuses times in the future"


def test_the_key_may_be_the_event_and_the_timestamp_that_of_the_collection() -> None:
    lot = lots_of(30, size=30)[0]
    with broker(partitions=3) as kafka:
        assert isinstance(send(lot, kafka.address, key="event", timestamp="collected"), Delivered)
        assert {record.key.decode() for record in kafka.stored} == set(lot.uids)
        assert {record.timestamp_ms for record in kafka.stored} == {NOW_MS}
        assert all(partition.batches for partition in kafka.topics[TOPIC].partitions), "spread over partitions"


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_an_independent_reader_finds_each_event_in_order(compression: str) -> None:
    lots = lots_of(200)
    with broker() as kafka:
        destination = opened(kafka.address, compression=compression)
        assert [destination.send(lot) for lot in lots] == [Delivered("committed")] * 2
        destination.close()
        found = read(kafka.address)
    assert [message.value() for message in found] == [event for lot in lots for event in lot.events]


def test_librdkafkas_own_broker_takes_it_as_well() -> None:
    mock = confluent_kafka.Producer(
        {"bootstrap.servers": "unused", "test.mock.num.brokers": 3, "log_level": 0, "client.id": "mock"}
    )
    brokers = ",".join(f"{each.host}:{each.port}" for each in mock.list_topics(timeout=10).brokers.values())
    for topic in (TOPIC, PROGRESS):  # its topics are made when they are written to
        mock.produce(topic, b"", headers={"event_uid": b"made"})
    assert mock.flush(10) == 0
    lots = lots_of(300)
    destination = opened(brokers)
    try:
        assert [destination.send(lot) for lot in lots] == [Delivered("committed")] * 3
        assert destination.send(lots[0]) == Duplicate("committed before")
    finally:
        destination.close()
    values = [message.value() for message in read(brokers) if message.value()]
    assert sorted(values) == sorted(event for lot in lots for event in lot.events)


def test_an_event_above_the_limit_is_told_before_anything_is_sent() -> None:
    lot = lot_of([event_of(1), event_of(2, detail="x" * 5_000), event_of(3)])
    destination = opened("127.0.0.1:1", max_message_bytes=4_000)
    assert list(destination.unfit(lot)) == [1]
    assert "more than max_message_bytes (4,000)" in destination.unfit(lot)[1]
    assert destination.unfit(lot.part([0, 2])) == {}


def test_an_event_as_large_as_the_limit_is_taken() -> None:
    event = b'"%b"' % (b"x" * 99_998)
    with broker() as kafka:
        destination = opened(kafka.address, max_message_bytes=100_000)
        assert destination.unfit(lot_of([event])) == {}
        assert isinstance(destination.send(lot_of([event, event_of(1)])), Delivered)
        destination.close()


# -- what a broker's answers stand for

ALWAYS = None

ROWS = [
    # request, error, outcome of three events, words
    ("InitProducerId", Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Blocked, "allow Write and Describe on the transact"),
    ("InitProducerId", Code.CLUSTER_AUTHORIZATION_FAILED, Blocked, "allow IdempotentWrite"),
    ("InitProducerId", Code.INVALID_TRANSACTION_TIMEOUT, Blocked, "lower transaction_timeout_ms"),
    ("InitProducerId", Code.CONCURRENT_TRANSACTIONS, Retry, "no transaction could begin within destination.timeout_ms"),
    ("Metadata", Code.UNKNOWN_TOPIC_OR_PARTITION, Blocked, "topic audit-events: UNKNOWN_TOPIC_OR_PART"),
    ("Metadata", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "topic audit-events: TOPIC_AUTHORIZATION_FAILED"),
    ("Metadata", Code.INVALID_TOPIC, Blocked, "check the topic's name"),
    ("Metadata", Code.LEADER_NOT_AVAILABLE, Retry, "LEADER_NOT_AVAILABLE"),
    ("ListOffsets", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "Read on the progress topic"),
    ("ListOffsets", Code.NOT_LEADER_FOR_PARTITION, Retry, "NOT_LEADER_FOR_PARTITION"),
    ("Fetch", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "Read on the progress topic"),
    ("AddPartitionsToTxn", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "TOPIC_AUTHORIZATION_FAILED"),
    ("AddPartitionsToTxn", Code.INVALID_PRODUCER_ID_MAPPING, Retry, "INVALID_PRODUCER_ID_MAPPING"),
    ("AddPartitionsToTxn", Code.PRODUCER_FENCED, Blocked, "another process sends for this lane"),
    ("Produce", Code.TOPIC_AUTHORIZATION_FAILED, Blocked, "TOPIC_AUTHORIZATION_FAILED"),
    ("Produce", Code.POLICY_VIOLATION, Blocked, "policy"),
    ("Produce", Code.MSG_SIZE_TOO_LARGE, Split, "MSG_SIZE_TOO_LARGE"),
    ("Produce", Code.INVALID_TIMESTAMP, Rejected, "INVALID_TIMESTAMP"),
    ("Produce", Code.INVALID_RECORD, Rejected, "INVALID_RECORD"),
    ("Produce", Code.OUT_OF_ORDER_SEQUENCE_NUMBER, Retry, "OUT_OF_ORDER_SEQUENCE_NUMBER"),
    ("Produce", Code.INVALID_TXN_STATE, Retry, "INVALID_TXN_STATE"),
    ("Produce", Code.NOT_ENOUGH_REPLICAS, Retry, "messages were not written within destination.timeout_ms"),
    ("Produce", Code.INVALID_PRODUCER_EPOCH, Blocked, "another process sends for this lane"),
    ("EndTxn", Code.PRODUCER_FENCED, Blocked, "another process sends for this lane"),
    ("EndTxn", Code.INVALID_PRODUCER_EPOCH, Blocked, "another process sends for this lane"),
    ("EndTxn", Code.INVALID_TXN_STATE, Ambiguous, "INVALID_TXN_STATE"),
    ("EndTxn", Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Ambiguous, "a commit was asked for"),
    ("EndTxn", Code.COORDINATOR_NOT_AVAILABLE, Ambiguous, "a commit was asked for and not answered within"),
]


@pytest.mark.parametrize(("request_", "code", "expected", "words"), ROWS, ids=[f"{r[0]} {r[1].name}" for r in ROWS])
def test_what_an_error_stands_for_and_nothing_is_lost_or_doubled(
    request_: str, code: Code, expected: type, words: str
) -> None:
    lot = lots_of(3, size=3)[0]
    with broker() as kafka:
        kafka.plan(Fault(request_, "error", code, count=ALWAYS))
        outcome = send(lot, kafka.address, timeout_ms=700)
        assert isinstance(outcome, expected), outcome
        assert words in outcome.why
        assert kafka.stored == []
        kafka.clear_faults()
        assert send(lot, kafka.address) == Delivered("committed"), "the next delivery goes on"
        assert set(kafka.counts().values()) == {1}


@pytest.mark.parametrize(
    ("request_", "kind", "count", "expected"),
    [
        ("InitProducerId", "silent", ALWAYS, Retry),
        ("Metadata", "cut_before", ALWAYS, Retry),
        ("ListOffsets", "cut_after", 1, Delivered),
        ("ListOffsets", "silent", ALWAYS, Retry),
        ("Fetch", "silent", ALWAYS, Retry),
        ("AddPartitionsToTxn", "cut_after", 1, Delivered),
        ("Produce", "cut_after", 1, Delivered),
        ("Produce", "silent", ALWAYS, Retry),
        ("EndTxn", "cut_before", 1, Delivered),
        ("EndTxn", "cut_after", 1, Delivered),
        ("EndTxn", "cut_before", ALWAYS, Ambiguous),
        ("EndTxn", "silent", ALWAYS, Ambiguous),
    ],
)
def test_answers_that_are_lost(request_: str, kind: str, count: int | None, expected: type) -> None:
    lot = lots_of(3, size=3)[0]
    with broker() as kafka:
        kafka.plan(Fault(request_, kind, count=count))
        outcome = send(lot, kafka.address, timeout_ms=5_000 if count else 800)
        assert isinstance(outcome, expected), outcome
        kafka.clear_faults()
        assert isinstance(send(lot, kafka.address), Delivered | Duplicate)
        assert set(kafka.counts().values()) == {1}
        assert len(kafka.stored) == 3


def test_nobody_there_is_a_retry() -> None:
    outcome = send(lots_of(3)[0], "127.0.0.1:1", timeout_ms=600)
    assert isinstance(outcome, Retry)
    assert "within destination.timeout_ms (0.6 s)" in outcome.why


def test_a_batch_that_is_refused_without_saying_for_which_record_is_to_be_cut() -> None:
    lot = lot_of([event_of(0), event_of(1, bad="p0ison"), event_of(2)])
    with broker(poison="p0ison") as kafka:
        destination = opened(kafka.address)
        assert destination.send(lot) == Rejected("INVALID_RECORD: Broker: Broker failed to validate record")
        assert kafka.stored == []
        assert isinstance(destination.send(lot.part([1])), PerItem | Rejected)
        assert isinstance(destination.send(lot.part([0, 2])), Delivered)
        destination.close()


def _failed(place: int, name: str) -> tuple[int, Any]:
    return place, confluent_kafka.KafkaError(getattr(confluent_kafka.KafkaError, name))


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([(0, "_INVALID_DIFFERENT_RECORD"), (1, "INVALID_RECORD"), (NOTE, "_PURGE_QUEUE")], [Retry, Rejected, Retry]),
        ([(0, "INVALID_RECORD"), (1, "INVALID_RECORD"), (2, "_INVALID_DIFFERENT_RECORD")], [Rejected, Rejected, Retry]),
        ([(2, "INVALID_TIMESTAMP")], [Retry, Retry, Rejected]),
        ([(0, "INVALID_TIMESTAMP"), (1, "INVALID_TIMESTAMP")], Rejected),
        ([(0, "_PURGE_QUEUE"), (1, "MSG_SIZE_TOO_LARGE")], Split),
        ([(0, "INVALID_RECORD"), (NOTE, "TOPIC_AUTHORIZATION_FAILED")], Blocked),
        ([(0, "_PURGE_INFLIGHT"), (1, "_MSG_TIMED_OUT")], Retry),
        ([(0, "_PURGE_INFLIGHT")], Retry),
    ],
)
def test_what_reports_of_messages_come_to(failures: list[tuple[int, str]], expected: Any) -> None:
    outcome = outcome_of_failures([_failed(*failure) for failure in failures], 3, str)
    if isinstance(expected, list):
        assert isinstance(outcome, PerItem)
        assert [type(item) for item in outcome.items] == expected
        assert {item.after_s for item in outcome.items if isinstance(item, Retry)} == {0}
    else:
        assert isinstance(outcome, expected)
        assert "_PURGE_QUEUE" not in str(outcome)


# -- who may write


@pytest.mark.parametrize(
    "sasl",
    [{"type": "plain"}, {"type": "scram", "algorithm": "sha256"}, {"type": "scram", "algorithm": "sha512"}],
    ids=str,
)
def test_user_name_and_password(sasl: dict[str, str]) -> None:
    lot = lots_of(3, size=3)[0]
    keys = {"sasl": {**sasl, "username": "flicker", "password": "${PASSWORD}"}}
    with broker(users={"flicker": PASSWORD}) as kafka:

        def with_(password: str) -> Any:
            env = {"PASSWORD": password}
            masker = Masker([password])
            return send(lot, kafka.address, context={"env": env, "masker": masker}, **keys)

        refused = with_("another-passw0rd")
        assert isinstance(refused, Blocked)
        assert "credentials: its credentials" in refused.why
        assert "another-passw0rd" not in refused.why
        assert with_(PASSWORD) == Delivered("committed")
        assert isinstance(send(lot, kafka.address, timeout_ms=600), Retry | Blocked), "nobody comes in without"
        with pytest.raises(SecretUnset):
            send(lot, kafka.address, context={"env": {}}, **keys)


def test_tokens_of_an_authorization_server() -> None:
    lots = lots_of(6, size=3)
    tokens = TokenServer(clients={"flicker": "c1ient-secret"})
    keys = {
        "sasl": {
            "type": "oauth2_client_credentials",
            "token_url": tokens.url,
            "client_id": "flicker",
            "client_secret": "${SECRET}",
        }
    }
    right = {"minted": True}
    try:
        with broker(token_is_right=lambda token: right["minted"] and tokens.accepts(token)) as kafka:
            refused = send(lots[0], kafka.address, context={"env": {"SECRET": "wrong-secret"}}, **keys)
            assert isinstance(refused, Blocked), refused
            assert "credentials: its credentials" in refused.why
            context = {"env": {"SECRET": "c1ient-secret"}}
            assert send(lots[0], kafka.address, context=context, **keys) == Delivered("committed")
            kept = {**context, "tokens": MemoryTokens()}
            assert send(lots[1], kafka.address, context=kept, **keys) == Delivered("committed")
            tokens.revoke_all()
            assert send(lots[1], kafka.address, context=kept, **keys) == Duplicate("committed before"), (
                "a new one is minted"
            )
            right["minted"] = False
            refused = send(lots[1], kafka.address, context=context, **keys)
            assert isinstance(refused, Blocked), refused
            assert not any(each.value in refused.why for each in tokens.minted)
    finally:
        tokens.close()


def test_tls_trusts_the_configured_authority_only_and_the_certificate_has_to_name_the_host(tmp_path: Path) -> None:
    ours, other = Authority.in_directory(tmp_path), Authority.in_directory(tmp_path, "other")
    lot = lots_of(3, size=3)[0]
    with broker(tls=ours.server_context(demand_client=True)) as kafka:
        client = {"cert_path": ours.client_cert_path, "key_path": ours.client_key_path}
        assert send(lot, kafka.address, tls={"ca_cert_path": ours.ca_path, **client}) == Delivered("committed")
        refused = send(lot, kafka.address, tls={"ca_cert_path": other.ca_path, **client})
        assert isinstance(refused, Blocked)
        assert "check tls" in refused.why
        assert not isinstance(send(lot, kafka.address, timeout_ms=900, tls={"ca_cert_path": ours.ca_path}), Delivered)
        assert len(kafka.stored) == 3


def test_a_certificate_file_that_is_not_there_blocks(tmp_path: Path) -> None:
    with pytest.raises(DestinationBlocked, match=r"okta: destination: tls: cannot read .*gone\.pem: No such"):
        send(lots_of(3)[0], "127.0.0.1:1", tls={"ca_cert_path": str(tmp_path / "gone.pem")})


def test_a_setting_that_librdkafka_does_not_know_blocks() -> None:
    with pytest.raises(DestinationBlocked, match=r"okta: destination: .*no\.such\.setting"):
        send(lots_of(3)[0], "127.0.0.1:1", librdkafka={"no.such.setting": "1"})


# -- what is said


def test_what_librdkafka_says_is_masked_and_told_at_debug_only(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, logger="flicker.deliver"), broker(users={"flicker": PASSWORD}) as kafka:
        address = kafka.address
        send(
            lots_of(3)[0],
            address,
            context={"env": {}, "masker": Masker([address])},
            sasl={"type": "plain", "username": "flicker", "password": "wrong"},
        )
    said = [record for record in caplog.records if "librdkafka" in record.getMessage()]
    assert said
    assert all(record.levelno == logging.DEBUG and address not in record.getMessage() for record in said)
    assert capfd.readouterr() == ("", ""), "nothing on the terminal"


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(DestinationBlocked, match=r"pip install 'flicker-dagster\[kafka\]'"):
        send(lots_of(3)[0], "127.0.0.1:1")


def test_it_says_where_it_goes_without_asking_for_secrets() -> None:
    destination = opened("${BROKER}", context={"env": {}})
    assert destination.describe() == "kafka topic audit-events at ${BROKER}"
    destination.close()


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"librdkafka": {"enable.idempotence": "false"}}, "librdkafka.enable.idempotence"),
        ({"librdkafka": {"transactional.id": "x"}}, "librdkafka.transactional.id"),
        ({"timeout_ms": 60_000}, "transaction_timeout_ms"),
        ({"progress_topic": "audit-events"}, "progress_topic"),
        ({"brokers": ["b:9092", "kafka://c:9092"]}, "brokers[1]"),
        ({"brokers": ["b:9092,c:9092"]}, "brokers[0]"),
        ({"brokers": ["[::1]:9092", "${BROKER}", "10.0.0.1:9092"]}, None),
        ({"librdkafka": {"broker.address.family": "v4"}}, None),
    ],
)
def test_keys_that_would_break_what_is_promised_are_faults(keys: dict[str, Any], path: str | None) -> None:
    config = KafkaDestination.model_validate({"type": "kafka", "brokers": ["b:9092"], "topic": TOPIC, **keys})
    assert [place for place, _ in config.all_faults()] == ([] if path is None else [path])


def test_the_note_of_a_request_can_be_read_by_people() -> None:
    lot = lots_of(3, size=3)[0]
    with broker() as kafka:
        send(lot.part([0, 2]), kafka.address)
        (note,) = kafka.notes
    assert note.key == b"flicker.okta@kafka"
    assert note.timestamp_ms == NOW_MS
    assert json.loads(note.value or b"") == {
        "topic": TOPIC,
        "lot": lot.lot_id,
        "places": [[0, 1], [2, 3]],
        "stream": "okta",
    }
