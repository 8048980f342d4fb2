"""What librdkafka's errors stand for, by their names.

Until a commit is asked for, nothing of a transaction is visible to readers of committed records, whatever has become of its
messages: so up to there a failure is a `Retry`, message time-outs included, and only from there on it may be `Ambiguous`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flicker_dagster.deliver.outcomes import Blocked, Outcome, PerItem, Rejected, Retry, Split

FENCED = frozenset({"_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"})

#: Somebody has to mend something; with what to look at.
BLOCKED: Mapping[str, str] = {
    "TOPIC_AUTHORIZATION_FAILED": "allow Write and Describe on the topic, Read on the progress topic as well",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "allow Write and Describe on the transactional id",
    "CLUSTER_AUTHORIZATION_FAILED": "allow IdempotentWrite on the cluster, or Write on the transactional id",
    "GROUP_AUTHORIZATION_FAILED": "allow Read on the group",
    "SASL_AUTHENTICATION_FAILED": "check sasl",
    "UNSUPPORTED_SASL_MECHANISM": "check sasl.type and sasl.algorithm",
    "ILLEGAL_SASL_STATE": "check sasl and tls",
    "_AUTHENTICATION": "check sasl",
    "_SSL": "check tls",
    "UNKNOWN_TOPIC_OR_PART": "create the topic, or check its name",
    "_UNKNOWN_TOPIC": "create the topic, or check its name",
    "_UNKNOWN_PARTITION": "the progress topic has fewer partitions than before",
    "TOPIC_EXCEPTION": "check the topic's name",
    "INVALID_TRANSACTION_TIMEOUT": "lower transaction_timeout_ms to the broker's transaction.max.timeout.ms",
    "INVALID_CONFIG": "check librdkafka",
    "_INVALID_ARG": "check the destination's keys and librdkafka",
    "_UNSUPPORTED_FEATURE": "the broker is too old for transactions",
    "UNSUPPORTED_VERSION": "the broker is too old for transactions",
    "UNSUPPORTED_FOR_MESSAGE_FORMAT": "raise the topic's message.format.version",
    "UNSUPPORTED_COMPRESSION_TYPE": "choose another compression",
    "POLICY_VIOLATION": "the cluster's policy forbids it",
    "INVALID_REQUIRED_ACKS": "check the topic's min.insync.replicas",
    "_NOT_IMPLEMENTED": "librdkafka was built without it",
}

TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_MSG_SIZE"})
REFUSED = frozenset({"INVALID_RECORD", "INVALID_TIMESTAMP"})

#: What the library says of the other records of a batch, where the broker names those that it refuses (KIP-467).
BESIDE_A_REFUSED_ONE = "_INVALID_DIFFERENT_RECORD"

NEIGHBOUR = "the transaction was given up because of another event"

#: The place of the note among the messages of a transaction.
NOTE = -1


def words_of(error: Any, mask: Callable[[str], str]) -> str:
    """`NAME: what librdkafka says`, masked."""
    return mask(f"{error.name()}: {error.str()}")


def outcome_before_commit(error: Any, mask: Callable[[str], str]) -> Outcome:
    """Of an error while no commit was asked for. Fencing is the caller's."""
    name, words = error.name(), words_of(error, mask)
    if name in BLOCKED:
        return Blocked(f"{words} ({BLOCKED[name]})")
    if name in TOO_LARGE:
        return Split(words)
    if name in REFUSED:
        return Rejected(words)
    return Retry(words)


def outcome_of_failures(failures: Sequence[tuple[int, Any]], events: int, mask: Callable[[str], str]) -> Outcome:
    """Of messages that were not written: each with its place, or NOTE. The transaction was given up, so that none of its
    events is visible; neighbours of refused events go on at once."""
    found = [(place, error, outcome_before_commit(error, mask)) for place, error in failures]
    for kind in (Blocked, Split):
        for _, _, outcome in found:
            if isinstance(outcome, kind):
                return outcome
    refused = {place: outcome for place, _, outcome in found if isinstance(outcome, Rejected) and place != NOTE}
    if refused:
        if len(refused) > 1 and not any(error.name() == BESIDE_A_REFUSED_ONE for _, error in failures):
            return next(iter(refused.values()))  # a whole batch was refused, and not said for which record
        neighbour = Retry(NEIGHBOUR, after_s=0)
        return PerItem(tuple(refused.get(place, neighbour) for place in range(events)))
    telling = [outcome for _, error, outcome in found if not error.name().startswith("_PURGE")]
    return (telling or [outcome for _, _, outcome in found])[0]
