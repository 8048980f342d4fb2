"""An HTTP source of Sumo Logic: lines, whose address is the credential."""

from __future__ import annotations

from collections.abc import Mapping

from flicker_dagster.config.destinations.sumo_logic import SumoLogicDestination
from flicker_dagster.config.masking import MASK, Masker, shown_endpoint
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.encoders.texts import json_string, json_text, json_value, rfc3339
from flicker_dagster.deliver.outcomes import Ambiguous, Outcome
from flicker_dagster.deliver.posted import PostedDestination
from flicker_dagster.errors import SecretUnset
from flicker_dagster.lazy import lazy
from flicker_dagster.lots import Lot, one_line
from flicker_dagster.transport.exchange import Answer

#: How much larger a body is than its events: time, uid and two names stand before each.
GROWTH = 1.3


class SumoLogic(PostedDestination):
    """`POST` of lines to the source's URL."""

    def __init__(self, config: SumoLogicDestination, context: LaneContext) -> None:
        super().__init__(
            config,
            context,
            endpoint=config.endpoint,
            max_events=config.max_batch_events,
            max_body_bytes=config.max_batch_bytes,
            max_row_bytes=min(config.max_event_bytes or config.max_batch_bytes, config.max_batch_bytes),
            growth=GROWTH,
        )
        self._event_key = json_text(config.event_key)
        self._headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "X-Sumo-Category": config.category,
            "X-Sumo-Name": config.source_name or context.stream,
            "X-Sumo-Host": config.host,
            "X-Sumo-Fields": ",".join(f"{name}={value}" for name, value in config.sumo_fields.items()) or None,
        }

    @lazy
    def _own_masker(self) -> Masker:
        """Hides the address, of which every part but the server is secret, also where it stands by itself."""
        try:
            url = self.resolve(self._endpoint)
        except SecretUnset:
            return Masker([])
        path = url.partition("://")[2].partition("/")[2]
        return Masker([], others=(url, path, path.rpartition("/")[2]))

    def mask(self, text: str) -> str:
        return super().mask(self._own_masker.mask(text))

    def describe(self) -> str:
        """The server, without what follows: that is the secret."""
        scheme, separator, rest = self._endpoint.partition("://")
        server, slash, path = rest.partition("/")
        return shown_endpoint(f"{scheme}{separator}{server}") + (f"/{MASK}" if path else slash)

    def row(self, lot: Lot, uid: str, time_ms: int, event: bytes) -> bytes:
        line = one_line(event)
        return b'{"timestamp":"%b","event_uid":"%b",%b:%b}\n' % (
            rfc3339(time_ms),
            uid.encode(),
            self._event_key,
            json_string(event) if line is None else json_value(line),
        )

    def body(self, lot: Lot) -> bytes:
        return b"".join(self.rows(lot))

    def headers(self, lot: Lot) -> Mapping[str, str]:
        return {name: value for name, value in self._headers.items() if value}

    def outcome(self, answer: Answer, lot: Lot) -> Outcome:
        if answer.status == 200 and answer.body.lstrip()[:1] == b"<":
            return self.not_the_api(answer, "200 without a page")
        return self.outcome_of(answer, lot, success_status=(200,), rules={408: Ambiguous})


OPENS = SumoLogic
