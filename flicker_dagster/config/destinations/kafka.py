"""`type: kafka`: a topic of Apache Kafka, or of anything that speaks its protocol and has transactions."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials
from flicker_dagster.config.destinations.base import DestinationRecord, Fix, Guide
from flicker_dagster.config.records import Milliseconds, Record, Template, TimeoutMs, Tls
from flicker_dagster.config.shown import shown

#: Where a broker is: a name, or an address (of IPv6 in brackets), and a port.
_BROKER = re.compile(r"([^\s:/@,\[\]]+|\[[0-9a-fA-F:.%]+\])(:[0-9]{1,5})?")

#: What is decided here, or would break what is promised.
OURS = (
    "acks",
    "allow.auto.create.topics",
    "batch.size",
    "bootstrap.servers",
    "compression.",
    "delivery.timeout.ms",
    "enable.",
    "error_cb",
    "group.",
    "isolation.level",
    "log",
    "max.in.flight",
    "message.",
    "metadata.broker.list",
    "oauth",
    "on_delivery",
    "partitioner",
    "plugin.",
    "request.required.acks",
    "retries",
    "sasl.",
    "security.protocol",
    "ssl.",
    "transaction",
)


class SaslPlain(Record):
    """User name and password, as they are (SASL PLAIN): over TLS only."""

    type: Literal["plain"]
    username: Template = Field(description="the user's name; a template")
    password: Template = Field(description="the password; a template", examples=["${KAFKA_PASSWORD}"])


class SaslScram(Record):
    """User name and password, proven without being sent (SASL SCRAM)."""

    type: Literal["scram"]
    username: Template = Field(description="the user's name; a template")
    password: Template = Field(description="the password; a template", examples=["${KAFKA_PASSWORD}"])
    algorithm: Literal["sha256", "sha512"] = Field(default="sha512", description="the hash")


class KafkaDestination(DestinationRecord):
    """A topic of Kafka, each request one transaction: who reads committed records finds every event once."""

    GUIDE = Guide(
        title="Apache Kafka",
        create=(
            "Create the topic: `kafka-topics.sh --create --topic audit-events`.",
            "Create the topic in which Flicker notes what it has committed: `kafka-topics.sh --create --topic "
            "flicker-progress --partitions 12 --config cleanup.policy=delete --config retention.ms=2592000000`. A note is "
            "needed for as long as its events may wait in a spool; 30 days are plenty. Its number of partitions must not be "
            "changed while anything waits. Several streams and sources share it.",
            "Let consumers read with `isolation.level=read_committed`: others see what was given up as well.",
        ),
        rights="On the topic: Write, Describe. On the progress topic: Write, Read, Describe. On the transactional ids that "
        "begin with `transactional_id_prefix`: Write, Describe. No group is ever joined.",
        block="""kafka:
  type: kafka
  brokers: [kafka-1.example.com:9093, kafka-2.example.com:9093]
  topic: audit-events
  tls: {}
  sasl:
    type: scram
    username: flicker
    password: ${KAFKA_PASSWORD}
