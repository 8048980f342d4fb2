"""`type: syslog`: messages of RFC 5424 by TCP or TLS, confirmed as far as a protocol without answers allows."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Mapping

from flicker_dagster.config.destinations.syslog import SyslogDestination
from flicker_dagster.config.masking import shown_endpoint
from flicker_dagster.config.secrets import resolve
from flicker_dagster.deliver.destination import DestinationBase, LaneContext, LotLimits
from flicker_dagster.deliver.encoders.cef import CefBody
from flicker_dagster.deliver.encoders.syslog import JsonBody, Rfc5424, framed
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Outcome, Rejected, Retry
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.lots import Lot
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import CONNECT_TIMEOUT_S, Why
from flicker_dagster.transport.stream_tls import client_context
from flicker_dagster.transport.streams import Stream, StreamAddress, StreamFailed

log = logging.getLogger("flicker.deliver")

TCP_PORT, TLS_PORT = 514, 6514
LONGEST_REASON_CHARS = 400

#: What confirms a request, for the log.
READ = "read by the receiver"
SETTLED = "acknowledged by the receiver's system"


class _Made(threading.local):
    """The messages of the lot that `unfit` was last asked about: `send` follows it at once."""

    lot: Lot | None = None
    messages: list[bytes] = []


class Syslog(DestinationBase):
    """A request is its events' messages on one connection. Thread-safe: each request has a connection for itself."""

    def __init__(self, config: SyslogDestination, context: LaneContext) -> None:
        self.config = config
        self.context = context
        self.limits = LotLimits(events=1_000, bytes=config.max_batch_bytes, in_flight=config.max_in_flight)
        body = (
            CefBody(config.cef, source=context.stream, vendor=context.vendor, message_field=context.message_field)
            if config.format == "cef"
            else JsonBody()
        )
        self._encoder = Rfc5424(config, body, source=context.stream, vendor=context.vendor)
        self._made = _Made()
        self._guard = threading.Lock()
        self._address: StreamAddress | None = None
        self._tls: ssl.SSLContext | None = None
        self._idle: list[Stream] = []  # connections that are kept, with `confirm: settle`

    # -- the protocol

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        messages, unfit = self._encoder.messages(lot)
        if not unfit:
            self._made.lot, self._made.messages = lot, messages
        return unfit

    def send(self, lot: Lot) -> Outcome:
        try:
            data = framed(self._messages(lot), self.config.framing)
        except ValueError as error:
            return Rejected(str(error))
        timeout_s = self.config.timeout_ms / 1000
        deadline = Deadline.after(timeout_s, f"destination.timeout_ms ({timeout_s:g} s)").or_earlier(self.deadline)
        try:
            stream = self._connected(deadline)
        except StreamFailed as failed:
            return self._outcome_of(failed)
        try:
            stream.send(data)
            return self._confirmed(stream)
        except StreamFailed as failed:
            stream.close()
            return self._outcome_of(failed)
        except BaseException:
            stream.close()
            raise

    def describe(self) -> str:
        return shown_endpoint(self.config.endpoint)

    def close(self) -> None:
        with self._guard:
            idle, self._idle = self._idle, []
        for stream in idle:
            stream.close()

    # -- inside

    def _messages(self, lot: Lot) -> list[bytes]:
        """Raises ValueError where the lot holds an event that cannot be sent."""
        made, messages = self._made.lot, self._made.messages
        self._made.lot, self._made.messages = None, []
        if made is lot:
            return messages
        messages, unfit = self._encoder.messages(lot)
        if unfit:
            raise ValueError(next(iter(unfit.values())))
        return messages

    def _confirmed(self, stream: Stream) -> Outcome:
        if self.config.confirm == "close":
            stream.finish()
            stream.close()
            return Delivered(READ)
        stream.acknowledged()
        stream.look(wait_s=self.config.settle_ms / 1000)
        with self._guard:
            self._idle.append(stream)
        return Delivered(SETTLED)

    def _connected(self, deadline: Deadline) -> Stream:
        """A connection that the peer has not ended. Raises StreamFailed, SecretUnset, DestinationBlocked."""
        address, context = self._opened()
        while True:
            with self._guard:
                stream = self._idle.pop() if self._idle else None
            if stream is None:
                return Stream.open(address, context, deadline=deadline, connect_s=CONNECT_TIMEOUT_S)
            stream.deadline = deadline
            try:
                stream.look()
                return stream
            except StreamFailed as failed:  # nothing of this request was sent on it
                stream.close()
                if not failed.in_order:
                    log.warning(
                        "%s: %s. What was sent on it last may be lost: with confirm: settle the receiver's program need "
                        "not have read it; confirm: close waits for that",
                        self.describe(),
                        self._shown(failed),
                    )

    def _opened(self) -> tuple[StreamAddress, ssl.SSLContext | None]:
        with self._guard:
            if self._address is None:
                try:
                    text = resolve(self.config.endpoint, env=self.context.env)
                    address = StreamAddress.of(text, tcp_port=TCP_PORT, tls_port=TLS_PORT)
                    if address.secure:
                        self._tls = client_context(self.config.tls, self.context.env)
                        if self.config.tls is not None and self.config.tls.accept_invalid_certs:
                            log.warning(
                                "%s: tls.accept_invalid_certs is on: anybody can read along", self.context.stream
                            )
                except ValueError as error:
                    raise DestinationBlocked(
                        f"{self.context.stream}: destination: {error}; check its endpoint and tls"
                    ) from None
                self._address = address
            return self._address, self._tls

    def _outcome_of(self, failed: StreamFailed) -> Outcome:
        words = self._shown(failed)
        if failed.why is Why.NOT_SENT:
            return Retry(words)
        if failed.why is Why.UNTRUSTED:
            return Blocked(words)
        return Ambiguous(words)

    def _shown(self, failed: StreamFailed) -> str:
        return self.context.masker.shown(str(failed), at_most=LONGEST_REASON_CHARS)


OPENS = Syslog
