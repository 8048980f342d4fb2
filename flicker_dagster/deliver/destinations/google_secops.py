"""Google SecOps, by `logs:import` of the Chronicle API: raw logs in base64, of one log type."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping

from flicker_dagster.config.destinations.google_secops import GoogleSecopsDestination
from flicker_dagster.config.masking import shown_endpoint
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.encoders.texts import json_text, rfc3339
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Outcome, Retry, Split
from flicker_dagster.deliver.posted import PostedDestination
from flicker_dagster.lazy import lazy
from flicker_dagster.lots import Lot
from flicker_dagster.transport.exchange import Answer

#: How much larger a body is than its events: base64, and some 250 bytes beside each.
GROWTH = 1.65

#: What a 400 says of a request that is too large, and of one whose address, not its logs, is wrong.
_TOO_LARGE = re.compile(r"too large|exceed|size limit|maximum size|payload size", re.IGNORECASE)
_ABOUT_ADDRESS = re.compile(r"log.?type|forwarder|parent|resource (?:name|field)", re.IGNORECASE)


class GoogleSecops(PostedDestination):
    """`POST …/logTypes/<type>/logs:import`."""

    def __init__(self, config: GoogleSecopsDestination, context: LaneContext) -> None:
        super().__init__(
            config,
            context,
            endpoint=config.import_url,
            auth=config.auth,
            max_events=config.max_batch_events,
            max_body_bytes=config.max_batch_bytes,
            max_row_bytes=config.max_batch_bytes - 1_024,  # what stands around the rows
            growth=GROWTH,
        )
        self._shown = f"{shown_endpoint(config.origin)} (log type {config.log_type} of {config.parent})"
        self._parent = config.parent
        self._forwarder = config.forwarder
        self._namespace = (
            b"" if config.namespace is None else b'"environment_namespace":%b,' % json_text(config.namespace)
        )
        self._labels = b"".join(
            b',%b:{"value":%b}' % (json_text(name), json_text(value)) for name, value in config.labels.items()
        )

    def describe(self) -> str:
        return self._shown

    @lazy
    def _forwarder_name(self) -> str:
        forwarder = self.resolve(self._forwarder)
        return forwarder if "/" in forwarder else f"{self.resolve(self._parent)}/forwarders/{forwarder}"

    def row(self, lot: Lot, uid: str, time_ms: int, event: bytes) -> bytes:
        return (
            b'{"data":"%b","log_entry_time":"%b","collection_time":"%b",%b"labels":{"event_uid":{"value":"%b"}%b}}'
            % (
                b64encode(event),
                rfc3339(time_ms),
                rfc3339(max(time_ms, lot.collected_ms)),
                self._namespace,
                uid.encode(),
                self._labels,
            )
        )

    def body(self, lot: Lot) -> bytes:
        return b'{"inline_source":{"forwarder":%b,"logs":[%b]}}' % (
            json_text(self._forwarder_name),
            b",".join(self.rows(lot)),
        )

    def headers(self, lot: Lot) -> Mapping[str, str]:
        return {"Content-Type": "application/json"}

    def outcome(self, answer: Answer, lot: Lot) -> Outcome:
        if answer.status == 200 and answer.body.lstrip()[:1] not in (b"", b"{"):
            return Ambiguous(f"HTTP 200, and no answer of the API: {self.reason(answer)}")
        said = self.reason(answer, lot)
        if answer.status == 400 and _TOO_LARGE.search(said):
            return Split(f"HTTP 400: {said}")
        if answer.status == 400 and _ABOUT_ADDRESS.search(said):
            return Blocked(f"HTTP 400: {said}; check log_type, forwarder, instance, region and project")
        return self.outcome_of(answer, lot, success_status=(200,), rules={409: Retry}, reason=said)


OPENS = GoogleSecops
