"""One producer from its opening on: transactions, one at a time, until it fails or is closed.

Opening it ends whatever its forerunner under the same transactional id has left open, and fences that one. So after opening,
what was committed is decided, and stands in the notes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flicker_dagster.deliver.kafka.client import Settings
from flicker_dagster.deliver.kafka.errors import (
    BLOCKED,
    FENCED,
    NOTE,
    outcome_before_commit,
    outcome_of_failures,
    words_of,
)
from flicker_dagster.deliver.kafka.progress import Held, Note, Progress, Unreadable, note_time_ms, write_note
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Outcome, Retry
from flicker_dagster.lots import Lot
from flicker_dagster.transport.deadlines import Deadline

#: A wait of the library is cut into pieces of so long, in between which its errors are looked at.
SLICE_S = 0.25
POLL_S = 0.1

#: Errors of a connection that no waiting mends.
HOPELESS = frozenset({"_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM"})

#: Key, value, timestamp in milliseconds, headers.
Message = tuple[bytes, bytes, int, list[tuple[str, bytes]]]


class Failed(Exception):
    """The session is of no further use. `outcome` is that of the request, `is_fenced` says that another producer took over."""

    def __init__(self, outcome: Outcome, *, is_fenced: bool = False) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome
        self.is_fenced = is_fenced


class Heard:
    """The last error of the connections, which librdkafka tells beside those of requests; what says more is kept.

    Apart from the session, so that the producer, which calls it, does not keep itself alive.
    """

    def __init__(self) -> None:
        self.error: Any = None

    def hear(self, error: Any) -> None:
        if self.error is None or error.name() in HOPELESS or self.error.name() == "_ALL_BROKERS_DOWN":
            self.error = error


class Unwritten:
    """Messages that were given back: topic, key, value and error of each. What was written is not told, which costs nothing."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes | None, bytes | None, Any]] = []

    def report(self, error: Any, message: Any) -> None:
        self.messages.append((message.topic(), message.key(), message.value(), error))

    def failures(self, topic: str, messages: list[Message]) -> list[tuple[int, Any]]:
        """The place of each among a transaction's messages, with its error; NOTE for what went to another topic."""
        places: dict[tuple[bytes | None, bytes | None], list[int]] = {}
        if self.messages:
            for place, (key, value, _, _) in enumerate(messages):
                places.setdefault((key, value), []).append(place)
        found = []
        for where, key, value, error in self.messages:
            same = places.get((key, value))
            found.append((same.pop(0) if where == topic and same else NOTE, error))
        return found


