"""Kafka: who may write, and what is said of it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.destinations.kafka import KafkaDestination
from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, Retry
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.transport.tokens import MemoryTokens
from flicker_dagster_tests.deliver.contract import NOW_MS, lots_of
from flicker_dagster_tests.deliver.destinations.kafka_lanes import TOPIC, broker, opened, send
from flicker_dagster_tests.tls import Authority

PASSWORD = "br0ker-passw0rd"


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
