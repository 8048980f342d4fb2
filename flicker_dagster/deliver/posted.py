"""What destinations have in common to which a part of a lot is one POST, and the answer to it is all there ever is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.destinations.posted import PostedRecord
from flicker_dagster.deliver.destination import LaneContext, LotLimits
from flicker_dagster.deliver.http_destination import HttpDestinationBase, pack
from flicker_dagster.deliver.outcomes import Blocked, Outcome, Split
from flicker_dagster.lots import Lot
from flicker_dagster.transport.exchange import TOLD_BYTES, Answer

#: More than a JSON string may grow by escapes: a control character becomes six.
MOST_GROWTH = 6


class PostedDestination(HttpDestinationBase, ABC):
    """A subclass says what stands for an event (`row`), what stands around the rows (`body`), which `headers` a request
    has, and what an `outcome` an answer stands for.

    `max_body_bytes` is what a body may have, compressed or not, and `growth` how much larger than the events it usually
    is: a body that is larger all the same is not sent but cut. `max_row_bytes` is what may stand for one event, if that is
    less. `answer_bytes` is what is read of an answer.
    """

    answer_bytes = TOLD_BYTES

    def __init__(
        self,
        config: PostedRecord,
        context: LaneContext,
        *,
        endpoint: str,
        auth: Auth | None = None,
        max_events: int,
        max_body_bytes: int,
        max_row_bytes: int | None = None,
        growth: float,
    ) -> None:
        super().__init__(config, context, endpoint=endpoint, auth=auth, tls=config.tls)
        self._more_headers = config.headers
        self._compress = config.compression == "gzip"
        self._max_body_bytes = max_body_bytes
        self._max_row_bytes = max_row_bytes or max_body_bytes
        self.limits = LotLimits(
            events=max_events, bytes=max(1, int(max_body_bytes / growth)), in_flight=config.max_in_flight
        )

    # -- for subclasses

    @abstractmethod
    def row(self, lot: Lot, uid: str, time_ms: int, event: bytes) -> bytes:
        """What stands for one event of the lot in a body."""

    def rows(self, lot: Lot) -> list[bytes]:
        times_ms = map(lot.time_ms, range(len(lot)))
        return [self.row(lot, uid, time_ms, event) for uid, time_ms, event in zip(lot.uids, times_ms, lot.events)]

    @abstractmethod
    def body(self, lot: Lot) -> bytes:
        """The whole body, before it is compressed."""

    @abstractmethod
    def headers(self, lot: Lot) -> Mapping[str, str]:
        """The request's headers, without what the base class and the authenticator add. Raises SecretUnset."""

    @abstractmethod
    def outcome(self, answer: Answer, lot: Lot) -> Outcome:
        """What an answer stands for."""

    # -- the protocol

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        """Events that are larger than the destination takes. Only those are written for it that may be."""
        most = self._max_row_bytes
        near = [index for index, event in enumerate(lot.events) if MOST_GROWTH * (len(event) + 1_000) > most]
        sizes = {index: len(self.rows(lot.part([index]))[0]) for index in near}
        return {
            index: f"too large: {size} bytes as they are sent, and the destination takes {most} of one event"
            for index, size in sizes.items()
            if size > most
        }

    def send(self, lot: Lot) -> Outcome:
        url = self.url
        body = self.body(lot)
        sent = pack(body) if self._compress else body
        most = self._max_body_bytes
        if max(len(body), len(sent)) > most:
            return Split(
                f"{len(lot)} events make a body of {max(len(body), len(sent))} bytes, and {most} are the limit"
            )
        headers = {name: self.resolve(value) for name, value in self._more_headers.items()}
        headers |= {**self.headers(lot), **({"Content-Encoding": "gzip"} if self._compress else {})}
        answer = self.exchange("POST", url, headers=headers, body=sent, at_most_bytes=self.answer_bytes)
        return answer if not isinstance(answer, Answer) else self.outcome(answer, lot)

    def not_the_api(self, answer: Answer, expected: str) -> Blocked:
        """A success that this API never gives: something else answers at the address, or nothing was stored."""
        return Blocked(
            f"HTTP {answer.status}, expected {expected}: {self.reason(answer)}; check the endpoint and proxies"
        )
