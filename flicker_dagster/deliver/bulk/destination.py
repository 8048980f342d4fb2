"""A destination that speaks `_bulk`: one request per lot, an outcome per event."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.destinations.bulk import BulkRecord, DataStream, dataset_of
from flicker_dagster.deliver.bulk.answers import FILTER_PATH, outcome_of_bad_request, outcome_of_items
from flicker_dagster.deliver.bulk.documents import Documents, index_of
from flicker_dagster.deliver.destination import LaneContext, LotLimits
from flicker_dagster.deliver.http_destination import SHOWN_REASON_CHARS, HttpDestinationBase, pack
from flicker_dagster.deliver.outcomes import Ambiguous, Outcome, Split
from flicker_dagster.lots import Lot
from flicker_dagster.printable import cut
from flicker_dagster.transport.exchange import Answer
from flicker_dagster.transport.reasons import without_echo

#: An answer has some 80 bytes for an item that was taken, and the words of those that were not.
ANSWER_BYTES = 16 * 1024 * 1024


class BulkDestination(HttpDestinationBase):
    """Creates documents under the events' ids: what is sent again is answered with 409 and counted as a duplicate.

    `parameters` are added to the address of every request.
    """

    def __init__(
        self,
        config: BulkRecord,
        context: LaneContext,
        *,
        auth: Auth | None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(config, context, endpoint=config.endpoint, auth=auth, tls=config.tls)
        self.limits = LotLimits(
            events=config.max_batch_events,
            # As a string, and with what stands beside it, an event is half as large again; small ones are more.
            bytes=max(1, config.max_batch_bytes // 2),
            in_flight=config.max_in_flight,
        )
        self._record = config
        stream = data_stream_of(config, context)
        self._target = None if _is_dated(config) else config.index or "-".join(stream.values())
        self._documents = Documents(
            vendor=context.vendor,
            message_field=context.message_field,
            data_stream=None if config.index else stream,
            index=index_of(config.index) if config.index and _is_dated(config) else None,
            object_field=config.object_field,
        )
        self._query = _query({"filter_path": FILTER_PATH, "pipeline": config.pipeline, **(parameters or {})})
        self._headers: dict[str, str] | None = None

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return self._documents.unfit(lot)

    def send(self, lot: Lot) -> Outcome:
        body = self._documents.body(lot)
        if len(body) > self._record.max_batch_bytes:
            return Split(f"{len(body):,} bytes, expected at most max_batch_bytes ({self._record.max_batch_bytes:,})")
        answer = self.exchange(
            "POST",
            self._address(),
            headers=self._fixed_headers(),
            body=pack(body) if self._record.compression == "gzip" else body,
            at_most_bytes=ANSWER_BYTES,
        )
        return self._judge(answer, lot) if isinstance(answer, Answer) else answer

    def describe(self) -> str:
        """Where documents go: the cluster's address and the stream or index."""
        return f"{super().describe().rstrip('/')}/{self._target or self._record.index}"

    def _judge(self, answer: Answer, lot: Lot) -> Outcome:
        def shown(place: int | None, words: str) -> str:
            sent = lot.array if place is None else lot.events[place]
            return cut(without_echo(self.mask(words), sent), SHOWN_REASON_CHARS)

        if answer.status == 200:
            outcome = outcome_of_items(answer.body, lot.uids, shown) if answer.whole else None
            return outcome or Ambiguous(f"HTTP 200 OK, but its body is no answer of _bulk: {self.reason(answer)}")
        if answer.status == 400 and (outcome := outcome_of_bad_request(answer.body, shown)) is not None:
            return outcome
        return self.outcome_of(answer, lot, success_status=())

    def _address(self) -> str:
        target = "" if self._target is None else f"/{quote(self._target, safe='')}"
        return f"{self.url.rstrip('/')}{target}/_bulk?{self._query}"

    def _fixed_headers(self) -> dict[str, str]:
        if self._headers is None:
            headers = {"Content-Type": "application/x-ndjson", "Accept": "application/json"}
            if self._record.compression == "gzip":
                headers["Content-Encoding"] = "gzip"
            self._headers = headers | {name: self.resolve(value) for name, value in self._record.headers.items()}
        return self._headers


def data_stream_of(config: BulkRecord, context: LaneContext) -> dict[str, str]:
    """The parts of the data stream's name, in their order."""
    named = config.data_stream or DataStream()
    return {
        "type": named.type,
        "dataset": named.dataset or dataset_of(context.stream),
        "namespace": named.namespace,
    }


def _is_dated(config: BulkRecord) -> bool:
    return config.index is not None and "%" in config.index


def _query(parameters: Mapping[str, str | None]) -> str:
    """Escaped as AWS wants it signed: nothing but letters, digits and `-_.~` as it is."""
    return urlencode({name: value for name, value in parameters.items() if value is not None}, quote_via=quote, safe="")
