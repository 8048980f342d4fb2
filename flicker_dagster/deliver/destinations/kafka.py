"""A topic of Kafka: each request is one transaction, and events that were committed before are recognised.

The rules are those of librdkafka's introduction ("Transactional Producer") and of KIP-98: what is committed is decided once a
new producer has begun under the same transactional id.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import msgspec

from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials
from flicker_dagster.config.destinations.kafka import KafkaDestination
from flicker_dagster.config.secrets import resolve
from flicker_dagster.deliver.destination import DestinationBase, LaneContext, LotLimits
from flicker_dagster.deliver.kafka.client import connection_settings, library, producer_settings, reader_settings
from flicker_dagster.deliver.kafka.oauth import BearerTokens
from flicker_dagster.deliver.kafka.session import Failed, Message, Session
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, Outcome, PerItem, Retry
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.lots import Lot
from flicker_dagster.printable import visible
from flicker_dagster.transport.authenticators import AuthFailed
from flicker_dagster.transport.deadlines import Deadline

LONGEST_REASON_CHARS = 500
KNOWN = "committed before"


class Kafka(DestinationBase):
    """One producer under the lane's transactional id, opened when it first sends."""

    def __init__(self, config: KafkaDestination, context: LaneContext) -> None:
        self.config = config
        self.context = context
        self.limits = LotLimits(events=config.max_batch_events, bytes=config.max_batch_bytes, in_flight=1)
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._fenced: Blocked | None = None
        self._topic = ""
        self._tokens: BearerTokens | None = None

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        most = self.config.max_message_bytes
        if lot.size_bytes <= most:
            return {}
        return {
            index: f"{len(event):,} bytes, more than max_message_bytes ({most:,})"
            for index, event in enumerate(lot.events)
            if len(event) > most
        }

    def send(self, lot: Lot) -> Outcome:
        timeout_s = self.config.timeout_ms / 1000
        deadline = Deadline.after(timeout_s, f"destination.timeout_ms ({timeout_s:g} s)").or_earlier(self.deadline)
        with self._lock:
            if self._fenced is not None:
                return self._fenced
            try:
                return self._send(lot, deadline)
            except Failed as failed:
                self._let_go()
                if failed.is_fenced and isinstance(failed.outcome, Blocked):
                    self._fenced = failed.outcome  # who fences back is fenced in turn, and neither gets anywhere
                return self._with_credentials(failed.outcome)

    def describe(self) -> str:
        return visible(f"kafka topic {self.config.topic} at {', '.join(self.config.brokers)}")

    def close(self) -> None:
        with self._lock:
            self._let_go()

    # -- inside

    def _send(self, lot: Lot, deadline: Deadline) -> Outcome:
        if self._session is None:
            self._session = self._open(deadline)
        session = self._session
        known = session.committed(lot, deadline)
        if len(known) == len(lot):
            return Duplicate(KNOWN)
        if known:
            items: list[Outcome] = [Retry("beside events that were committed before", after_s=0)] * len(lot)
            for index in known:
                items[index] = Duplicate(KNOWN)
            return PerItem(tuple(items))
        session.commit(lot, self._messages(lot), deadline)
        return Delivered("committed")

    def _open(self, deadline: Deadline) -> Session:
        """Raises Failed, SecretUnset and DestinationBlocked."""
        try:
            return self._opened(deadline)
        except Failed:
            if self._tokens is None or not self._tokens.renew():
                raise
        return self._opened(deadline)

    def _opened(self, deadline: Deadline) -> Session:
        config, context, env = self.config, self.context, self.context.env
        kafka = library()
        connection = connection_settings(config, context, mask=self._mask)
        if isinstance(config.sasl, OAuth2ClientCredentials):
            self._tokens = self._tokens or BearerTokens(config.sasl, context, ends=lambda: self.deadline)
            self._ask_for_token(self._tokens)
            connection["oauth_cb"] = self._tokens.token
        self._topic = resolve(config.topic, env=env)
        transactional_id = f"{resolve(config.transactional_id_prefix, env=env)}.{context.token_key}"
        try:
            session = Session(
                kafka,
                producer=producer_settings(config, connection, transactional_id=transactional_id),
                reader=reader_settings(connection, group=transactional_id),
                topic=self._topic,
                progress_topic=resolve(config.progress_topic, env=env),
                lookback_ms=config.progress_lookback_ms,
                mask=self._mask,
            )
        except (kafka.KafkaException, ValueError, TypeError) as error:
            words = error.args[0].str() if isinstance(error, kafka.KafkaException) else str(error)
            raise self._unusable(words) from None
        try:
            session.open(deadline)
        except Failed:
            session.close()
            raise
        return session

    def _ask_for_token(self, tokens: BearerTokens) -> None:
        """Before the library does, which would wait for one for 10 s whatever was answered. Raises Failed."""
        try:
            tokens.token("")
        except AuthFailed as error:
            words = self._mask(str(error))
            raise Failed(Retry(words, error.after_s) if error.retryable else Blocked(f"sasl: {words}")) from None
        except ValueError as error:
            raise self._unusable(str(error)) from None

    def _unusable(self, words: str) -> DestinationBlocked:
        return DestinationBlocked(
            self._mask(f"{self.context.stream}: destination: {words}; check its brokers, tls, sasl and librdkafka")
        )

    def _messages(self, lot: Lot) -> list[Message]:
        source = lot.source.encode("utf-8", "replace")
        by_stream, by_event_time = self.config.key == "stream", self.config.timestamp == "event"
        collected_ms = max(1, lot.collected_ms)
        alike = [("source", source), ("schema", lot.schema.encode())]
        messages: list[Message] = []
        for event, uid, time_ms in zip(lot.events, lot.uids, lot.times_ms):
            marked = uid.encode()
            if time_ms is None or not by_event_time or time_ms > collected_ms:
                time_ms = collected_ms
            elif time_ms < 1:
                time_ms = 1
            messages.append((source if by_stream else marked, event, time_ms, [("event_uid", marked), *alike]))
        return messages

    def _mask(self, text: str) -> str:
        masked = self.context.masker.shown(text, at_most=LONGEST_REASON_CHARS)
        for secret in self._tokens.secrets() if self._tokens is not None else ():
            masked = masked.replace(secret, "***")
        return masked

    def _with_credentials(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Blocked) and "sasl" in outcome.why.lower():
            return msgspec.structs.replace(outcome, why=f"{outcome.why} (credentials: {self.context.credentials()})")
        return outcome

    def _let_go(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


OPENS = Kafka
