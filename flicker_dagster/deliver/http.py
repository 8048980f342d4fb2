"""POST to any HTTP endpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

import urllib3
from isal import igzip

from flicker_dagster.config.auth import BasicDestinationAuth, BearerAuth
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.masking import Masker, names_of_events, shown_endpoint
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import resolve
from flicker_dagster.config.written import siem_credentials
from flicker_dagster.deliver.formats import Buffer, format_of
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Outcome, Retry, classify_http
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.printable import cut
from flicker_dagster.transport.answers import read_begin
from flicker_dagster.transport.connections import USER_AGENT, Connections, basic_authorization, reason_of
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.reasons import said_in, shape_of, without_echo
from flicker_dagster.types import Batch

log = logging.getLogger("flicker.deliver")

MAX_ANSWER_BYTES = 64 * 1024
CONNECT_TIMEOUT_S = 10.0
SHOWN_REASON_CHARS, LONGEST_REASON_CHARS = 200, 500


class HttpSender:
    """Sends the batches of one source. Thread-safe: up to `max_in_flight` requests share its pool."""

    def __init__(
        self,
        source: SourceConfig,
        *,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        config = source.destination
        self.config: HttpDestination = config
        self.max_in_flight = config.max_in_flight
        self.max_batch_bytes = config.max_batch_bytes
        self._source_name = source.name
        self._credentials = siem_credentials(source)
        self._env = env
        self._clock = clock
        self._format = format_of(config.format, source_name=source.name, message_field=source.message_field)
        self._gzip = config.compression in (True, "gzip")
        self._masker = Masker.for_source(source, env)
        self._event_fields = names_of_events(source)
        #: When everything this sender waits for has to be over, beside `timeout_ms` of each request. A run sets it.
        self.deadline: Deadline | None = None
        self._connections: Connections | None = None
        self._url = ""
        self._headers: dict[str, str] = {}

    @property
    def content_type(self) -> str:
        return self._format.content_type

    def encode(self, events: Sequence[Buffer], digests: Sequence[bytes], times_ms: Sequence[int | None]) -> bytes:
        now_ms = int(self._clock() * 1000)
        return self._format.join(self._format.records(events, digests, times_ms, now_ms=now_ms))

    def split(self, body: bytes, count: int | None = None) -> list[bytes]:
        return self._format.split(body, count)

    def join(self, records: Sequence[bytes]) -> bytes:
        return self._format.join(records)

    def event_of(self, record: bytes) -> bytes:
        return self._format.event_of(record)

    def describe(self) -> str:
        """The endpoint as it is written in the configuration, without its secrets."""
        return shown_endpoint(self.config.endpoint)

    def send(self, batch: Batch) -> Outcome:
        """One attempt. Never raises for the network; SecretUnset and DestinationBlocked for the configuration."""
        connections = self._opened()
        headers = self._headers | {
            "Content-Type": batch.content_type,
            "Idempotency-Key": batch.batch_id,
            "X-Event-Count": str(batch.count),
        }
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
        timeout_s = self.config.timeout_ms / 1000
        deadline = Deadline.after(timeout_s, f"destination.timeout_ms ({timeout_s:g} s)").or_earlier(self.deadline)
        body = batch.body if self._gzip else igzip.decompress(batch.body)
        try:
            with connections.exchange("POST", self._url, body=body, headers=headers, deadline=deadline) as response:
                said = _begin_of(response)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            return Retry(self._mask(f"cannot connect: {reason_of(error)}"))
        except urllib3.exceptions.SSLError as error:
            return Blocked(self._mask(f"TLS failed: {error}; check destination.tls and the CA bundle"))
        except urllib3.exceptions.ProxyError as error:
            return Retry(self._mask(f"the proxy failed: {error}"))
        except ValueError as error:  # a header value that cannot be sent
            return Blocked(
                self._mask(f"the request cannot be made: {error}; check destination's headers, auth and tls")
            )
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            if deadline.left_s <= 0:
                return Ambiguous(f"no answer after sending within {deadline.limit}")
            return Ambiguous(self._mask(f"no answer after sending: {type(error).__name__}: {error}"))
        status = response.status
        outcome = classify_http(
            status,
            response.headers,
            "" if status in self.config.success_status else self._reason(status, said, batch),
            success_status=self.config.success_status,
            now_ms=int(self._clock() * 1000),
        )
        if isinstance(outcome, Blocked) and status in (401, 403):
            return Blocked(f"{outcome.why} (credentials: {self._credentials})")
        return outcome

    def close(self) -> None:
        if self._connections is not None:
            self._connections.close()
            self._connections = None

    # -- opening, once

    def _opened(self) -> Connections:
        if self._connections is None:
            self._url = resolve(self.config.endpoint, env=self._env)
            self._headers = self._fixed_headers()
            tls = self.config.tls
            if tls is not None and tls.accept_invalid_certs:
                log.warning("%s: destination.tls.accept_invalid_certs is on: anybody can read along", self._source_name)
            try:
                self._connections = Connections(
                    self._url,
                    tls=tls,
                    env=self._env,
                    connect_s=CONNECT_TIMEOUT_S,
                    read_s=self.config.timeout_ms / 1000,
                    at_most=self.max_in_flight,
                )
            except ValueError as error:
                raise DestinationBlocked(
                    self._mask(f"{self._source_name}: destination: {error}; check its endpoint, tls and the proxy")
                ) from None
        return self._connections

    def _fixed_headers(self) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        headers |= self._auth()
        if self.config.require_auth and len(headers) == 2:
            raise DestinationBlocked(f"{self._source_name}: destination.require_auth is on and no auth is configured")
        return headers | {name: resolve(value, env=self._env) for name, value in self.config.headers.items()}

    def _auth(self) -> dict[str, str]:
        auth, basic = self.config.auth, self.config.basic
        if isinstance(auth, BearerAuth):
            return {"Authorization": f"Bearer {resolve(auth.token, env=self._env)}"}
        if isinstance(auth, BasicDestinationAuth):
            basic = auth
        elif auth is not None:
            return {auth.name: resolve(auth.value, env=self._env)}
        if self.config.api_key is not None:
            return {"Authorization": f"Bearer {resolve(self.config.api_key, env=self._env)}"}
        if basic is not None:
            username, password = resolve(basic.username, env=self._env), resolve(basic.password, env=self._env)
            return {"Authorization": basic_authorization(username, password)}
        return {}

    def _reason(self, status: int, said: bytes, batch: Batch) -> str:
        """Why a batch was not taken, in the SIEM's words; what it repeats of the events is left out."""
        if 200 <= status < 300:
            return shape_of(said)
        told = self._mask(said_in(said, event_fields=self._event_fields))
        return cut(without_echo(told, igzip.decompress(batch.body)), SHOWN_REASON_CHARS) if said.strip() else ""

    def _mask(self, text: str) -> str:
        return self._masker.shown(text, at_most=LONGEST_REASON_CHARS)


def _begin_of(response: urllib3.BaseHTTPResponse) -> bytes:
    """What an answer says, as far as it can be read. Its status has answered the request already: whatever becomes of the
    body (endless, cut off, packed wrongly), a batch that was taken is not sent again."""
    try:
        return read_begin(response, at_most_bytes=MAX_ANSWER_BYTES)
    except (urllib3.exceptions.HTTPError, TimeoutError):
        return b""
