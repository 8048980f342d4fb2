"""Microsoft Sentinel, by the Logs Ingestion API: rows of a stream that a data collection rule declares."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from flicker_dagster.config.destinations.sentinel import SentinelDestination
from flicker_dagster.config.masking import shown_endpoint
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.encoders.message import MessageField
from flicker_dagster.deliver.encoders.texts import json_string, json_text, json_value, rfc3339
from flicker_dagster.deliver.outcomes import Blocked, Outcome, Split
from flicker_dagster.deliver.posted import PostedDestination
from flicker_dagster.lazy import lazy
from flicker_dagster.lots import Lot
from flicker_dagster.transport.exchange import Answer

#: How much larger a body is than its events: escapes of an event's quotes, and some 200 bytes of other columns.
GROWTH = 1.4

#: Azure gave the request up while it was sent, which it does where it is too large.
_GIVEN_UP = "ReadyBody_ClientConnectionAbort"

#: Codes of a 400 that are about the rule, stream or version in the address, not about rows.
_ABOUT_ADDRESS = re.compile(r"\bcode: \w*(stream|apiversion|datacollection|endpoint)", re.IGNORECASE)


class Sentinel(PostedDestination):
    """`POST /dataCollectionRules/<rule>/streams/<stream>`."""

    def __init__(self, config: SentinelDestination, context: LaneContext) -> None:
        super().__init__(
            config,
            context,
            endpoint=f"{config.endpoint.rstrip('/')}/dataCollectionRules/{config.rule_id}/streams/{config.stream}"
            f"?api-version={config.api_version}",
            auth=config.auth,
            max_events=config.max_batch_events,
            max_body_bytes=config.max_batch_bytes,
            max_row_bytes=config.max_batch_bytes - 2,
            growth=GROWTH,
        )
        self._shown = f"{shown_endpoint(config.endpoint)} (stream {config.stream} of {config.rule_id})"
        self._columns = config.columns
        named = (self._columns.time, self._columns.event_time)
        self._times = b"".join([_cell(name, b'"%"') for name in named if name is not None])
        self._max_field_bytes = config.max_field_bytes
        self._message = None if context.message_field is None else MessageField(context.message_field)

    def describe(self) -> str:
        return self._shown

    @lazy
    def _encoding(self) -> str:
        """All that shapes a body beside the events."""
        path = self._message.path if self._message is not None and self._columns.message else ""
        return f"sentinel {self._columns.model_dump_json()} {self._max_field_bytes} {path} {self._compress}"

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        room = self._max_field_bytes * (1 + len(self._columns.overflow))
        return {
            **super().unfit(lot),
            **{
                index: f"too large: {len(event)} bytes, and Azure truncates what is beyond {room}; "
                "columns.overflow gives it more columns"
                for index, event in enumerate(lot.events)
                if len(event) > room
            },
        }

    def row(self, lot: Lot, uid: str, time_ms: int, event: bytes) -> bytes:
        return b'{"%b":"%b"%b%b%b%b}' % (
            self._columns.uid.encode(),
            uid.encode(),
            self._times.replace(b"%", rfc3339(time_ms)),
            b"" if self._columns.source is None else _cell(self._columns.source, json_text(lot.source)),
            self._message_of(event),
            self._raw(event),
        )

    def _message_of(self, event: bytes) -> bytes:
        column = self._columns.message
        text = None if column is None or self._message is None else self._message.text_of(event)
        if column is None or text is None:
            return b""
        value = json_text(text)
        return _cell(column, value) if len(value) <= self._max_field_bytes else b""  # it stands in the event

    def _raw(self, event: bytes) -> bytes:
        columns = self._columns
        if columns.raw_type == "dynamic":
            return _cell(columns.raw, json_value(event))
        if len(event) <= self._max_field_bytes:
            return _cell(columns.raw, json_string(event))
        pieces = pieces_of(event, self._max_field_bytes)
        return b"".join([_cell(*each) for each in zip((columns.raw, *columns.overflow), map(json_string, pieces))])

    def body(self, lot: Lot) -> bytes:
        return b"[%b]" % b",".join(self.rows(lot))

    def headers(self, lot: Lot) -> Mapping[str, str]:
        return {
            "Content-Type": "application/json",
            "x-ms-client-request-id": str(uuid.UUID(hex=lot.key(self._encoding))),
        }

    def outcome(self, answer: Answer, lot: Lot) -> Outcome:
        if 200 <= answer.status < 300 and answer.status != 204:
            return self.not_the_api(answer, "204")
        said = self.reason(answer, lot)
        if answer.status != 204 and _GIVEN_UP in said:
            return Split(f"HTTP {answer.status}: {said}")
        if answer.status == 400 and _ABOUT_ADDRESS.search(said):
            return Blocked(f"HTTP 400: {said}; check rule_id, stream and api_version")
        return self.outcome_of(answer, lot, success_status=(204,), rules={403: _not_permitted}, reason=said)


def _cell(column: str, value: bytes) -> bytes:
    return b',"%b":%b' % (column.encode(), value)


def _not_permitted(why: str) -> Blocked:
    return Blocked(
        f"{why}; give the application the role Monitoring Metrics Publisher on the rule, which takes up to 30 minutes to "
        "reach it"
    )


def pieces_of(text: bytes, size: int) -> list[bytes]:
    """The text in pieces of at most `size` bytes, cut between characters of UTF-8."""
    pieces, at = [], 0
    while len(text) - at > size:
        end = at + size
        while end > at + size - 4 and text[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(text[at:end])
        at = end
    return [*pieces, text[at:]]


OPENS = Sentinel
