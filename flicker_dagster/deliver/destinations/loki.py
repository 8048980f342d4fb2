"""Grafana Loki: entries of one stream, whose labels are the configuration's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flicker_dagster.config.destinations.loki import LokiDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.encoders.texts import json_string, json_text, json_value
from flicker_dagster.deliver.http_destination import SHOWN_REASON_CHARS
from flicker_dagster.deliver.loki_answers import Refusal, refused_entries
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Outcome, PerItem, Rejected, Retry, Split, status_name
from flicker_dagster.deliver.posted import PostedDestination
from flicker_dagster.lots import Lot
from flicker_dagster.printable import cut
from flicker_dagster.transport.exchange import Answer
from flicker_dagster.transport.reasons import without_echo

#: How much larger a body is than its events: escapes of an event's quotes, time and uid.
GROWTH = 1.3

#: A 400 that speaks of labels, the tenant or a feature that is off: somebody has to change a configuration.
_ABOUT_CONFIGURATION = re.compile(
    r"label|allow_structured_metadata|feature is (?:disallowed|disabled)|org id|tenant|no streams", re.IGNORECASE
)
#: Between Loki's own parts a message has a limit too, and what is above it is told as a 500.
_TOO_LARGE = b"received message larger than max"
_STREAM = re.compile(r"\{[^{}]{0,8000}\}")


class Loki(PostedDestination):
    """`POST /loki/api/v1/push`."""

    #: A refusal names entries one by one.
    answer_bytes = 1_000_000

    def __init__(self, config: LokiDestination, context: LaneContext) -> None:
        super().__init__(
            config,
            context,
            endpoint=config.push_url,
            auth=config.auth,
            max_events=config.max_batch_events,
            max_body_bytes=config.max_batch_bytes,
            growth=GROWTH,
        )
        self._tenant = config.tenant
        self._labels = dict(config.labels)
        self._source_label = config.source_label
        self._in_line = config.uid_in == "line"
        self._max_line_bytes = config.max_line_bytes

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        most = self._max_line_bytes - (len(self._line(b"", "0" * 32)) if self._in_line else 0)
        return {
            **super().unfit(lot),
            **{
                index: f"too large: a line of {len(event)} bytes, and {most} are what Loki keeps of one"
                for index, event in enumerate(lot.events)
                if len(event) > most
            },
        }

    def _line(self, event: bytes, uid: str) -> bytes:
        return b'{"event_uid":"%b","event":%b}' % (uid.encode(), json_value(event)) if self._in_line else event

    def row(self, lot: Lot, uid: str, time_ms: int, event: bytes) -> bytes:
        return b'["%d",%b%b]' % (
            time_ms * 1_000_000,
            json_string(self._line(event, uid)),
            b"" if self._in_line else b',{"event_uid":"%b"}' % uid.encode(),
        )

    def body(self, lot: Lot) -> bytes:
        rows = self.rows(lot)
        labels = self._labels | ({self._source_label: lot.source} if self._source_label else {})
        return b'{"streams":[{"stream":{%b},"values":[%b]}]}' % (
            b",".join([b"%b:%b" % (json_text(name), json_text(value)) for name, value in labels.items()]),
            # Oldest first: Loki refuses what lies too far behind the newest that it has.
            b",".join([rows[index] for index in sorted(range(len(lot)), key=lot.time_ms)]),
        )

    def headers(self, lot: Lot) -> Mapping[str, str]:
        tenant = {} if self._tenant is None else {"X-Scope-OrgID": self.resolve(self._tenant)}
        return {"Content-Type": "application/json", **tenant}

    def outcome(self, answer: Answer, lot: Lot) -> Outcome:
        if 200 <= answer.status < 300 and answer.status != 204:
            return self.not_the_api(answer, "204 (260, or 200, is a Loki whose ingestion is blocked)")
        if answer.status == 500 and _TOO_LARGE in answer.body:
            return Split(f"HTTP 500: {self.reason(answer, lot)}")
        if answer.status not in (400, 429):
            return self.outcome_of(answer, lot, success_status=(204,))
        text = answer.body.decode("utf-8", "replace")
        if answer.whole:
            refused = refused_entries(text, [lot.time_ms(index) for index in range(len(lot))])
            if refused is not None:
                return self._per_item(answer.status, refused, len(lot))
        said = cut(without_echo(self.mask(_STREAM.sub("{…}", text)), lot.array), SHOWN_REASON_CHARS)
        if answer.status == 400 and _ABOUT_CONFIGURATION.search(said):
            return Blocked(f"HTTP 400: {said}; check labels, tenant and uid_in")
        return self.outcome_of(answer, lot, success_status=(204,), reason=said)

    def _per_item(self, status: int, refused: Mapping[int, Refusal], count: int) -> PerItem:
        """Loki has stored the entries that it does not name."""
        name = status_name(status)
        stored = Delivered(f"{name}, stored beside refused ones")
        items: list[Outcome] = [stored] * count
        for index, refusal in refused.items():
            why = self.mask(f"{name}: {refusal.why}")
            items[index] = Retry(why) if refusal.passing else Rejected(why)
        return PerItem(tuple(items), name)


OPENS = Loki