""",
        guarantee="exactly once",
        bound="for readers of committed records, as long as the notes in the progress topic are kept",
        body="one record per event, its value the event byte for byte; a request is one transaction; zstd",
        identity="the header `event_uid` (with `key: event` the record's key, too)",
        time="the record's timestamp",
        find="kafka-console-consumer.sh --bootstrap-server {record.brokers[0]} --topic {record.topic} --isolation-level "
        "read_committed --from-beginning --property print.headers=true | grep {uid}",
        tested="a real Apache Kafka 4.4 (kills, cut connections, take-overs); simulated brokers, through the real client",
        extra="kafka",
        notes=(
            "Where to find things: the value is the event, byte for byte; the key is the stream (so that a stream's events "
            "stay in one partition, in order) or the event's id; headers `event_uid`, `source` and `schema`; the timestamp is "
            "the event's time, or, with `timestamp: collected`, that of its collection.",
            "Kafka deletes by timestamps: events older than the topic's `retention.ms` may be gone at once. For a backfill of "
            "old events raise it, or use `timestamp: collected`. Times in the future are written as that of the collection: "
            "brokers refuse them.",
            "Events whose answer was lost, even with its process, are looked for in the progress topic before they are sent "
            "again, and count as duplicates if they are there. Ordinary requests cost one small record more, and the start of "
            "a delivery reads the notes made since its oldest events were collected, and `progress_lookback_ms` before.",
            "One transactional id per stream and lane, and one transaction at a time: `max_in_flight` has no effect. A process "
            "that takes a stream over fences the one before. Two "
            "installations on one cluster need different `transactional_id_prefix`es.",
            "An event above `max_message_bytes` becomes a dead letter. Keep the topic's `max.message.bytes` at or above it: "
            "what a broker refuses as too large is halved and sent again, down to the one guilty event.",
        ),
        answers=(
            ("committed", "taken"),
            (
                "the answer to a commit was lost",
                "looked for in the progress topic, and sent again only if it is not there",
            ),
            ("not authorized, unknown topic, TLS, SASL", "everything waits until somebody mends it"),
            ("a record too large", "halved down to the guilty event, which becomes a dead letter"),
            ("fenced", "another process has taken the stream over; this one stops"),
        ),
        http_answers=False,
        fixes=(
            Fix(
                "TOPIC_AUTHORIZATION",
                "Allow Write and Describe on the topic, and Write, Read, Describe on the progress topic.",
            ),
            Fix(
                "TRANSACTIONAL_ID_AUTHORIZATION",
                "Allow Write and Describe on transactional ids that begin with `transactional_id_prefix`.",
            ),
            Fix("CLUSTER_AUTHORIZATION", "Allow IdempotentWrite on the cluster, or Write on the transactional id."),
            Fix("UNKNOWN_TOPIC", "Create the topic and the progress topic, or correct `topic` and `progress_topic`."),
            Fix("AUTHENTICATION", "Check `sasl`: type, user, password, algorithm."),
            Fix("SASL", "Check `sasl`: type, user, password, algorithm; and that the port is one for SASL."),
            Fix("_SSL", "Check `tls` (`ca_cert_path` for an authority of your own), and that the port speaks TLS."),
            Fix(
                "brokers",
                "Check `brokers`, and that the addresses that the brokers advertise can be reached from here.",
            ),
            Fix("_TRANSPORT", "Check `brokers`: host, port, and whether the port wants TLS (`tls: {}`)."),
            Fix("_RESOLVE", "Check `brokers`: the name is not known to DNS."),
            Fix(
                "no transaction could begin",
                "Check `brokers`, `tls` and `sasl`, and that the cluster has as many brokers as its transaction log "
                "wants copies.",
            ),
            Fix("within", "Check `brokers`, `tls` and `sasl`: no broker answered in time."),
            Fix("not installed", "`pip install 'flicker-dagster[kafka]'`"),
        ),
    )

    type: Literal["kafka"]
    brokers: Annotated[list[Template], Field(min_length=1)] = Field(
        description="host:port, where to begin; one is enough"
    )
    topic: Template = Field(description="where events go")
    progress_topic: Template = Field(
        default="flicker-progress", description="where it is noted, in the same transaction, what was committed"
    )
    key: Literal["stream", "event"] = Field(default="stream", description="what decides on the partition")
    timestamp: Literal["event", "collected"] = Field(default="event", description="which time a record carries")
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        default="zstd", description="of batches on their way and in the topic"
    )
    sasl: Annotated[SaslPlain | SaslScram | OAuth2ClientCredentials, Field(discriminator="type")] | None = Field(
        default=None, description="who we are"
    )
    tls: Tls | None = Field(default=None, description="`{}` for TLS with the system's authorities; without it, no TLS")
    transactional_id_prefix: Template = Field(
        default="flicker", description="what all transactional ids begin with; stream and lane follow"
    )
    progress_lookback_ms: Milliseconds = Field(
        default=3_600_000,
        description="notes are read from so long before the oldest waiting events were collected: what another machine had "
        "collected and committed before is known too, where it had been cut into the same lots",
    )
    transaction_timeout_ms: TimeoutMs = Field(
        default=60_000,
        description="a transaction that was left open is given up by the broker after so long; above timeout_ms",
    )
    max_batch_events: Annotated[int, Field(ge=1, le=50_000)] = Field(
        default=2_000, description="most events of a transaction"
    )
    max_batch_bytes: Annotated[int, Field(ge=1, le=256_000_000)] = Field(
        default=4_000_000, description="most bytes of a transaction, before compression"
    )
    max_message_bytes: Annotated[int, Field(ge=1_000, le=100_000_000)] = Field(
        default=1_000_000, description="largest event"
    )
    librdkafka: dict[str, Template] = Field(
        default_factory=dict, description="further settings of the client library, such as `broker.address.family`"
    )

    def addresses(self) -> tuple[str, ...]:
        return tuple(self.brokers)

    def address_fault(self, address: str) -> str | None:
        if "${" in address or _BROKER.fullmatch(address):
            return None
        return f"found {shown(address)}, expected host:port, one broker each"

    def faults(self) -> list[tuple[str, str]]:
        found = [
            (f"librdkafka.{name}", "is decided by other keys, expected another setting of librdkafka")
            for name in self.librdkafka
            if name.startswith(OURS)
        ]
        if self.transaction_timeout_ms <= self.timeout_ms:
            found.append(("transaction_timeout_ms", f"expected more than timeout_ms ({self.timeout_ms})"))
        if self.progress_topic == self.topic:
            found.append(("progress_topic", "is the topic of the events, expected another"))
        if isinstance(self.sasl, OAuth2ClientCredentials):
            found += [(f"sasl.{key}", what) for key, what in self.sasl.faults()]
            given = sorted({"header", "format"} & self.sasl.model_fields_set)
            found += [(f"sasl.{key}", "is not used: a broker is sent the token itself") for key in given]
        return found
