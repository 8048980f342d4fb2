"""Log records by OTLP/HTTP (specification 1.x, "OTLP/HTTP"): what is sent, and what an answer stands for."""

from __future__ import annotations

import hashlib
import re

import msgspec

from flicker_dagster.config.destinations.otlp import OtlpDestination
from flicker_dagster.deliver.destination import LaneContext, LotLimits
from flicker_dagster.deliver.encoders import otlp as encoder
from flicker_dagster.deliver.http_destination import HttpDestinationBase, pack
from flicker_dagster.deliver.otlp_answers import NotOtlp, error_message_of, is_protobuf, partial_success_of
from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Outcome,
    PerItem,
    Rejected,
    Split,
    status_name,
)
from flicker_dagster.lots import Lot
from flicker_dagster.printable import cut
from flicker_dagster.transport.exchange import Answer
from flicker_dagster.transport.reasons import shape_of, without_echo

CONTENT_TYPES = {"protobuf": "application/x-protobuf", "json": "application/json"}
SERVICE_NAME = "flicker"
SHOWN_MESSAGE_CHARS = 200

#: A Collector says by a 400 what others say by a 413.
_TOO_LARGE = re.compile(
    r"(body|request|message|payload)\b.{0,40}\b(too (large|big)|exceeds|larger than)", re.IGNORECASE
)

#: Of a body beyond its events: ids, times and tags in protobuf; in JSON their names and the escapes of each quote as well.
_SHARE_OF_EVENTS = {"protobuf": 0.8, "json": 0.6}


class Otlp(HttpDestinationBase):
    """One address for logs. Thread-safe."""

    config: OtlpDestination

    def __init__(self, config: OtlpDestination, context: LaneContext) -> None:
        super().__init__(config, context, endpoint=config.endpoint, auth=config.auth, tls=config.tls)
        self.limits = LotLimits(
            events=config.max_batch_events,
            bytes=max(1, int(config.max_batch_bytes * _SHARE_OF_EVENTS[config.encoding])),
            in_flight=config.max_in_flight,
        )
        self._encode = encoder.to_protobuf if config.encoding == "protobuf" else encoder.to_json

    def send(self, lot: Lot) -> Outcome:
        resource = self._resource(lot)
        body = self._encode(lot, resource=resource)
        if len(body) > self.config.max_batch_bytes:
            return Split(f"{len(body):,} bytes, more than max_batch_bytes ({self.config.max_batch_bytes:,})")
        answer = self._post(body, key=lot.key(self._encoding_of(resource)))
        if not isinstance(answer, Answer):
            return answer
        if answer.status in self.config.success_status:
            return self._outcome_of_success(answer, lot)
        reason = self.reason(answer, lot)
        if answer.status == 400 and _TOO_LARGE.search(reason):
            return Split(f"{status_name(400)}: {reason}")
        return self.outcome_of(answer, lot, success_status=self.config.success_status, reason=reason)

    def reason(self, answer: Answer, lot: Lot | None = None) -> str:
        if answer.status >= 300 and is_protobuf(answer.headers.get("content-type", "")):
            answer = msgspec.structs.replace(answer, body=error_message_of(answer.body).encode())
        return super().reason(answer, lot)

    # -- inside

    def _post(self, body: bytes, *, key: str) -> Answer | Outcome:
        headers = {name: self.resolve(text) for name, text in self.config.headers.items()}
        headers |= {"Content-Type": CONTENT_TYPES[self.config.encoding], "Idempotency-Key": key}
        if self.config.compression == "gzip":
            headers["Content-Encoding"] = "gzip"
            body = pack(body)
        return self.exchange("POST", self.url, headers=headers, body=body)

    def _outcome_of_success(self, answer: Answer, lot: Lot) -> Outcome:
        name = status_name(answer.status)
        if not answer.whole:
            return Ambiguous(f"{name}, and the answer was cut off or too large: what was taken is not known")
        try:
            partial = partial_success_of(answer.body, answer.headers.get("content-type", ""))
        except NotOtlp as error:
            if not self.config.check_answer:
                return Delivered(name)
            return Blocked(f"{name}, and {shape_of(answer.body)} that no OTLP server answers: {error}; check endpoint")
        if not partial.rejected and not partial.message:
            return Delivered(name)
        words = cut(self.mask(without_echo(partial.message, lot.array)), SHOWN_MESSAGE_CHARS)
        if partial.rejected == 0:
            return Delivered(f"{name}, with a warning: {words}" if words else name)
        told = f"{name}: {words or 'refused without a word'}"
        if partial.rejected >= len(lot):
            return Rejected(told)
        told = f"{name}: {partial.rejected} of {len(lot)} records were refused, not said which: {words or 'without a word'}"
        if self.config.partial_success == "resend":
            return Rejected(told)
        each = Rejected(f"{told}; look for its log.record.uid there before replaying it")
        return PerItem((each,) * len(lot), status=name, took=True)

    def _resource(self, lot: Lot) -> dict[str, str]:
        ours = {"service.name": SERVICE_NAME, "flicker.stream": lot.source, "flicker.schema": lot.schema}
        return ours | {name: self.resolve(text) for name, text in self.config.resource_attributes.items()}

    def _encoding_of(self, resource: dict[str, str]) -> str:
        """All that shapes a body beside its events; values from the environment by their digest."""
        digest = hashlib.blake2b(repr(sorted(resource.items())).encode("utf-8", "replace"), digest_size=8).hexdigest()
        return f"otlp {self.config.encoding} {self.config.compression} {digest}"


OPENS = Otlp
