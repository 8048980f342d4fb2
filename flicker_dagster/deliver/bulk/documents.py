"""Bodies of `_bulk`: an action line and a document line for each event, made of bytes without taking events apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import chain

from flicker_dagster.deliver.encoders.message import MessageField
from flicker_dagster.deliver.encoders.texts import json_string, json_text, rfc3339, stands_alone
from flicker_dagster.json_scan import names
from flicker_dagster.lots import Lot, one_line
from flicker_dagster.times import datetime_of, rfc3339_ms

#: The release of ECS whose fields our own documents use. They have meant the same in every 8.x and 9.x.
ECS_VERSION = "9.4.0"


class Documents:
    """Makes the documents of a destination.

    Vendors' events become `{"@timestamp", "ecs", "data_stream"?, "event": {…, "original"}, "message"?}` with the
    event as a string in `event.original`, byte for byte (Elastic Common Schema, fields of `event`). Events that were
    normalised are documents already; `@timestamp` and `data_stream` are added where they have none.

    `index` gives the index of an event by its time, where it is not part of the address. `data_stream` are the members of
    that name. `object_field` names the field that has the event as an object, too.
    """

    def __init__(
        self,
        *,
        vendor: str | None,
        message_field: str | None,
        data_stream: Mapping[str, str] | None = None,
        index: Callable[[int], str] | None = None,
        object_field: str | None = None,
    ) -> None:
        self._vendor = vendor
        self._message = None if message_field is None else MessageField(message_field)
        self._data_stream = data_stream
        self._index = index
        self._object = None if object_field is None else b",%b:" % json_text(object_field)

    def body(self, lot: Lot) -> bytes:
        """NDJSON, the last line ended as the API demands. Raises ValueError for what `unfit` names."""
        uids = [uid.encode() for uid in lot.uids]
        times_ms = list(map(lot.time_ms, range(len(lot))))
        documents = self._wrapped(lot, uids, times_ms) if lot.schema == "vendor" else self._completed(lot, times_ms)
        lines = chain.from_iterable(zip(self._actions(uids, times_ms), documents))
        return b"\n".join([*lines, b""])

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        """Events that cannot be a line, or no document, where they are more than a string in one."""
        if lot.schema == "vendor" and self._object is None:
            return {}
        return {i: why for i, event in enumerate(lot.events) if (why := _unfit(event)) is not None}

    def _actions(self, uids: list[bytes], times_ms: list[int]) -> list[bytes]:
        if self._index is None:
            return [b'{"create":{"_id":"%b"}}' % uid for uid in uids]
        indices = map(self._index, times_ms)
        return [b'{"create":{"_index":%b,"_id":"%b"}}' % (json_text(index), uid) for index, uid in zip(indices, uids)]

    def _wrapped(self, lot: Lot, uids: list[bytes], times_ms: list[int]) -> list[bytes]:
        fixed = self._fixed_of(lot)
        ends = [b"}"] * len(uids) if self._message is None and self._object is None else map(self._end_of, lot.events)
        return [
            b'{"@timestamp":"%b"%b%b","original":%b}%b' % (rfc3339(ms), fixed, uid, json_string(event), end)
            for uid, ms, event, end in zip(uids, times_ms, lot.events, ends)
        ]

    def _fixed_of(self, lot: Lot) -> bytes:
        """What all documents of the lot have in common, up to the value of `event.id`."""
        event: dict[str, str] = {"kind": "event", "created": rfc3339_ms(lot.collected_ms), "provider": lot.source}
        if self._vendor is not None:
            event["module"] = self._vendor
        if self._data_stream is not None:
            event["dataset"] = self._data_stream["dataset"]
        document: dict[str, object] = {"ecs": {"version": ECS_VERSION}}
        if self._data_stream is not None:
            document["data_stream"] = self._data_stream
        document["event"] = event | {"id": ""}
        return b"," + _ascii(document)[1 : -len(b'"}}')]

    def _end_of(self, event: bytes) -> bytes:
        text = None if self._message is None else self._message.text_of(event)
        message = b"" if text is None else b',"message":' + json_text(text)
        return message + (b"}" if self._object is None else b"%b%b}" % (self._object, _line(event)))

    def _completed(self, lot: Lot, times_ms: list[int]) -> list[bytes]:
        stream = b"" if self._data_stream is None else b'"data_stream":%b,' % _ascii(self._data_stream)
        return [_complete(_line(event), ms, stream) for event, ms in zip(lot.events, times_ms)]


def index_of(pattern: str) -> Callable[[int], str]:
    """The index of a time, for a pattern with parts of it."""

    @lru_cache(1_024)
    def of_hour(hour: int) -> str:
        return datetime_of(hour * _HOUR_MS).strftime(pattern)

    return lambda time_ms: of_hour(time_ms // _HOUR_MS)


def _complete(event: bytes, time_ms: int, stream: bytes) -> bytes:
    """A document with the members that it lacks, at its beginning."""
    has_any = b'"@timestamp"' in event or b'"data_stream"' in event
    own = names(event, most=len(event)) if has_any else ()
    time = b"" if "@timestamp" in own else b'"@timestamp":"%b",' % rfc3339(time_ms)
    added = time + (b"" if "data_stream" in own else stream)
    rest = event.lstrip()[1:]
    return b"{" + (added[:-1] if rest.lstrip() == b"}" else added) + rest


def _unfit(event: bytes) -> str | None:
    line = one_line(event)
    if line is None:
        return "it is not JSON (a raw line break in a string) and cannot be a line of NDJSON"
    if line.lstrip()[:1] != b"{":
        return "it is no JSON object, expected one to be a document"
    return None if stands_alone(line) else "it is not JSON and cannot be a document"


def _line(event: bytes) -> bytes:
    line = one_line(event)
    if line is None:
        raise ValueError("an event has a line break in the middle of a value")
    return line


def _ascii(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_HOUR_MS = 3_600_000
