"""HTTP towards a vendor: one kept-alive connection per source, every answer judged before anybody reads it.

No retries in here: they belong to Dagster, which shows them. Nothing that leaves this module in a text holds a secret.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping

import msgspec
import urllib3

from flicker_dagster.collect.account import Book
from flicker_dagster.collect.answers import rule_of
from flicker_dagster.collect.heard import Heard
from flicker_dagster.collect.quota import Quota
from flicker_dagster.collect.refusals import SHOWN_REASON_CHARS, Refusals
from flicker_dagster.collect.signing import Raw, Signing
from flicker_dagster.config.masking import LOOKED_AT_CHARS, Masker, has_own_path
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import resolve
from flicker_dagster.errors import (
    BadAnswer,
    CollectError,
    RateLimited,
    VendorRefused,
    VendorUnavailable,
)
from flicker_dagster.times import parse_http_date_ms
from flicker_dagster.transport.addresses import BadAddress, Origin, follow, origin_of
from flicker_dagster.transport.answers import ACCEPT_ENCODING, TooLarge, Unreadable, read_begin, read_body
from flicker_dagster.transport.connections import USER_AGENT, Connections, basic_authorization, reason_of
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Request
from flicker_dagster.transport.tokens import MemoryTokens, Tokens

#: What the answer told that minted the token, where a template asks for it.
_TOLD = re.compile(r"\$\{token:([A-Za-z_][A-Za-z0-9_.]*)\}")

MAX_REFUSAL_BYTES = 64 * 1024
MAX_REDIRECTS = 3
SHOWN_URL_CHARS, LONGEST_MESSAGE_CHARS = 500, 1500


class Answer(msgspec.Struct):
    """An answer that may be read. `links` are the raw `Link` header lines, repeated headers apart.

    `no_content` says in so many words that there is nothing: a 204, or what a rule of the source's takes for that.
    """

    headers: Mapping[str, str]
    body: bytes
    links: list[str]
    vendor_now_ms: int | None
    no_content: bool = False
    status: int = 200


class VendorClient:
    """Asks one stream's vendor. Secrets are resolved when a request is made, and masked in every message."""

    def __init__(
        self,
        source: SourceConfig,
        *,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        tokens: Tokens | None = None,
        quota_book: Book | None = None,
    ) -> None:
        self.source = source
        self.requests_made = 0
        self.env = env
        self._clock, self._sleep = clock, sleep
        max_wait_s = source.limits.max_wait_ms / 1000
        self._quota = Quota(source.rate_limit, max_wait_s=max_wait_s, clock=clock, sleep=sleep, book=quota_book)
        self._connections: dict[Origin, Connections] = {}
        self._masker: Masker | None = None
        self._signing = Signing(self, MemoryTokens() if tokens is None else tokens, clock)
        self._refusals = Refusals(self)
        #: When everything this client waits for has to be over, beside the time-outs of each exchange. A run or a probe
        #: sets it.
        self.deadline: Deadline | None = None
        #: The last exchange, for who looks at more of it than its events.
        self.heard: Heard | None = None

    @property
    def endpoint(self) -> str:
        """The endpoint with its secrets in place: for requests, never for messages. What a token's answer tells may stand in
        it; raises CollectError where the token cannot be had."""
        return self.resolve(self.source.endpoint)

    def resolve(self, template: str) -> str:
        """A template of the source with its secrets in place, and what the answer told that minted the token:
        `${token:instance_url}`. Raises SecretUnset, CollectError."""
        return resolve(_TOLD.sub(self._told, template), env=self.env)

    @property
    def masker(self) -> Masker:
        if self._masker is None:
            self._masker = Masker.for_source(self.source, self.env)
        return self._masker

    def ask(self, request: Request, *, kept: bool = False, further: bool = False) -> Answer:
        """One question, signed; refused credentials are answered once with a renewed signature, where there is one. Raises
        CollectError of the kind that fits; SecretUnset.

        `kept` says that the request rests on a cursor kept from an earlier poll, so that a refusal of it means that the
        cursor has expired; `further`, that it rests on an earlier answer.
        """
        most_s = math.inf if self.deadline is None else self.deadline.left_s
        self._quota.wait(self.source.name, at_most_s=most_s)
        answer = self._signed(request)
        status, headers, body, rule = answer.status, answer.headers, answer.body, answer.rule
        vendor_now_ms = parse_http_date_ms(headers.get("Date"))
        self._quota.note(headers, vendor_now_ms=vendor_now_ms)
        known_now_ms = None if vendor_now_ms is None else vendor_now_ms + 999
        if rule is not None and rule.means != "ignore":
            if rule.means != "none_left":
                raise self._heeded(
                    self._refusals.by_rule(rule, request, status, headers, body, now_ms=vendor_now_ms, further=further)
                )
            return Answer(headers, b"", headers.getlist("Link"), known_now_ms, no_content=True, status=status)
        if rule is None and status not in (200, 204):
            raise self._heeded(self._refusals.usual(request, status, headers, body, now_ms=vendor_now_ms, kept=kept))
        if status != 200 and len(body) >= MAX_REFUSAL_BYTES:  # cut off there: lines and cells could end anywhere
            raise BadAnswer(
                self.say(request, f"HTTP {status} is taken for an answer, and has more than {MAX_REFUSAL_BYTES} bytes")
            )
        # A Date header is cut to the second: an event of that second is not from the future.
        return Answer(headers, body, headers.getlist("Link"), known_now_ms, no_content=status == 204, status=status)

    def _heeded(self, refused: CollectError) -> CollectError:
        """A pause that one was asked for is one for all who use the account."""
        if isinstance(refused, RateLimited) and refused.retry_after_s is not None:
            self._quota.hold(refused.retry_after_s)
        return refused

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    def explained(self, status: int, headers: Mapping[str, str], body: bytes) -> str:
        """What is known of why the credentials were refused, to be told behind the refusal; masked where it is shown."""
        return self._signing.explained(status, headers, body)

    def pause(self, seconds: float) -> None:
        """Wait inside of a run. Raises VendorUnavailable where the run's time would be over by then."""
        if self.deadline is not None and seconds > self.deadline.left_s:
            raise VendorUnavailable(f"{self.source.name}: what was asked for is not ready within {self.deadline.limit}")
        self._sleep(seconds)

    def close(self) -> None:
        for opened in self._connections.values():
            opened.close()
        self._connections.clear()

    # -- one request

    def _signed(self, request: Request) -> Raw:
        plain = msgspec.structs.replace(request, headers={**self._headers(), **request.headers})
        return self._judged(plain) if self.source.auth is None else self._signing.exchange(plain, self._judged)

    def _told(self, found: re.Match[str]) -> str:
        return self._signing.told(found[1]).replace("$", "$$")

    def _judged(self, request: Request) -> Raw:
        """The answer, with the rule that it fits."""
        status, headers, body = self._exchange(request)
        return Raw(status, headers, body, rule_of(self.source.answers, status, headers, body))

    def _exchange(self, request: Request) -> tuple[int, urllib3.HTTPHeaderDict, bytes]:
        """Status, header and body, redirects within the origin followed; all of it within one deadline."""
        limits = self.source.limits
        total_s = limits.total_timeout_s
        deadline = Deadline.after(total_s, f"limits.total_timeout_ms ({total_s:g} s)").or_earlier(self.deadline)
        url = request.url
        for _ in range(MAX_REDIRECTS + 1):
            self.requests_made += 1
            sent_ms = self.now_ms()
            what = "no answer"
            try:
                with self._connected(url).exchange(
                    request.method, url, headers=request.headers, body=request.body, deadline=deadline
                ) as response:
                    what = "the answer was cut off"
                    if response.status not in (301, 302, 303, 307, 308):
                        self.heard = Heard(request, response.status, response.headers, sent_ms, self.now_ms())
                        body = self._read(response)
                        if response.status >= 400:
                            self.heard = msgspec.structs.replace(self.heard, refusal=body)
                        return response.status, response.headers, body
                    location = response.headers.get("Location", "")
            except TooLarge:
                raise BadAnswer(
                    self.say(request, f"the answer is larger than limits.page_bytes ({limits.page_bytes})")
                ) from None
            except Unreadable as error:
                raise BadAnswer(self.say(request, str(error))) from None
            except ValueError as error:  # an address or header that cannot be sent, a file that cannot be read
                raise VendorRefused(
                    self.say(
                        request,
                        f"the request cannot be made: {self.reason(error)}. Check headers, auth, api_key and tls",
                    )
                ) from None
            except (urllib3.exceptions.HTTPError, TimeoutError) as error:
                if deadline.left_s <= 0:
                    raise VendorUnavailable(
                        self.say(request, f"the answer was not complete within {deadline.limit}")
                    ) from None
                raise VendorUnavailable(self.say(request, f"{what}: {self.reason(error)}")) from None
            if request.method != "GET":
                raise VendorRefused(
                    self.say(request, "redirected; what is sent there is not sent elsewhere: set the final address")
                )
            try:
                url = follow(location, url)
            except BadAddress as error:
                raise VendorRefused(
                    self.say(request, f"redirected, and the address {error}; credentials are not sent elsewhere")
                ) from None
        raise VendorRefused(self.say(request, f"more than {MAX_REDIRECTS} redirects"))

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """A page as a whole; of anything else as much as may hold a reason."""
        if response.status == 200:
            return read_body(response, at_most_bytes=self.source.limits.page_bytes)
        return read_begin(response, at_most_bytes=MAX_REFUSAL_BYTES)

    # -- what a request is made of

    def _connected(self, url: str) -> Connections:
        origin = origin_of(url)
        found = self._connections.get(origin)
        if found is None:
            limits = self.source.limits
            found = self._connections[origin] = Connections(
                url,
                tls=self.source.tls,
                env=self.env,
                routes=self.routes(),
                connect_s=limits.connect_timeout_ms / 1000,
                read_s=limits.read_timeout_ms / 1000,
            )
        return found

    def routes(self) -> dict[str, str]:
        return {host: resolve(url, env=self.env) for host, url in self.source.connect_to.items()}

    def _headers(self) -> Mapping[str, str]:
        """What is written further down takes the place of a header above, whatever its capitals."""
        headers = urllib3.HTTPHeaderDict({"User-Agent": USER_AGENT, "Accept": "application/json"})
        headers["Accept-Encoding"] = ACCEPT_ENCODING
        if self.source.api_key is not None:
            key = resolve(self.source.api_key, env=self.env)
            if self.source.api_key_header:
                headers[self.source.api_key_header] = key
            else:
                headers["Authorization"] = f"Bearer {key}"
        for name, template in self.source.headers.items():
            headers[name] = resolve(template, env=self.env)
        basic = self.source.basic
        if basic is not None:
            username, password = resolve(basic.username, env=self.env), resolve(basic.password, env=self.env)
            headers["Authorization"] = basic_authorization(username, password)
        return headers

    def say(self, request: Request, what: str) -> str:
        """A message about a request. Every text of a vendor's passes here on its way out, and is masked."""
        minted = self._signing.secrets()
        what = Masker([], others=minted).mask(what[:LOOKED_AT_CHARS]) if minted else what
        shown = self.masker.shown(what, at_most=LONGEST_MESSAGE_CHARS)
        return f"{self.source.name}: {request.method} {self.shown_url(request.url)}: {shown}"

    def shown_url(self, url: str) -> str:
        """A URL as a message may hold it. Where the endpoint's path came from the environment, only its server: an address
        may be its own credential."""
        if has_own_path(self.source.endpoint, self.env):
            return f"{origin_of(url)}/…"
        return self.masker.shown(url, at_most=SHOWN_URL_CHARS)

    def reason(self, error: BaseException) -> str:
        """The innermost cause in the library's words, without URLs that may hold secrets."""
        return self.masker.shown(reason_of(error), at_most=SHOWN_REASON_CHARS)
