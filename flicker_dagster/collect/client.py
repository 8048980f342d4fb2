"""HTTP towards a vendor: one kept-alive connection per source, every answer judged before anybody reads it.

No retries in here: they belong to Dagster, which shows them. Nothing that leaves this module in a text holds a secret.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import NoReturn

import msgspec
import urllib3

from flicker_dagster.collect.quota import Quota, wait_asked_for_s
from flicker_dagster.config.masking import Masker, has_own_path, names_of_events
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import resolve
from flicker_dagster.config.written import vendor_credentials
from flicker_dagster.errors import BadAnswer, CursorRejected, RateLimited, VendorRefused, VendorUnavailable
from flicker_dagster.times import parse_http_date_ms
from flicker_dagster.transport.addresses import BadAddress, Origin, follow, origin_of
from flicker_dagster.transport.answers import ACCEPT_ENCODING, TooLarge, Unreadable, read_begin, read_body
from flicker_dagster.transport.connections import USER_AGENT, Connections, basic_authorization, reason_of
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.reasons import said_in, shape_of

MAX_REFUSAL_BYTES = 64 * 1024
MAX_REDIRECTS = 3
SHOWN_REASON_CHARS, SHOWN_URL_CHARS, LONGEST_MESSAGE_CHARS = 300, 500, 1500

ADVICE = {
    202: "the vendor has accepted the request and has no answer yet: this API has to be asked in another way",
    206: "the vendor says that its answer is incomplete, so nothing of it is taken for an answer: ask for smaller pages "
    "(pagination.page_size) or spans (slice_ms), and see that headers asks for no Range",
    401: "the token is wrong, expired or revoked: check the credentials of this source",
    403: "the token may not read this: check its permissions and scopes",
    404: "nothing is there: check endpoint, organisation name and whether the plan includes the audit log",
}

NO_LISTING = (
    "only 200, and 204 for nothing, are answers to a listing: check the endpoint against the vendor's documentation"
)


class Answer(msgspec.Struct):
    """A successful answer. `links` are the raw `Link` header lines, repeated headers apart.

    `no_content` is a 204: the vendor says in so many words that there is nothing.
    """

    headers: Mapping[str, str]
    body: bytes
    links: list[str]
    vendor_now_ms: int | None
    no_content: bool = False


class VendorClient:
    """Asks one source's vendor. Secrets are resolved when a request is made, and masked in every message."""

    def __init__(
        self,
        source: SourceConfig,
        *,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.source = source
        self.requests_made = 0
        self.env = env
        self._clock = clock
        self._quota = Quota(source.rate_limit, max_wait_s=source.limits.max_wait_ms / 1000, clock=clock, sleep=sleep)
        self._connections: dict[Origin, Connections] = {}
        self._masker: Masker | None = None
        #: When everything this client waits for has to be over, beside the time-outs of each exchange. A run or a probe
        #: sets it.
        self.deadline: Deadline | None = None

    @property
    def endpoint(self) -> str:
        """The endpoint with its secrets in place: for requests, never for messages."""
        return resolve(self.source.endpoint, env=self.env)

    @property
    def masker(self) -> Masker:
        if self._masker is None:
            self._masker = Masker.for_source(self.source, self.env)
        return self._masker

    def get(self, url: str, *, with_cursor: bool = False) -> Answer:
        """GET a URL exactly as it is written. Raises CollectError of the kind that fits; SecretUnset.

        `with_cursor` says that the request rests on a cursor kept from before, so that a refusal of it means that the
        cursor has expired.
        """
        most_s = math.inf if self.deadline is None else self.deadline.left_s
        self._quota.wait(self.source.name, at_most_s=most_s)
        status, headers, body = self._exchange(url)
        vendor_now_ms = parse_http_date_ms(headers.get("Date"))
        self._quota.note(headers, vendor_now_ms=vendor_now_ms)
        if status not in (200, 204):
            self._refuse(status, headers, body, url, vendor_now_ms, with_cursor=with_cursor)
        # A Date header is cut to the second: an event of that second is not from the future.
        known_now_ms = None if vendor_now_ms is None else vendor_now_ms + 999
        return Answer(headers, body, headers.getlist("Link"), known_now_ms, no_content=status == 204)

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    def close(self) -> None:
        for opened in self._connections.values():
            opened.close()
        self._connections.clear()

    # -- one request

    def _exchange(self, asked: str) -> tuple[int, urllib3.HTTPHeaderDict, bytes]:
        """Status, header and body, redirects within the origin followed; all of it within one deadline."""
        limits = self.source.limits
        total_s = limits.total_timeout_s
        deadline = Deadline.after(total_s, f"limits.total_timeout_ms ({total_s:g} s)").or_earlier(self.deadline)
        url = asked
        for _ in range(MAX_REDIRECTS + 1):
            headers = self._headers()
            self.requests_made += 1
            what = "no answer"
            try:
                with self._connected(url).exchange("GET", url, headers=headers, deadline=deadline) as response:
                    what = "the answer was cut off"
                    if response.status not in (301, 302, 303, 307, 308):
                        return response.status, response.headers, self._read(response)
                    location = response.headers.get("Location", "")
            except TooLarge:
                raise BadAnswer(
                    self.say(asked, f"the answer is larger than limits.page_bytes ({limits.page_bytes})")
                ) from None
            except Unreadable as error:
                raise BadAnswer(self.say(asked, str(error))) from None
            except ValueError as error:  # an address or header that cannot be sent, a file that cannot be read
                raise VendorRefused(
                    self.say(
                        asked, f"the request cannot be made: {self._reason(error)}. Check headers, api_key and tls"
                    )
                ) from None
            except (urllib3.exceptions.HTTPError, TimeoutError) as error:
                if deadline.left_s <= 0:
                    raise VendorUnavailable(
                        self.say(asked, f"the answer was not complete within {deadline.limit}")
                    ) from None
                raise VendorUnavailable(self.say(asked, f"{what}: {self._reason(error)}")) from None
            try:
                url = follow(location, url)
            except BadAddress as error:
                raise VendorRefused(
                    self.say(asked, f"redirected, and the address {error}; credentials are not sent elsewhere")
                ) from None
        raise VendorRefused(self.say(asked, f"more than {MAX_REDIRECTS} redirects"))

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """A page as a whole; of anything else as much as may hold a reason."""
        if response.status == 200:
            return read_body(response, at_most_bytes=self.source.limits.page_bytes)
        return read_begin(response, at_most_bytes=MAX_REFUSAL_BYTES)

    def _refuse(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        url: str,
        vendor_now_ms: int | None,
        *,
        with_cursor: bool,
    ) -> NoReturn:
        now_ms = vendor_now_ms or int(self._clock() * 1000)
        wait_s = wait_asked_for_s(status, headers, self.source.rate_limit, now_ms=now_ms)
        if status < 300:  # its body may hold events, which belong in no message
            raise VendorRefused(self.say(url, f"HTTP {status} with {shape_of(body)}. {ADVICE.get(status, NO_LISTING)}"))
        said = said_in(body, event_fields=names_of_events(self.source))
        said = self.masker.shown(said, at_most=SHOWN_REASON_CHARS)
        if wait_s is not None:
            raise RateLimited(
                self.say(
                    url,
                    f"API returned {status} {'Too Many Requests' if status == 429 else 'with its limit reached'}, "
                    f"asks to wait {wait_s:.0f} s. Increase polling_frequency_ms (poll less frequently)",
                ),
                retry_after_s=wait_s,
            )
        if status >= 500 or status in (408, 425):
            raise VendorUnavailable(self.say(url, f"HTTP {status}: {said}"))
        if with_cursor and status in self.source.pagination.cursor_expired_status:
            raise CursorRejected(self.say(url, f"the kept cursor is no longer accepted (HTTP {status}: {said})"))
        advice = ADVICE.get(status, "check the configuration of this source against the vendor's documentation")
        if status in (401, 403):
            advice += f": {vendor_credentials(self.source)}"
        raise VendorRefused(self.say(url, f"HTTP {status}: {said}. {advice}"))

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
                connect_s=limits.connect_timeout_ms / 1000,
                read_s=limits.read_timeout_ms / 1000,
            )
        return found

    def _headers(self) -> urllib3.HTTPHeaderDict:
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

    def say(self, url: str, what: str) -> str:
        """A message about a request. Every text of a vendor's passes here on its way out, and is masked."""
        return (
            f"{self.source.name}: GET {self.shown_url(url)}: {self.masker.shown(what, at_most=LONGEST_MESSAGE_CHARS)}"
        )

    def shown_url(self, url: str) -> str:
        """A URL as a message may hold it. Where the endpoint's path came from the environment, only its server: an address
        may be its own credential."""
        if has_own_path(self.source.endpoint, self.env):
            return f"{origin_of(url)}/…"
        return self.masker.shown(url, at_most=SHOWN_URL_CHARS)

    def _reason(self, error: BaseException) -> str:
        """The innermost cause in the library's words, without URLs that may hold secrets."""
        return self.masker.shown(reason_of(error), at_most=SHOWN_REASON_CHARS)
