"""HTTP towards a vendor: one kept-alive session per source, every answer judged before anybody reads it.

No retries in here: they belong to Dagster, which shows them. Nothing that leaves this module in a text holds a secret.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
import urllib3
from requests.auth import HTTPBasicAuth
from requests.structures import CaseInsensitiveDict

from flicker_dagster import __version__
from flicker_dagster.collect.quota import Quota, wait_asked_for_s
from flicker_dagster.config.masking import Masker
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import resolve
from flicker_dagster.errors import BadAnswer, CursorRejected, RateLimited, VendorRefused, VendorUnavailable
from flicker_dagster.times import parse_http_date_ms

USER_AGENT = f"flicker-dagster/{__version__}"
CHUNK_BYTES = 256 * 1024
MAX_REDIRECTS = 3
SHOWN_BODY_CHARS = 300

ADVICE = {
    401: "the token is wrong, expired or revoked: check the credentials of this source",
    403: "the token may not read this: check its permissions and scopes",
    404: "nothing is there: check endpoint, organisation name and whether the plan includes the audit log",
}


class Answer(msgspec.Struct):
    """A successful answer. `links` are the raw `Link` header lines, repeated headers apart."""

    headers: Mapping[str, str]
    body: bytes
    links: list[str]
    vendor_now_ms: int | None


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
        self._session: requests.Session | None = None
        self._masker: Masker | None = None
        self._settings_of: dict[object, dict[str, Any]] = {}

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
        shown = self.masker.mask(f"GET {url}")
        self._quota.wait(self.source.name)
        response = self._send(url, shown)
        with response:
            headers = response.headers
            self._quota.note(headers, vendor_now_ms=parse_http_date_ms(headers.get("Date")))
            body = self._read(response, shown)
        if response.status_code != 200:
            self._refuse(response.status_code, headers, body, shown, with_cursor=with_cursor)
        links = response.raw.headers.getlist("Link") if hasattr(response.raw.headers, "getlist") else []
        return Answer(headers, body, links or _one(headers.get("Link")), _clock_of(headers))

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
            self._settings_of.clear()

    # -- one request

    def _send(self, url: str, shown: str) -> requests.Response:
        session = self._opened()
        timeouts = (self.source.limits.connect_timeout_ms / 1000, self.source.limits.read_timeout_ms / 1000)
        for _ in range(MAX_REDIRECTS + 1):
            request = requests.Request("GET", url, headers=self._headers(), auth=self._basic())
            settings = self._settings(session, url)
            self.requests_made += 1
            try:
                prepared = session.prepare_request(request)
                prepared.url = url  # verbatim: a next link is opaque, and requests would quote it again
                response = session.send(prepared, timeout=timeouts, allow_redirects=False, **settings)
            except (
                ValueError,
                FileNotFoundError,
                PermissionError,
            ) as error:  # InvalidHeader, InvalidURL are ValueErrors
                raise VendorRefused(
                    self._say(
                        shown, f"the request cannot be made: {self._reason(error)}. Check headers, api_key and tls"
                    )
                ) from None
            except requests.RequestException as error:
                raise VendorUnavailable(self._say(shown, f"no answer: {self._reason(error)}")) from None
            except OSError as error:  # requests' own words for a CA file or certificate that is not there
                raise VendorRefused(self._say(shown, f"{self._reason(error)}. Check tls and the CA bundle")) from None
            if response.status_code not in (301, 302, 303, 307, 308):
                return response
            target = urljoin(url, response.headers.get("Location", ""))
            response.close()
            if not same_origin(target, url):
                raise VendorRefused(
                    self._say(
                        shown, f"redirected to another host ({urlsplit(target).netloc}); credentials are not sent there"
                    )
                )
            url = target
        raise VendorRefused(self._say(shown, f"more than {MAX_REDIRECTS} redirects"))

    def _read(self, response: requests.Response, shown: str) -> bytes:
        """The body, counted after inflation. A body shorter than announced is no answer."""
        cap = self.source.limits.page_bytes
        chunks: list[bytes] = []
        size = 0
        try:
            if _announced_bytes(response) <= cap:
                return response.raw.read()  # at once, which spares two copies
            for chunk in response.iter_content(CHUNK_BYTES):
                size += len(chunk)
                if size > cap:
                    raise BadAnswer(self._say(shown, f"the answer is larger than limits.page_bytes ({cap})"))
                chunks.append(chunk)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise VendorUnavailable(self._say(shown, f"the answer was cut off: {self._reason(error)}")) from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _refuse(self, status: int, headers: Mapping[str, str], body: bytes, shown: str, *, with_cursor: bool) -> None:
        vendor_now_ms = parse_http_date_ms(headers.get("Date")) or int(self._clock() * 1000)
        wait_s = wait_asked_for_s(status, headers, self.source.rate_limit, now_ms=vendor_now_ms)
        said = self.masker.mask(body[:SHOWN_BODY_CHARS].decode("utf-8", "replace")).strip()
        if wait_s is not None:
            raise RateLimited(
                self._say(
                    shown,
                    f"API returned {status} {'Too Many Requests' if status == 429 else 'with its limit reached'}, "
                    f"asks to wait {wait_s:.0f} s. Increase polling_frequency_ms (poll less frequently)",
                ),
                retry_after_s=wait_s,
            )
        if status >= 500 or status in (408, 425):
            raise VendorUnavailable(self._say(shown, f"HTTP {status}: {said}"))
        if with_cursor and status in self.source.pagination.cursor_expired_status:
            raise CursorRejected(self._say(shown, f"the kept cursor is no longer accepted (HTTP {status}: {said})"))
        advice = ADVICE.get(status, "check the configuration of this source against the vendor's documentation")
        raise VendorRefused(self._say(shown, f"HTTP {status}: {said}. {advice}"))

    # -- what a request is made of

    def _opened(self) -> requests.Session:
        if self._session is None:
            self._session = requests.Session()
            tls = self.source.tls
            if tls is not None and tls.cert_path and tls.key_path:
                self._session.cert = (resolve(tls.cert_path, env=self.env), resolve(tls.key_path, env=self.env))
        return self._session

    def _settings(self, session: requests.Session, url: str) -> dict[str, Any]:
        """Proxies and what to trust, from the environment: read once per server, not for each page."""
        origin = _origin(url)
        if origin not in self._settings_of:
            settings = session.merge_environment_settings(url, {}, True, None, None)
            self._settings_of[origin] = {**settings, "verify": self._verify(settings["verify"])}
        return self._settings_of[origin]

    def _headers(self) -> CaseInsensitiveDict[str]:
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(
            {"User-Agent": USER_AGENT, "Accept": "application/json"}
        )
        if self.source.api_key is not None:
            key = resolve(self.source.api_key, env=self.env)
            if self.source.api_key_header:
                headers[self.source.api_key_header] = key
            else:
                headers["Authorization"] = f"Bearer {key}"
        for name, template in self.source.headers.items():
            headers[name] = resolve(template, env=self.env)
        return headers

    def _basic(self) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
        """Basic credentials, or nothing at all: without this, requests would look for a .netrc."""
        basic = self.source.basic
        if basic is None:
            return lambda request: request
        username, password = resolve(basic.username, env=self.env), resolve(basic.password, env=self.env)
        return HTTPBasicAuth(username, password)

    def _verify(self, usual: bool | str | None) -> bool | str | None:
        """What to trust: the source's own CA, else the environment's (SSL_CERT_FILE too, which requests leaves out)."""
        tls = self.source.tls
        if tls is not None and tls.accept_invalid_certs:
            return False
        if tls is not None and tls.ca_cert_path:
            return resolve(tls.ca_cert_path, env=self.env)
        return os.environ.get("SSL_CERT_FILE") or True if usual is True else usual

    def _say(self, shown: str, what: str) -> str:
        return f"{self.source.name}: {shown}: {what}"

    def _reason(self, error: BaseException) -> str:
        """The innermost cause in the library's words, without URLs that may hold secrets."""
        return self.masker.mask(f"{type(error).__name__}: {error}")[:SHOWN_BODY_CHARS]


def _announced_bytes(response: requests.Response) -> float:
    """Size of a body that is sent as it is; infinite where nobody knows before it is inflated or read to its end."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and "Content-Encoding" not in response.headers else math.inf


def _clock_of(headers: Mapping[str, str]) -> int | None:
    """The vendor's clock. A Date header is cut to the second: an event of that second is not from the future."""
    at_ms = parse_http_date_ms(headers.get("Date"))
    return None if at_ms is None else at_ms + 999


def same_origin(one: str, other: str) -> bool:
    """Same scheme, host and port: the only place where a source's credentials may go."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _one(value: str | None) -> list[str]:
    return [value] if value else []
