"""POST to any HTTP endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from flicker_dagster.config.auth.hmac import HmacAuth
from flicker_dagster.config.destinations.http import AcceptedWhen, HttpDestination
from flicker_dagster.deliver.destination import LaneContext, LotLimits
from flicker_dagster.deliver.encoders.encoder import Encoder
from flicker_dagster.deliver.encoders.envelope import Envelope
from flicker_dagster.deliver.encoders.json_array import JsonArray
from flicker_dagster.deliver.encoders.ndjson import NdJson
from flicker_dagster.deliver.encoders.wrapped import Wrapped
from flicker_dagster.deliver.http_destination import HttpDestinationBase, pack
from flicker_dagster.deliver.outcomes import Delivered, Outcome, Retry
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_text import read_json
from flicker_dagster.lots import Lot
from flicker_dagster.transport.auth_hmac import SignedText
from flicker_dagster.transport.exchange import Answer, Authenticator, Request


class Http(HttpDestinationBase):
    """Sends the lots of one lane. A body is an array, lines, or an array under a key; its hash may be signed."""

    def __init__(self, config: HttpDestination, context: LaneContext) -> None:
        super().__init__(config, context, endpoint=config.endpoint, auth=config.signs, tls=config.tls)
        self.http = config
        self.limits = LotLimits(events=2**53, bytes=config.max_batch_bytes, in_flight=config.max_in_flight)
        self._encoder = encoder_of(config, context.message_field)
        self._gzip = config.compression in (True, "gzip")
        #: What stands in the spool is what is sent: nothing is unpacked to be packed again.
        self._as_stored = self._gzip and isinstance(self._encoder, JsonArray)
        self._encoding = f"{self._encoder.encoding}{' gzip' if self._gzip else ''}"
        self._headers: dict[str, str] | None = None

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return self._encoder.unfit(lot)

    def send(self, lot: Lot) -> Outcome:
        headers = self._fixed_headers() | {
            self.http.key_header: lot.key(self._encoding),
            "X-Event-Count": str(len(lot)),
        }
        if self._as_stored and lot.packed is not None:
            body = lot.packed
        else:
            body = self._encoder.encode(lot)
            body = pack(body) if self._gzip else body
        answer = self.exchange("POST", self.url, headers=headers, body=body)
        if not isinstance(answer, Answer):
            return answer
        outcome = self.outcome_of(answer, lot, success_status=self.http.success_status)
        if isinstance(outcome, Delivered) and self.http.accepted_when is not None:
            return outcome if _holds(answer.body, self.http.accepted_when) else self._not_accepted(answer)
        return outcome

    def authenticator(self) -> Authenticator:
        signs = super().authenticator()
        if self.http.hmac is None:
            return signs
        record = self.http.hmac
        hashes = SignedText(
            HmacAuth(type="hmac", **record.model_dump()), env=self.context.env, clock=self.context.clock
        )
        return _Both(signs, hashes)

    def _fixed_headers(self) -> dict[str, str]:
        if self._headers is None:
            config = self.http
            if config.require_auth and config.signs is None and not _authorized(config.headers):
                raise DestinationBlocked(
                    f"{self.context.stream}: destination.require_auth is on and no auth is configured"
                )
            headers = {name: self.resolve(value) for name, value in config.headers.items()}
            for name in _of_the_body(headers, config.key_header):
                del headers[name]  # a header that stands there twice is refused, or read by whoever reads last
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = self._encoder.content_type
            if self._gzip:
                headers["Content-Encoding"] = "gzip"
            self._headers = headers
        return self._headers

    def _not_accepted(self, answer: Answer) -> Outcome:
        rule = self.http.accepted_when
        assert rule is not None
        return Retry(
            f"HTTP {answer.status}, but the answer's {rule.field} is not {rule.equals!r}: {self.reason(answer)}"
        )


def encoder_of(config: HttpDestination, message_field: str | None) -> Encoder:
    """The encoder that `format` and `wrapper_key` name."""
    if config.format == "ndjson":
        return NdJson()
    array = Envelope(message_field) if config.format == "envelope" else JsonArray()
    return array if config.wrapper_key is None else Wrapped(config.wrapper_key, array)


class _Both:
    """One authenticator after the other."""

    def __init__(self, first: Authenticator, second: Authenticator) -> None:
        self._first, self._second = first, second

    def sign(self, request: Request) -> Request:
        return self._second.sign(self._first.sign(request))

    def renew(self, refused: Answer) -> bool:
        second = self._second.renew(refused)
        return self._first.renew(refused) or second

    def secrets(self) -> tuple[str, ...]:
        return self._first.secrets()

    def told(self, name: str) -> str | None:
        return self._first.told(name)

    def explain(self, refused: Answer) -> str:
        return self._first.explain(refused) or self._second.explain(refused)


def _of_the_body(headers: Mapping[str, str], key_header: str) -> list[str]:
    """Configured headers that only whoever makes the body can fill in."""
    ours = {"content-encoding", "x-event-count", key_header.lower()}
    return [name for name in headers if name.lower() in ours]


def _authorized(headers: Mapping[str, str]) -> bool:
    return any(name.lower() == "authorization" for name in headers)


def _holds(body: bytes, rule: AcceptedWhen) -> bool:
    try:
        found = lookup_any(read_json(body), readings(rule.field))
    except (ValueError, RecursionError):
        return False
    return found == rule.equals and isinstance(found, bool) == isinstance(rule.equals, bool)


OPENS = Http
