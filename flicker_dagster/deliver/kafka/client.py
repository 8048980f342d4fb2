"""librdkafka: imported when it is first needed, and set up from the record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials
from flicker_dagster.config.destinations.kafka import KafkaDestination, SaslScram
from flicker_dagster.config.secrets import resolve
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.errors import DestinationBlocked

log = logging.getLogger("flicker.deliver")

#: Of a message beside its event, as librdkafka counts it: key, headers and what frames them.
OVERHEAD_BYTES = 2_048

Settings = dict[str, Any]


def library() -> Any:
    """The module `confluent_kafka`. Raises DestinationBlocked where it is not installed."""
    try:
        import confluent_kafka
    except ImportError:
        raise DestinationBlocked(
            "destination type kafka needs a package that is not installed: pip install 'flicker-dagster[kafka]'"
        ) from None
    return confluent_kafka


class MaskedLog:
    """A logger as librdkafka calls it: its lines are masked, and of interest to whoever looks for a fault only."""

    def __init__(self, mask: Callable[[str], str], who: str) -> None:
        self._mask = mask
        self._who = who

    def log(self, level: int, text: str, *arguments: Any) -> None:
        log.debug("%s: librdkafka: %s", self._who, self._mask(text % arguments if arguments else text))


def connection_settings(config: KafkaDestination, context: LaneContext, *, mask: Callable[[str], str]) -> Settings:
    """How to reach the cluster, for producers and readers alike, but for OAuth's callback. Raises SecretUnset."""
    env = context.env
    settings: Settings = {name: resolve(text, env=env) for name, text in config.librdkafka.items()}
    settings |= {
        "bootstrap.servers": ",".join(resolve(broker, env=env) for broker in config.brokers),
        "client.id": settings.get("client.id", "flicker"),
        "logger": MaskedLog(mask, context.stream),
        "log.connection.close": False,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 2_000,
        "socket.connection.setup.timeout.ms": 10_000,
        "security.protocol": {(False, False): "PLAINTEXT", (True, False): "SSL", (False, True): "SASL_PLAINTEXT"}.get(
            (config.tls is not None, config.sasl is not None), "SASL_SSL"
        ),
    }
    return settings | _tls_settings(config, context) | _sasl_settings(config, context)


def producer_settings(config: KafkaDestination, connection: Settings, *, transactional_id: str) -> Settings:
    largest = min(1_000_000_000, config.max_message_bytes + OVERHEAD_BYTES)
    return connection | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": config.transaction_timeout_ms,
        "message.timeout.ms": min(config.timeout_ms, config.transaction_timeout_ms),
        "message.max.bytes": largest,
        "batch.size": largest,
        "compression.codec": config.compression,
        "partitioner": "murmur2_random",  # as Java's clients: the same key, the same partition
        "linger.ms": 5,
        "queue.buffering.max.messages": 100_000,
        "topic.metadata.propagation.max.ms": 5_000,
    }


def reader_settings(connection: Settings, *, group: str) -> Settings:
    """A reader that joins no group: librdkafka wants one named."""
    return connection | {
        "group.id": group,
        "allow.auto.create.topics": False,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 20,
        "auto.offset.reset": "error",
    }


def _tls_settings(config: KafkaDestination, context: LaneContext) -> Settings:
    if config.tls is None:
        return {}
    tls = config.tls
    files = {
        "ssl.ca.location": tls.ca_cert_path,
        "ssl.certificate.location": tls.cert_path,
        "ssl.key.location": tls.key_path,
    }
    settings: Settings = {"ssl.ca.location": "probe"}
    settings |= {name: _readable(resolve(path, env=context.env), context) for name, path in files.items() if path}
    if tls.accept_invalid_certs:
        log.warning("%s: tls.accept_invalid_certs is on: anybody can read along", context.stream)
        settings |= {
            "enable.ssl.certificate.verification": False,
            "ssl.endpoint.identification.algorithm": "none",
        }
    return settings


def _readable(path: str, context: LaneContext) -> str:
    """librdkafka tells of a file that it cannot read without naming it. Raises DestinationBlocked."""
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        words = f"{context.stream}: destination: tls: cannot read {path}: {error.strerror}"
        raise DestinationBlocked(context.masker.mask(words)) from None


def _sasl_settings(config: KafkaDestination, context: LaneContext) -> Settings:
    sasl, env = config.sasl, context.env
    if sasl is None:
        return {}
    if isinstance(sasl, OAuth2ClientCredentials):
        return {"sasl.mechanism": "OAUTHBEARER"}
    mechanism = f"SCRAM-SHA-{sasl.algorithm[3:]}" if isinstance(sasl, SaslScram) else "PLAIN"
    return {
        "sasl.mechanism": mechanism,
        "sasl.username": resolve(sasl.username, env=env),
        "sasl.password": resolve(sasl.password, env=env),
    }
