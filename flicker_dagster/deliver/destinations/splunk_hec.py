"""Splunk's HTTP Event Collector (and what speaks its protocol), with indexer acknowledgement where the token gives it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from flicker_dagster.config.auth.fixed import HeaderAuth
from flicker_dagster.config.destinations.splunk_hec import SplunkHecDestination
from flicker_dagster.deliver.destination import LaneContext, LotLimits
from flicker_dagster.deliver.hec.acknowledgements import (
    Channels,
    PartlyRefused,
    Question,
    Ticket,
    acknowledged,
    questions,
)
from flicker_dagster.deliver.hec.addresses import collector_url
from flicker_dagster.deliver.hec.answers import ACK_DISABLED, FIXES, RefusedAt, Taken, judge, read_said
from flicker_dagster.deliver.hec.bodies import EventBodies, RawBodies, unfit_reason
from flicker_dagster.deliver.hec.pace import Pace
from flicker_dagster.deliver.http_destination import HttpDestinationBase, pack
from flicker_dagster.deliver.outcomes import (
    MAX_RETRY_AFTER_S,
    Ambiguous,
    Blocked,
    Delivered,
    Duplicate,
    Outcome,
    PerItem,
    Receipt,
    Rejected,
    Split,
    status_name,
)
from flicker_dagster.lots import Lot
from flicker_dagster.times import parse_retry_after_s
from flicker_dagster.transport.cookies import CookieJar, Cookies, header_of
from flicker_dagster.transport.exchange import Answer, Transport

log = logging.getLogger("flicker.deliver")

TAKEN = "HTTP 200 OK"
INDEXED = f"{TAKEN}, indexed"
#: What stands in the journal and in `status` where nobody says that events are indexed.
RECEIVED = f"{TAKEN}, received, not indexed"

NOT_STICKY = (
    "acknowledgement ids come twice: several indexers count behind one address; make the load balancer sticky by cookie, "
    "or set ack: auto"
)


class SplunkHec(HttpDestinationBase):
    """One collector. Requests name a channel; an `ackId` in the answer makes a receipt, which `confirm` asks about."""

    def __init__(self, config: SplunkHecDestination, context: LaneContext) -> None:
        super().__init__(
            config,
            context,
            endpoint=config.url,
            auth=HeaderAuth(type="header", name="Authorization", value=f"Splunk {config.token}"),
            tls=config.tls,
        )
        self._hec = config
        self._parameters, self._bodies = bodies_of(config, context.stream, str)  # to measure with, until it is opened
        self._jar = CookieJar(holds_secret=lambda text: context.masker.mask(text) != text)
        self._channels = Channels()
        self._pace = Pace(config.max_in_flight)
        room = config.max_batch_bytes - config.max_batch_events * self._bodies.overhead_bytes
        self.limits = LotLimits(
            config.max_batch_events, max(room, config.max_batch_bytes // 2, 1), config.max_in_flight
        )
        self._names_channel = config.ack != "off" or config.format == "raw"  # raw wants one in any case
        #: Does the token give acknowledgements? None while that is not known.
        self._acks: bool | None = False if config.ack == "off" else None
        self._told: set[str] = set()

    # -- the protocol

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        most, as_line = self._hec.max_event_bytes, self._hec.format == "raw"
        reasons = ((i, unfit_reason(event, at_most_bytes=most, as_line=as_line)) for i, event in enumerate(lot.events))
        return {i: reason for i, reason in reasons if reason is not None}

    def send(self, lot: Lot) -> Outcome | Receipt:
        self._opened()
        hindrance = self._without_acks() if self._hec.ack == "required" else None
        if hindrance is not None:
            return hindrance
        try:
            body = self._bodies.body(lot)
        except ValueError as error:
            return Rejected(str(error))
        if len(body) > self._hec.max_batch_bytes and len(lot) > 1:
            return Split(f"{len(body)} bytes, and max_batch_bytes is {self._hec.max_batch_bytes}")
        return self._send_body(lot, pack(body) if self._hec.compression == "gzip" else body)

    def confirm(self, receipts: Sequence[Receipt]) -> Mapping[str, Outcome]:
        found: dict[str, Outcome] = {}
        tickets: dict[str, Ticket] = {}
        for receipt in receipts:
            ticket = Ticket.read(receipt.token)
            if ticket is None:
                found[receipt.token] = Ambiguous("its receipt cannot be read")
            elif self._channels.is_spoilt(ticket.channel):
                found[receipt.token] = Ambiguous("its acknowledgement id was given to another request, too")
            else:
                tickets[receipt.token] = ticket
        reachable = True
        for question in questions(tickets):
            answer = self._ask(question.channel, question.cookies, question.ids) if reachable else None
            reachable = isinstance(answer, Answer)  # where nobody answers, not every question waits for its time-out
            found |= self._outcomes(question, answer)
        return found

    # -- sending

    def _open(self) -> Transport:
        self._parameters, self._bodies = bodies_of(self._hec, self.context.stream, self.resolve)
        return super()._open()

    def _send_body(self, lot: Lot, body: bytes) -> Outcome | Receipt:
        channel, cookies = self._channels.current, self._jar.cookies
        headers = self._headers(channel, cookies) if self._names_channel else header_of(cookies)
        headers["Content-Type"] = self._bodies.content_type
        if self._hec.compression == "gzip":
            headers["Content-Encoding"] = "gzip"
        url = collector_url(self.url, self._hec.format, self._parameters)
        answer = self.exchange("POST", url, headers=headers, body=body)
        if not isinstance(answer, Answer):
            return answer
        reached = self._jar.heed(answer.headers, sent=cookies)
        verdict = self._judge(answer, lot)
        if isinstance(verdict, Taken):
            if self._pace.heed(slow_down=verdict.slow_down):
                self.limits = replace(self.limits, in_flight=self._pace.in_flight)
            return self._taken(channel, reached, verdict.ack_id)
        if isinstance(verdict, RefusedAt):
            return self._partly_refused(channel, reached, verdict, len(lot))
        if _code_of(answer) == ACK_DISABLED and self._hec.ack == "auto" and self._acks is not False:
            self._do_without_acks(FIXES[ACK_DISABLED])
            self._names_channel = self._hec.format == "raw"
            return self._send_body(lot, body)
        return verdict

    def _headers(self, channel: str, cookies: Cookies) -> dict[str, str]:
        return {"X-Splunk-Request-Channel": channel, **header_of(cookies)}

    def _judge(self, answer: Answer, lot: Lot) -> Taken | RefusedAt | Outcome:
        said = self.reason(answer, lot)
        asked_s = parse_retry_after_s(answer.headers.get("retry-after"), now_ms=self.context.now_ms())
        verdict = judge(
            answer,
            said,
            count=len(lot),
            after_s=None if asked_s is None else min(asked_s, MAX_RETRY_AFTER_S),
            plain=self._acks is False,
            credentials=self.context.credentials,
        )
        return self.outcome_of(answer, lot, success_status=(), reason=said) if verdict is None else verdict

    def _taken(self, channel: str, reached: Cookies, ack_id: int | None) -> Outcome | Receipt:
        if self._hec.ack == "off":
            return Delivered(TAKEN)
        if ack_id is None:
            if self._hec.ack == "required":
                return Blocked(f"{TAKEN}, but without an ackId; {FIXES[ACK_DISABLED]}")
            self._do_without_acks(FIXES[ACK_DISABLED])
            return Delivered(RECEIVED)
        if self._channels.gives(channel, reached, ack_id):
            self._acks = True
            return self._receipt(Ticket(channel, ack_id, reached))
        if self._channels.unpinned:
            if self._hec.ack == "required":
                return Blocked(NOT_STICKY)
            self._do_without_acks(NOT_STICKY)
            return Delivered(RECEIVED)
        return Ambiguous(f"{TAKEN}, but its acknowledgement id was given to another request, too")

    def _partly_refused(self, channel: str, reached: Cookies, refused: RefusedAt, count: int) -> Outcome | Receipt:
        patience_ms = self._hec.ack_expires_ms // 2
        partly = PartlyRefused(refused.index, count, refused.why, self.context.now_ms() + patience_ms)
        ack_id = refused.ack_id if refused.index > 0 and self._hec.ack != "off" else None
        if ack_id is not None and self._channels.gives(channel, reached, ack_id):
            return self._receipt(Ticket(channel, ack_id, reached, partly))
        return partly.unconfirmed()

    def _receipt(self, ticket: Ticket) -> Receipt:
        return Receipt(
            ticket.token(),
            ask_after_s=self._hec.ack_ask_after_ms / 1_000,
            expires_s=self._hec.ack_expires_ms / 1_000,
            status=TAKEN,
        )

    # -- acknowledgements

    def _without_acks(self) -> Outcome | None:
        """What keeps us from sending where acknowledgements are required. The token is asked before it is sent anything:
        what it takes without acknowledging would be sent again and again."""
        if self._channels.unpinned:
            return Blocked(NOT_STICKY)
        if self._acks is True:
            return None
        answer = self._ask(self._channels.current, self._jar.cookies, [0])
        if not isinstance(answer, Answer):
            return answer
        self._jar.heed(answer.headers, sent=())
        if answer.status != 200:
            verdict = self._judge(answer, _NOTHING)
            return verdict if not isinstance(verdict, Taken | RefusedAt) else None
        self._acks = True
        return None

    def _outcomes(self, question: Question, answer: Answer | Outcome | None) -> dict[str, Outcome]:
        """What is known of some tickets by this answer; what nobody knows yet is left out."""
        now_ms = self.context.now_ms()
        if isinstance(answer, Answer) and answer.status == 200:
            return question.outcomes(acknowledged(answer.body), Delivered(INDEXED), now_ms=now_ms)
        if isinstance(answer, Answer) and _code_of(answer) == ACK_DISABLED:
            if self._hec.ack == "required":
                return dict.fromkeys(question.tickets, Blocked(f"{self.reason(answer)}; {FIXES[ACK_DISABLED]}"))
            self._do_without_acks(FIXES[ACK_DISABLED])
            return question.outcomes(set(question.ids), Delivered(RECEIVED), now_ms=now_ms)
        if answer is not None:
            told = (
                f"{status_name(answer.status)}: {self.reason(answer)}" if isinstance(answer, Answer) else _why(answer)
            )
            self._tell(logging.WARNING, f"acknowledgements cannot be asked for: {told}")
        return question.outcomes(set(), Delivered(INDEXED), now_ms=now_ms)

    def _ask(self, channel: str, cookies: Cookies, ids: list[int]) -> Answer | Outcome:
        return self.exchange(
            "POST",
            collector_url(self.url, "ack", {"channel": channel}),
            headers={"Content-Type": "application/json", **self._headers(channel, cookies)},
            body=msgspec.json.encode({"acks": ids}),
        )

    def _do_without_acks(self, why: str) -> None:
        self._acks = False
        self._tell(logging.INFO, f"events count as delivered once they are received, not once they are indexed: {why}")

    def _tell(self, level: int, words: str) -> None:
        """Once."""
        if words not in self._told:
            self._told.add(words)
            log.log(level, "%s: %s: %s", self.context.stream, self.describe(), words)


def bodies_of(
    config: SplunkHecDestination, stream: str, resolve: Callable[[str], str]
) -> tuple[dict[str, str], EventBodies | RawBodies]:
    """What makes bodies, and what stands in the address because it cannot stand in them."""
    named = (("host", config.host), ("sourcetype", config.sourcetype), ("index", config.index))
    metadata = {name: resolve(value) for name, value in named if value is not None}
    metadata["source"] = stream if config.source is None else resolve(config.source)
    if config.format == "raw":
        return metadata, RawBodies(bare=config.raw_lines == "bare")
    fields = {
        name: resolve(value) if isinstance(value, str) else [resolve(each) for each in value]
        for name, value in config.indexed_fields.items()
    }
    return {}, EventBodies(metadata, fields)


def _code_of(answer: Answer) -> int | None:
    said = read_said(answer.body)
    return None if said is None else said.code


def _why(outcome: Outcome) -> str:
    return "" if isinstance(outcome, Delivered | Duplicate | PerItem) else outcome.why


_NOTHING = Lot.of([], digests=[], times_ms=[], source="", collected_ms=0)

OPENS = SplunkHec
