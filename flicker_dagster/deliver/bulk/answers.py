"""What an answer of `_bulk` stands for: pure functions of status, error type and counts.

Rows are told apart by status *and* `error.type`: the same 400 is said of a document that can never be stored and of an
index or pipeline that somebody has to create, and the same 429 of a full queue and of a full disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Duplicate,
    Outcome,
    PerItem,
    Rejected,
    Retry,
    status_name,
)

#: What is asked for of an answer. `status` is in every item: items of which nothing is asked for are left out of the array,
#: and the others would move up to their places.
FILTER_PATH = "errors,items.*._id,items.*.status,items.*.failure_store,items.*.error.type,items.*.error.reason"

#: Error types of configuration and cluster, whatever their status: nothing of the document can mend them.
_BLOCKED_TYPES = frozenset(
    {
        "index_not_found_exception",
        "invalid_index_name_exception",
        "index_closed_exception",
        "index_create_block_exception",
        "invalid_alias_name_exception",
        "security_exception",
        "validation_exception",  # the cluster has as many shards as it may have
    }
)
#: The servers give these the type of any bad argument of a document; only their words tell.
_BLOCKED_REASONS = (
    "pipeline with id [",
    "no write index is defined",
    "only write ops with an op_type of create",
)
#: Faults of the server's own code, or of a pipeline's, on this very document: they come with 500 and never pass.
_FAULT_TYPES = frozenset(
    {
        "array_index_out_of_bounds_exception",
        "class_cast_exception",
        "ingest_processor_exception",
        "null_pointer_exception",
        "script_exception",
        "string_index_out_of_bounds_exception",
        "unsupported_operation_exception",
    }
)
#: What names the document, and where in its line: left out, so that what is wrong with all is said of all in the same words.
_OF_ONE_DOCUMENT = re.compile(r"^\[\d+:\d+\] | in document with id '[^']{0,512}'")
_RETRY_TYPES = frozenset(
    {
        "resource_already_exists_exception",  # two requests create the same index at once
        "es_rejected_execution_exception",
        "rejected_execution_exception",
        "circuit_breaking_exception",
    }
)

_CREATED = Delivered("HTTP 201 Created")
_KNOWN = Duplicate("HTTP 409 Conflict")


class Error(msgspec.Struct, frozen=True):
    """Why an item was refused."""

    type: str = ""
    reason: str | None = None


class Result(msgspec.Struct, frozen=True):
    """What became of one item."""

    status: Annotated[int, msgspec.Meta(ge=100, le=599)]
    id: str | None = msgspec.field(name="_id", default=None)
    error: Error | str | None = None
    failure_store: str | None = None


class Item(msgspec.Struct, frozen=True):
    """One item of an answer; `create` is the only action that is sent."""

    create: Result


class Answered(msgspec.Struct, frozen=True):
    """The body of an answer to `_bulk`. `items` are in the order of the request."""

    errors: bool
    items: list[Item]


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of a refused request."""

    error: Error | str


#: How the words of an error are shown: of which item it is (None for the request), and what was said.
Shown = Callable[[int | None, str], str]

_answered = msgspec.json.Decoder(Answered)
_refused = msgspec.json.Decoder(ErrorAnswer)


def outcome_of_items(body: bytes, uids: Sequence[str], shown: Shown) -> Outcome | None:
    """The outcome of a body that came with 200, or None where it is none of `_bulk`.

    An answer that is not about these very events (their number, their ids) tells nothing: Ambiguous.
    """
    try:
        answered = _answered.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(answered.items) != len(uids):
        return Ambiguous(f"{len(answered.items)} items were answered, expected {len(uids)}")
    results = [item.create for item in answered.items]
    if any(result.id is not None and result.id != uid for result, uid in zip(results, uids)):
        return Ambiguous("the answer is about other documents than those that were sent")
    if all(result.status in (200, 201) and result.failure_store != "used" for result in results):
        return Delivered("HTTP 200 OK")
    outcomes = tuple(
        outcome_of_item(result, lambda words, place=place: shown(place, words)) for place, result in enumerate(results)
    )
    return PerItem(outcomes, "HTTP 200 OK")


def outcome_of_item(result: Result, shown: Callable[[str], str]) -> Outcome:
    """The row of one item."""
    status, error = result.status, result.error
    if status in (200, 201):
        if result.failure_store == "used":
            words = f"{status_name(status)}, but in the failure store of the data stream; see there for the reason"
            return Rejected(words, status_name(status))
        return _CREATED
    error = Error(reason=error) if isinstance(error, str) else error or Error()
    if status == 409 and error.type == "version_conflict_engine_exception":
        return _KNOWN  # the id is the event's own: what is stored under it is this event
    name = f"{status_name(status)} {error.type}".rstrip()
    if error.type == "cluster_block_exception" and status == 429:
        return Retry(f"{name}: the cluster blocks writes, as it does when a disk is full; free disk space")
    is_fault = status == 500 and error.type in _FAULT_TYPES
    if status in (408, 425, 429) or (status >= 500 and not is_fault) or error.type in _RETRY_TYPES:
        return Retry(shown(name))
    words = shown(f"{name}: {_OF_ONE_DOCUMENT.sub('', error.reason)}" if error.reason else name)
    if (is_fault or status in (400, 413, 422)) and not _is_blocked(error):
        return Rejected(words, status_name(status))
    if 400 <= status < 500 and status != 409:
        return Blocked(words)
    return Ambiguous(words)


def outcome_of_bad_request(body: bytes, shown: Shown) -> Outcome | None:
    """The outcome of a request that was refused with 400, or None where the body is none of the servers' own: then
    something between refused the bytes, and halves may pass.

    The action lines are made here and hold nothing of an event, so that what is refused is an event only where the
    servers say so (`action_request_validation_exception`); anything else is a parameter or address.
    """
    try:
        error = _refused.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    error = Error(reason=error) if isinstance(error, str) else error
    words = shown(None, f"{status_name(400)} {error.type}: {error.reason or ''}".rstrip(": "))
    return Rejected(words, status_name(400)) if error.type == "action_request_validation_exception" else Blocked(words)


def _is_blocked(error: Error) -> bool:
    return error.type in _BLOCKED_TYPES or (error.reason or "").startswith(_BLOCKED_REASONS)
