"""CrowdStrike Falcon LogScale (Humio): structured ingest.

LogScale, "Ingest API: structured data": 200 alone says that the events were received and committed; 201 to 399 are errors
that are tried again, 401 and 403 are about the token, other 4xx stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit, urlunsplit

import msgspec

from flicker_dagster.config.auth.fixed import BearerAuth
from flicker_dagster.config.destinations.logscale import EVENT, EVENT_UID, MESSAGE, LogScaleDestination
from flicker_dagster.deliver.destination import LaneContext, LotLimits
from flicker_dagster.deliver.encoders.message import MessageField
from flicker_dagster.deliver.encoders.strict import as_text, strict_string, strictly_json
from flicker_dagster.deliver.encoders.texts import rfc3339
from flicker_dagster.deliver.http_destination import HttpDestinationBase, pack
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Outcome, Rejected, Retry, Split, status_name
from flicker_dagster.lots import Lot
from flicker_dagster.transport.exchange import Answer, Transport

#: What an event takes beside its own bytes and their escapes.
_EVENT_BYTES = len('{"timestamp":"2026-01-01T00:00:00.000Z","attributes":{"event_uid":""},"rawstring":""},') + 32

PATH = "/api/v1/ingest/humio-structured"


class LogScale(HttpDestinationBase):
    """One repository, named by its ingest token."""

    def __init__(self, config: LogScaleDestination, context: LaneContext) -> None:
        super().__init__(
            config, context, endpoint=config.url, auth=BearerAuth(type="bearer", token=config.token), tls=config.tls
        )
        self._logscale = config
        self._message = None if context.message_field is None else MessageField(context.message_field)
        self._head, self._attributes = self._envelope(str)  # to measure with, until it is opened
        room = config.max_batch_bytes - config.max_batch_events * (_EVENT_BYTES + len(self._attributes))
        room = room * 4 // 5  # quotes are escaped in a rawstring: an eighth of most audit events
        self.limits = LotLimits(
            config.max_batch_events, max(room, config.max_batch_bytes // 2, 1), config.max_in_flight
        )

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        most = self._logscale.max_event_bytes
        if lot.size_bytes <= most:
            return {}
        return {
            i: f"{len(event)} bytes, and max_event_bytes is {most}: LogScale would cut it"
            for i, event in enumerate(lot.events)
            if len(event) > most
        }

    def send(self, lot: Lot) -> Outcome:
        self._opened()
        body = self._body(lot)
        if len(body) > self._logscale.max_batch_bytes and len(lot) > 1:
            return Split(f"{len(body)} bytes, and max_batch_bytes is {self._logscale.max_batch_bytes}")
        headers = {"Content-Type": "application/json"}
        if self._logscale.compression == "gzip":
            body, headers["Content-Encoding"] = pack(body), "gzip"
        answer = self.exchange("POST", ingest_url(self.url), headers=headers, body=body)
        return self._judge(answer, lot) if isinstance(answer, Answer) else answer

    # -- inside

    def _open(self) -> Transport:
        self._head, self._attributes = self._envelope(self.resolve)
        return super()._open()

    def _envelope(self, resolve: Callable[[str], str]) -> tuple[bytes, bytes]:
        """What stands before all events, and among the attributes of each."""
        config = self._logscale
        tags = {"source": self.context.stream} if config.tags is None else config.tags
        more = [b",%b:%b" % (_json(name), _json(resolve(value))) for name, value in config.attributes.items()]
        return b'[{"tags":%b,"events":[' % _json({name: resolve(tags[name]) for name in tags}), b"".join(more)

    def _body(self, lot: Lot) -> bytes:
        strict = strictly_json(lot) if self._logscale.event_attributes else [False] * len(lot)
        return b"%b%b]}]" % (
            self._head,
            b",".join(
                [
                    b'{"timestamp":"%b","attributes":{"%b":"%b"%b%b%b},"rawstring":%b}'
                    % (
                        rfc3339(lot.time_ms(i)),
                        EVENT_UID.encode(),
                        uid.encode(),
                        self._message_of(event),
                        b',"%b":%b' % (EVENT.encode(), event) if spread else b"",
                        self._attributes,
                        as_text(event),
                    )
                    for i, (uid, event, spread) in enumerate(zip(lot.uids, lot.events, strict))
                ]
            ),
        )

    def _message_of(self, event: bytes) -> bytes:
        text = None if self._message is None else self._message.text_of(event)
        return b"" if text is None else b',"%b":%b' % (MESSAGE.encode(), strict_string(text))

    def _judge(self, answer: Answer, lot: Lot) -> Outcome:
        outcome = self.outcome_of(answer, lot, success_status=(200,))
        begins_with = answer.body.lstrip()[:1]
        if answer.status == 200:
            return (
                Ambiguous(f"{status_name(200)}: {self.reason(answer)}, expected LogScale's")
                if begins_with == b"<"
                else outcome
            )
        if 200 < answer.status < 400:
            return Retry(f"{getattr(outcome, 'why', status_name(answer.status))}; if it lasts, check url")
        if isinstance(outcome, Rejected) and begins_with == b"<":
            return Blocked(
                f"{outcome.why}; not LogScale's own words: something in between refuses it, check url and the proxy"
            )
        return outcome


def ingest_url(url: str) -> str:
    """The address of structured ingest below a server's `url`, which may name it itself, too."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    path = path if path.endswith(PATH) else f"{path.removesuffix('/api/v1')}{PATH}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


OPENS = LogScale