class Session:
    """Opened by `open`; afterwards `committed` and `commit`. Not thread-safe."""

    def __init__(
        self,
        library: Any,
        *,
        producer: Settings,
        reader: Settings,
        topic: str,
        progress_topic: str,
        lookback_ms: int,
        mask: Callable[[str], str],
    ) -> None:
        self._library = library
        self._mask = mask
        self._heard = Heard()
        self._topic = topic
        self._progress_topic = progress_topic
        self._lookback_ms = lookback_ms
        self._reader_settings = reader
        self.transactional_id: str = producer["transactional.id"]
        self._unwritten = Unwritten()
        callbacks = {"error_cb": self._heard.hear, "on_delivery": self._unwritten.report}
        self._producer = library.Producer(producer | callbacks | {"delivery.report.only.error": True})
        self._progress: Progress | None = None

    # -- opening

    def open(self, deadline: Deadline) -> None:
        """Raises Failed."""
        self._wait_for_id(deadline)
        partitions = {topic: self._partitions_of(topic, deadline) for topic in (self._topic, self._progress_topic)}
        self._progress = Progress(
            self._library,
            self._reader_settings,
            topic=self._progress_topic,
            partitions=partitions[self._progress_topic],
            transactional_id=self.transactional_id,
            lookback_ms=self._lookback_ms,
        )

    def _wait_for_id(self, deadline: Deadline) -> None:
        while True:
            try:
                self._call(self._producer.init_transactions, max(0.001, min(SLICE_S, deadline.left_s)))
                return
            except self._library.KafkaException as raised:
                error = raised.args[0]
            self._serve(0)
            self._fail_if_hopeless()
            if error.name() in FENCED:
                raise self._fenced(error)
            if error.name() in BLOCKED or not error.retriable():
                raise Failed(outcome_before_commit(error, self._mask))
            if deadline.left_s <= 0:
                heard = self._heard.error or error
                raise Failed(
                    Retry(f"{words_of(heard, self._mask)} (no transaction could begin within {deadline.limit})")
                )

    def _partitions_of(self, topic: str, deadline: Deadline) -> int:
        try:
            found = self._producer.list_topics(topic, timeout=max(0.001, deadline.left_s)).topics[topic]
        except self._library.KafkaException as raised:
            raise Failed(outcome_before_commit(raised.args[0], self._mask)) from None
        if found.error is not None or not found.partitions:
            error = found.error or self._library.KafkaError(self._library.KafkaError.LEADER_NOT_AVAILABLE)
            outcome = outcome_before_commit(error, self._mask)
            words = getattr(outcome, "why", "")
            raise Failed(type(outcome)(f"topic {topic}: {words}"))  # type: ignore[call-arg]
        return len(found.partitions)

    # -- requests

    def committed(self, lot: Lot, deadline: Deadline) -> list[int]:
        """The indices of a lot's events that were committed before. Raises Failed."""
        assert self._progress is not None
        try:
            return self._progress.committed(lot, topic=self._topic, deadline=deadline)
        except Unreadable as unreadable:
            raise Failed(outcome_before_commit(unreadable.error, self._mask)) from None
        except Held:
            why = f"another producer's transaction is open in {self._progress_topic}, so that what was committed is not told"
            raise Failed(Retry(f"{why} within {deadline.limit}; a broker ends it after its time-out")) from None

    def commit(self, lot: Lot, messages: list[Message], deadline: Deadline) -> None:
        """One transaction. Raises Failed where it was not committed, or may not have been (Ambiguous)."""
        stopped: list[tuple[int, Any]] = []
        try:
            self._producer.begin_transaction()
            self._write(lot, messages, deadline)
            left = self._call(self._producer.flush, max(0.001, deadline.left_s))
        except self._library.KafkaException as raised:
            error = raised.args[0]
            if error.name() in FENCED:
                raise self._fenced(error) from None
            self._serve(POLL_S)  # for the reports that say which message it was
            stopped.append((NOTE, error))
            left = 0
        failures = self._unwritten.failures(self._topic, messages) or stopped
        if failures:
            raise self._give_up(failures, len(messages), deadline)
        if left:
            raise self._not_in_time(left, deadline)
        self._end(lot, deadline)

    def close(self) -> None:
        """Let go of the producer, and of what it has not sent. A transaction that is open is left to the next session: to
        abort it here could take as long as whatever went wrong."""
        self._producer.purge()
        del self._producer

    # -- inside

    def _write(self, lot: Lot, messages: list[Message], deadline: Deadline) -> None:
        assert self._progress is not None
        produce, topic = self._producer.produce, self._topic
        for place, (key, value, timestamp_ms, headers) in enumerate(messages):
            while True:
                try:
                    produce(topic, value, key, timestamp=timestamp_ms, headers=headers)
                    break
                except BufferError:  # the library's queue is full
                    if deadline.left_s <= 0:
                        raise self._not_in_time(len(messages) - place, deadline) from None
                    self._call(self._producer.poll, POLL_S)
        produce(
            self._progress.topic,
            write_note(Note.of(lot, topic=topic)),
            self._progress.key,
            partition=self._progress.partition,
            timestamp=note_time_ms(lot),
        )

    def _end(self, lot: Lot, deadline: Deadline) -> None:
        assert self._progress is not None
        while True:
            try:
                self._call(self._producer.commit_transaction, max(0.001, deadline.left_s))
                break
            except self._library.KafkaException as raised:
                error = raised.args[0]
            if error.name() in FENCED:
                raise self._fenced(error)
            if not error.retriable() or deadline.left_s <= 0:
                words = words_of(error, self._mask)
                raise Failed(Ambiguous(f"{words} (a commit was asked for and not answered within {deadline.limit})"))
        self._progress.add(Note.of(lot, topic=self._topic))

    def _give_up(self, failures: list[tuple[int, Any]], events: int, deadline: Deadline) -> Failed:
        """Abort; where that fails, the next session does it. A producer of which the broker refused a batch has a gap in its
        sequence, so it is not used again, whatever it was refused for."""
        self._add_cause(failures)
        outcome = outcome_of_failures(failures, events, self._mask)
        fenced = next((error for _, error in failures if error.name() in FENCED), None)
        if fenced is not None:
            return self._fenced(fenced)
        try:
            self._call(self._producer.abort_transaction, max(0.001, deadline.left_s))
        except self._library.KafkaException as raised:
            if raised.args[0].name() in FENCED:
                return self._fenced(raised.args[0])
        return Failed(outcome)

    def _add_cause(self, failures: list[tuple[int, Any]]) -> None:
        """Where messages were only swept away, something else has failed. A commit, which the library refuses in this state,
        says what."""
        if all(error.name().startswith("_PURGE") for _, error in failures):
            try:
                self._call(self._producer.commit_transaction, POLL_S)
            except self._library.KafkaException as raised:
                failures.append((NOTE, raised.args[0]))

    def _not_in_time(self, messages: int, deadline: Deadline) -> Failed:
        heard = words_of(self._heard.error, self._mask) if self._heard.error is not None else "no answer"
        return Failed(Retry(f"{heard} ({messages} messages were not written within {deadline.limit})"))

    def _fenced(self, error: Any) -> Failed:
        words = words_of(error, self._mask)
        why = (
            f"{words} (another process sends for this lane, under transactional id {self.transactional_id}; or this one stood "
            "still for longer than transaction_timeout_ms. This delivery ends here; the next one takes over again)"
        )
        return Failed(Blocked(why), is_fenced=True)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call the library. A fatal error comes out of any of its calls: bare, or, from in between callbacks, in a
        SystemError, which says nothing of it where two callbacks failed. Raises KafkaException."""
        kafka = self._library
        try:
            return function(*arguments)
        except kafka.KafkaError as error:
            raise kafka.KafkaException(error) from None
        except SystemError as raised:
            inner: Any = raised.__cause__ or raised.__context__
            if isinstance(inner, kafka.KafkaException):
                raise inner from None
            if isinstance(inner, kafka.KafkaError):
                raise kafka.KafkaException(inner) from None
            fatal = self._fatal_error()
            if fatal is None:
                raise
            raise kafka.KafkaException(fatal) from None

    def _fatal_error(self) -> Any:
        """What has ended the producer for good: every call says so then. None where nothing has, and this one is refused
        for the transaction that is under way."""
        try:
            self._producer.begin_transaction()
        except self._library.KafkaException as raised:
            return raised.args[0] if raised.args[0].fatal() else None
        return None

    def _serve(self, seconds: float) -> None:
        """Let the library call back; a fatal error, which it raises from there, is heard of like others."""
        try:
            self._call(self._producer.poll, seconds)
        except self._library.KafkaException as raised:
            self._heard.hear(raised.args[0])

    def _fail_if_hopeless(self) -> None:
        error = self._heard.error
        if error is not None and error.name() in HOPELESS:
            raise Failed(outcome_before_commit(error, self._mask))
