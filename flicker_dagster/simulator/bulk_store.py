"""Indices and data streams of a search cluster, as far as creating documents in them goes."""

from __future__ import annotations

import fnmatch
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

MAX_ID_BYTES = 512
MAX_DEPTH = 20
MAX_LONG = 2**63

_BAD_NAME = re.compile(r"[A-Z\\/*?\"<>|\s,#:]|^[-_+]|^\.{1,2}$")


@dataclass(frozen=True)
class ItemRefusal:
    """Why a cluster does not take a document."""

    status: int
    type: str
    reason: str

    def answer(self) -> dict[str, Any]:
        return {"type": self.type, "reason": self.reason}


@dataclass(frozen=True)
class Action:
    """One action of a request: `create`, or `index`, which overwrites."""

    kind: str
    name: str
    uid: str
    document: bytes


@dataclass
class Index:
    """One index: ids are unique in it, and nowhere else."""

    name: str
    documents: dict[str, bytes] = field(default_factory=dict)


@dataclass
class DataStream:
    """Backing indices, of which the last is written to."""

    name: str
    backing: list[Index] = field(default_factory=list)

    def roll_over(self) -> None:
        self.backing.append(Index(f".ds-{self.name}-{len(self.backing) + 1:06d}"))


@dataclass
class Store:
    """What the cluster holds. `stream_patterns` are the names for which there is a template with a data stream;
    `parse_failure` is the error type of a document that the mapping does not take."""

    parse_failure: str
    stream_patterns: tuple[str, ...] = ("logs-*-*",)
    is_dynamic: bool = False  # do new fields get a mapping?
    creates_indices: bool = True
    pipelines: set[str] = field(default_factory=set)
    indices: dict[str, Index] = field(default_factory=dict)
    streams: dict[str, DataStream] = field(default_factory=dict)

    def put(self, action: Action, *, pipeline: str | None, require_stream: bool) -> ItemRefusal | None:
        """Put a document under its id; `create` only where the index that is written to has none of that id."""
        if pipeline not in (None, "_none") and pipeline not in self.pipelines:
            return ItemRefusal(400, "illegal_argument_exception", f"pipeline with id [{pipeline}] does not exist")
        index = self._index(action.name, require_stream=require_stream)
        if isinstance(index, ItemRefusal):
            return index
        is_stream = action.name in self.streams
        if is_stream and action.kind != "create":
            reason = "only write ops with an op_type of create are allowed in data streams"
            return ItemRefusal(400, "illegal_argument_exception", reason)
        if action.kind == "create" and action.uid in index.documents:
            reason = f"[{action.uid}]: version conflict, document already exists (current version [1])"
            return ItemRefusal(409, "version_conflict_engine_exception", reason)
        refusal = self._unreadable(action.document, needs_time=is_stream)
        if refusal is None:
            index.documents[action.uid] = action.document
        return refusal

    def documents(self, name: str) -> list[tuple[str, bytes]]:
        """Ids and sources of a stream's or index's documents, in the order they came."""
        stream = self.streams.get(name)
        found = stream.backing if stream else [self.indices[name]] if name in self.indices else []
        return [each for index in found for each in index.documents.items()]

    def counts(self) -> Counter[str]:
        """How often each id was created, over all indices."""
        names = [*self.streams, *self.indices]
        return Counter(uid for name in names for uid, _ in self.documents(name))

    def _index(self, name: str, *, require_stream: bool) -> Index | ItemRefusal:
        stream = self.streams.get(name)
        if stream is None and any(fnmatch.fnmatchcase(name, pattern) for pattern in self.stream_patterns):
            if not self.creates_indices:
                return ItemRefusal(404, "index_not_found_exception", f"no such index [{name}]")
            stream = self.streams[name] = DataStream(name)
            stream.roll_over()
        if stream is not None:
            return stream.backing[-1]
        if require_stream:
            reason = (
                f"no such index [{name}] and [require_data_stream] request is [true] and [{name}] is not a data stream"
            )
            return ItemRefusal(404, "index_not_found_exception", reason)
        if _BAD_NAME.search(name):
            return ItemRefusal(400, "invalid_index_name_exception", f"Invalid index name [{name}]")
        if name not in self.indices:
            if not self.creates_indices:
                return ItemRefusal(404, "index_not_found_exception", f"no such index [{name}]")
            self.indices[name] = Index(name)
        return self.indices[name]

    def _unreadable(self, document: bytes, *, needs_time: bool) -> ItemRefusal | None:
        def refused(reason: str) -> ItemRefusal:
            return ItemRefusal(400, self.parse_failure, reason)

        try:
            value = json.loads(document, object_pairs_hook=_members)
        except (ValueError, RecursionError) as error:
            return refused(f"failed to parse: {error}")
        if not isinstance(value, dict):
            return refused("failed to parse, document is empty or no object")
        if needs_time and "@timestamp" not in value:
            return refused("data stream timestamp field [@timestamp] is missing")
        if self.is_dynamic and _depth(value) > MAX_DEPTH:
            return refused(f"Limit of mapping depth [{MAX_DEPTH}] has been exceeded")
        if self.is_dynamic and _has_large_number(value):
            return refused("failed to parse field [n] of type [long]: out of range of long")
        return None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("Duplicate field in an object")
    if "" in found:
        raise ValueError("field name cannot be an empty string")
    return found


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _has_large_number(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_large_number, value.values()))
    if isinstance(value, list):
        return any(map(_has_large_number, value))
    return isinstance(value, int) and not -MAX_LONG <= value < MAX_LONG
