"""POST to any HTTP endpoint.

urllib3 is used directly: the environment (proxies, CA bundles) is read once at the start instead of at each request,
which makes a request several times cheaper than through `requests` and otherwise behaves the same.
"""

from __future__ import annotations

import base64
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence

import urllib3
from isal import igzip
from requests.utils import get_environ_proxies, select_proxy

from flicker_dagster import __version__
from flicker_dagster.config.masking import Masker
from flicker_dagster.config.models import BasicDestinationAuth, BearerAuth, HttpDestination, SourceConfig
from flicker_dagster.config.secrets import resolve
from flicker_dagster.deliver.formats import Buffer, format_of
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Outcome, Retry, classify_http
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.types import Batch

log = logging.getLogger("flicker.deliver")

MAX_ANSWER_BYTES = 64 * 1024
CONNECT_TIMEOUT_S = 10.0


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
        self._env = env
        self._clock = clock
        self._format = format_of(config.format, source_name=source.name, message_field=source.message_field)
        self._gzip = config.compression in (True, "gzip")
        self._masker = Masker.for_source(source, env)
        self._pool: urllib3.PoolManager | None = None
        self._url = ""
        self._headers: dict[str, str] = {}

    @property
    def content_type(self) -> str:
        return self._format.content_type

    def encode(self, events: Sequence[Buffer], digests: Sequence[bytes], times_ms: Sequence[int | None]) -> bytes:
        now_ms = int(self._clock() * 1000)
        return self._format.join(self._format.records(events, digests, times_ms, now_ms=now_ms))

    def split(self, body: bytes) -> list[bytes]:
        return self._format.split(body)

    def join(self, records: Sequence[bytes]) -> bytes:
        return self._format.join(records)

    def event_of(self, record: bytes) -> bytes:
        return self._format.event_of(record)

    def describe(self) -> str:
        """The endpoint as it is written in the configuration, so without its secrets."""
        return self.config.endpoint

    def send(self, batch: Batch) -> Outcome:
        """One attempt. Never raises for the network; SecretUnset and DestinationBlocked for the configuration."""
        pool = self._opened()
        headers = self._headers | {
            "Content-Type": batch.content_type,
            "Idempotency-Key": batch.batch_id,
            "X-Event-Count": str(batch.count),
        }
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
        try:
            response = pool.request(
                "POST",
                self._url,
                body=batch.body if self._gzip else igzip.decompress(batch.body),
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                said = response.read(MAX_ANSWER_BYTES, decode_content=True)
                response.drain_conn()
            finally:
                response.release_conn()
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            return Retry(self._mask(f"cannot connect: {error}"))
        except urllib3.exceptions.SSLError as error:
            return Blocked(self._mask(f"TLS failed: {error}; check destination.tls and the CA bundle"))
        except urllib3.exceptions.ProxyError as error:
            return Retry(self._mask(f"the proxy failed: {error}"))
        except ValueError as error:  # a header value that cannot be sent
            return Blocked(
                self._mask(f"the request cannot be made: {error}; check destination's headers, auth and tls")
            )
        except urllib3.exceptions.HTTPError as error:
            return Ambiguous(self._mask(f"no answer after sending: {type(error).__name__}: {error}"))
        return classify_http(
            response.status,
            response.headers,
            self._mask(said.decode("utf-8", "replace")).encode(),
            success_status=self.config.success_status,
            now_ms=int(self._clock() * 1000),
        )

    def close(self) -> None:
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    # -- opening, once

    def _opened(self) -> urllib3.PoolManager:
        if self._pool is None:
            self._url = resolve(self.config.endpoint, env=self._env)
            self._headers = self._fixed_headers()
            self._pool = self._new_pool()
        return self._pool

    def _new_pool(self) -> urllib3.PoolManager:
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=self.config.timeout_ms / 1000)
        options: dict = {"maxsize": self.max_in_flight, "block": True, "timeout": timeout, "retries": False}
        if self._url.startswith("https:"):
            options |= self._tls()
        proxy = select_proxy(self._url, get_environ_proxies(self._url))
        if proxy:
            return urllib3.ProxyManager(proxy, **options)
        return urllib3.PoolManager(**options)

    def _tls(self) -> dict:
        tls = self.config.tls
        options: dict = {"cert_reqs": "CERT_REQUIRED", "ca_certs": ca_bundle(), "ssl_minimum_version": _tls_1_2()}
        if tls is None:
            return options
        if tls.ca_cert_path:
            options["ca_certs"] = resolve(tls.ca_cert_path, env=self._env)
        if tls.cert_path and tls.key_path:
            options["cert_file"] = resolve(tls.cert_path, env=self._env)
            options["key_file"] = resolve(tls.key_path, env=self._env)
        for name in ("ca_certs", "cert_file", "key_file"):
            if name in options and not os.access(options[name], os.R_OK):
                raise DestinationBlocked(f"{self._source_name}: destination.tls: cannot read {options[name]}")
        if tls.accept_invalid_certs:
            log.warning("%s: destination.tls.accept_invalid_certs is on: anybody can read along", self._source_name)
            options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return options

    def _fixed_headers(self) -> dict[str, str]:
        headers = {"User-Agent": f"flicker-dagster/{__version__}", "Accept": "*/*"}
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
            pair = f"{resolve(basic.username, env=self._env)}:{resolve(basic.password, env=self._env)}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return {}

    def _mask(self, text: str) -> str:
        return self._masker.mask(text)


def ca_bundle() -> str:
    """The CA file of the usual environment, else certifi's."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        found = os.environ.get(variable)
        if found:
            return found
    import certifi

    return certifi.where()


def _tls_1_2() -> int:
    import ssl

    return ssl.TLSVersion.TLSv1_2
