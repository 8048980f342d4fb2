"""One request and its answer: what every exchange by HTTP comes down to, whoever it is with."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

import msgspec
import urllib3

from flicker_dagster.config.records import Tls
from flicker_dagster.times import parse_http_date_ms
from flicker_dagster.transport.answers import read_begin, read_body
from flicker_dagster.transport.connections import Connections, reason_of
from flicker_dagster.transport.deadlines import Deadline

CONNECT_TIMEOUT_S = 10.0
#: What is read of an answer that only has to be told of.
TOLD_BYTES = 64 * 1024


class Request(msgspec.Struct, frozen=True):
    """What is sent. `headers` are complete but for what an authenticator adds."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came back. `body` is inflated; of an answer that was cut off, or is larger than asked for, it is the beginning
    (`whole` says so): the status has answered the request all the same. Header names are in lower case; where one comes
    several times, its values are joined by a line break."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    whole: bool = True

    @property
    def server_now_ms(self) -> int | None:
        """The server's clock, from its Date header."""
        return parse_http_date_ms(self.headers.get("date"))


class Why(Enum):
    """What kind of failure it is."""

    NOT_SENT = "not sent"  # no connection: nothing of the request arrived
    UNANSWERED = "unanswered"  # it may have arrived
    UNTRUSTED = "untrusted"  # TLS: somebody has to mend certificates or names
    UNSENDABLE = "unsendable"  # the request cannot be made as it is configured


class Failure(msgspec.Struct, frozen=True):
    """No answer. `words` say why and what to look at; they may hold what the server said, so they are masked before they
    are shown."""

    why: Why
    words: str


class Authenticator(Protocol):
    """Signs requests. Thread-safe. Signing may ask a token endpoint: raises AuthFailed."""

    def sign(self, request: Request) -> Request: ...

    def renew(self, refused: Answer) -> bool:
        """After the refusal (401 or 403) of what this thread signed last: is there something new to sign with, so that
        asking once more makes sense?"""
        ...

    def secrets(self) -> tuple[str, ...]:
        """What it signs with and no configuration holds, such as a token: to be masked where a server's words are shown."""
        ...

    def told(self, name: str) -> str | None:
        """What was said beside a token, such as `instance_url`; None where nothing was. May ask for a token: raises
        AuthFailed."""
        ...

    def explain(self, refused: Answer) -> str:
        """What is known here of the reason for a refusal, and what to do, to be told beside it; empty where nothing is. It
        may hold what the server said, so it is masked before it is shown."""
        ...


class NoAuth:
    """Requests go as they are. What is signed with less than a token is derived from it."""

    def sign(self, request: Request) -> Request:
        return request

    def renew(self, refused: Answer) -> bool:
        return False

    def secrets(self) -> tuple[str, ...]:
        return ()

    def told(self, name: str) -> str | None:
        return None

    def explain(self, refused: Answer) -> str:
        return ""


class Transport:
    """Exchanges with one server. Thread-safe: up to `at_most` at a time share its connections.

    Raises SecretUnset, and ValueError for an address, certificate file or proxy that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: Tls | None = None,
        env: Mapping[str, str] | None = None,
        read_s: float = 60.0,
        connect_s: float = CONNECT_TIMEOUT_S,
        at_most: int = 1,
        routes: Mapping[str, str] | None = None,
    ) -> None:
        self._connections = Connections(
            url, tls=tls, env=env, connect_s=connect_s, read_s=read_s, at_most=at_most, routes=routes
        )

    def exchange(
        self, request: Request, *, deadline: Deadline, at_most_bytes: int = TOLD_BYTES, whole: bool = False
    ) -> Answer | Failure:
        """One attempt; no redirect is followed. All of it together ends by the deadline.

        With `whole` an answer that is cut off or larger than `at_most_bytes` is a failure; without it, its beginning is
        given: what was taken is not asked for again because of its body.
        """
        try:
            with self._connections.exchange(
                request.method, request.url, headers=request.headers, body=request.body, deadline=deadline
            ) as response:
                body, is_whole = _body_of(response, at_most_bytes, whole=whole)
                headers: dict[str, str] = {}
                for name, value in response.headers.iteritems():
                    name = name.lower()
                    headers[name] = f"{headers[name]}\n{value}" if name in headers else value
                return Answer(response.status, headers, body, is_whole)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            return Failure(Why.NOT_SENT, f"cannot connect: {reason_of(error)}")
        except urllib3.exceptions.SSLError as error:
            return Failure(Why.UNTRUSTED, f"TLS failed: {error}; check tls and the CA bundle")
        except urllib3.exceptions.ProxyError as error:
            return Failure(Why.NOT_SENT, f"the proxy failed: {error}")
        except ValueError as error:  # a header value that cannot be sent
            return Failure(Why.UNSENDABLE, f"the request cannot be made: {error}; check headers, auth and tls")
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            if deadline.left_s <= 0:
                return Failure(Why.UNANSWERED, f"no answer after sending within {deadline.limit}")
            return Failure(Why.UNANSWERED, f"no answer after sending: {type(error).__name__}: {error}")

    def close(self) -> None:
        self._connections.close()


def _body_of(response: urllib3.BaseHTTPResponse, at_most_bytes: int, *, whole: bool) -> tuple[bytes, bool]:
    if whole:
        return read_body(response, at_most_bytes=at_most_bytes), True
    try:
        body = read_begin(response, at_most_bytes=at_most_bytes + 1)
    except (urllib3.exceptions.HTTPError, TimeoutError):
        return b"", False
    return body[:at_most_bytes], len(body) <= at_most_bytes
