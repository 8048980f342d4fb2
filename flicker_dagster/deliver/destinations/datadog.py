"""Datadog Logs, API v2: an array of logs with the event as JSON text in `message`."""

from __future__ import annotations

from collections.abc import Mapping

from flicker_dagster.config.auth.fixed import HeaderAuth
from flicker_dagster.config.destinations.datadog import DatadogDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.encoders.message import MessageField
from flicker_dagster.deliver.encoders.texts import json_string, json_text, json_value, rfc3339
from flicker_dagster.deliver.outcomes import Outcome
from flicker_dagster.deliver.posted import PostedDestination
from flicker_dagster.lots import Lot
from flicker_dagster.transport.exchange import Answer

#: How much larger a body is than its events, for the escapes of an event's quotes and some 200 bytes beside it.
GROWTH = 1.4


class Datadog(PostedDestination):
    """`POST /api/v2/logs`."""

    def __init__(self, config: DatadogDestination, context: LaneContext) -> None:
        super().__init__(
            config,
            context,
            endpoint=f"{config.origin}/api/v2/logs",
            auth=HeaderAuth(type="header", name="DD-API-KEY", value=config.api_key),
            max_events=config.max_batch_events,
            max_body_bytes=config.max_batch_bytes,
            max_row_bytes=min(config.max_event_bytes, config.max_batch_bytes - 2),
            growth=GROWTH,
        )
        self._success_status = config.success_status
        self._spans_ms = config.oldest_ms, config.newest_ms
        self._message = None if context.message_field is None else MessageField(context.message_field)
        self._event_key = json_text(config.event_key)
        self._begin = self._same_for_all(config, context)

    @staticmethod
    def _same_for_all(config: DatadogDestination, context: LaneContext) -> bytes:
        members = {
            "ddsource": config.source or context.vendor or "flicker",
            "ddtags": ",".join(f"{name}:{value}" if value else name for name, value in config.tags.items()),
            "hostname": config.hostname,
            "service": config.service,
        }
        return b"".join(b"%b:%b," % (json_text(name), json_text(value)) for name, value in members.items() if value)

    def row(self, lot: Lot, uid: str, time_ms: int, event: bytes) -> bytes:
        oldest_ms, newest_ms = self._spans_ms
        message = None if self._message is None else self._message.text_of(event)
        return b'{%b"event_uid":"%b","event_time":"%b",%b"message":%b}' % (
            self._begin,
            uid.encode(),
            rfc3339(time_ms),
            b'"timestamp":%d,' % time_ms if -newest_ms <= lot.collected_ms - time_ms <= oldest_ms else b"",
            json_string(
                b"{%b%b:%b}"
                % (
                    b"" if message is None else b'"message":%b,' % json_text(message),
                    self._event_key,
                    json_value(event),
                )
            ),
        )

    def body(self, lot: Lot) -> bytes:
        return b"[%b]" % b",".join(self.rows(lot))

    def headers(self, lot: Lot) -> Mapping[str, str]:
        return {"Content-Type": "application/json"}

    def outcome(self, answer: Answer, lot: Lot) -> Outcome:
        if 200 <= answer.status < 300 and answer.status not in self._success_status:
            return self.not_the_api(answer, " or ".join(map(str, self._success_status)))
        return self.outcome_of(answer, lot, success_status=self._success_status)


OPENS = Datadog
