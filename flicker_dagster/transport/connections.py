"""Kept-alive connections to one server, as the environment describes the network: proxies, authorities, certificates.

urllib3 is used directly: `requests` reads the environment, merges cookies and quotes the address again at each request,
which costs more than the request itself. Its rules for proxies are kept by calling them, once per server.
"""

from __future__ import annotations

import base64
import os
import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import urllib3
import urllib3.util

from flicker_dagster import __version__
from flicker_dagster.config.quiet import unlogged
from flicker_dagster.config.records import Tls
from flicker_dagster.config.secrets import resolve
from flicker_dagster.transport.addresses import origin_of, target_of
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.timed_sockets import ends_by, keep_time, tls_context

USER_AGENT = f"flicker-dagster/{__version__}"


class Connections:
    """Up to `at_most` connections to the server of `url`, shared by threads, opened when first used.

    `env` stands for the process environment where the paths of `tls` are resolved. Raises SecretUnset, and ValueError
    for an address that cannot be read (BadAddress), a certificate file, and a proxy that cannot be used. `routes` say
    where a host is really reached (`*`: any): requests go there, and name the host that they are for.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: Tls | None,
        env: Mapping[str, str] | None,
        connect_s: float,
        read_s: float,
        at_most: int = 1,
        routes: Mapping[str, str] | None = None,
    ) -> None:
        timeout = urllib3.Timeout(connect=connect_s, read=read_s)
        self._read_s = read_s
        options: dict = {"maxsize": at_most, "block": True, "timeout": timeout}
        named = origin_of(url)
        reached = (routes or {}).get(named.host, (routes or {}).get("*"))
        self._host = None if reached is None else url.split("/")[2]
        url = url if reached is None else reached
        origin = origin_of(url)
        if tls is not None or origin.scheme == "https":
            trust = tls_options(tls or Tls(), env)  # a file that is missing is told, wherever the address leads
            options |= trust if origin.scheme == "https" else {}
        proxy = _proxy_of(url)
        self._manager = urllib3.PoolManager(**options) if proxy is None else _proxied(proxy, options)
        keep_time(self._manager)
        self._pool = self._manager.connection_from_host(origin.host, origin.port, origin.scheme)
        #: An HTTP proxy is told the whole address, unless it opens a tunnel.
        self._before_target = str(origin) if self._manager.proxy is not None and origin.scheme == "http" else ""

    @contextmanager
    def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, deadline: Deadline
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """One attempt at a path and query of this server, no redirect followed. The answer's body is read, or left, inside
        of the `with`; all of it together ends by the deadline.

        Raises urllib3's HTTPError, and ValueError for a header that cannot be sent.
        """
        for name, value in headers.items():
            if "\n" in value or "\r" in value:  # http.client lets some through, as a continued line
                raise ValueError(f"the value of the header {name} holds a line break")
        if self._host is not None:
            headers = {**headers, "Host": self._host}
        with unlogged(), ends_by(deadline, gap_s=self._read_s):
            response = self._pool.urlopen(
                method,
                self._before_target + target_of(url),
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
            )
            try:
                yield response
            finally:
                if not response.closed:
                    response.close()  # what is left of the answer is not waited for
                response.release_conn()

    def close(self) -> None:
        self._manager.clear()


def reason_of(error: BaseException) -> str:
    """Why there was no answer, and what to look at, without the library's own names for it."""
    said = _POOL.sub("", str(error))
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return f"{said}: the host's name is not known to DNS; check the address"
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # a ConnectTimeoutError to urllib3
        return f"{said}; check the address, and that something listens there"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"{said}; check the address, and firewalls between"
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"TLS failed: {said}; check the address and tls"
    return f"{type(error).__name__}: {said}"


#: How urllib3 begins its messages.
_POOL = re.compile(r"^\w*Connection(Pool)?\(host=[^)]{0,300}\): ")


def basic_authorization(username: str, password: str) -> str:
    """The value of an `Authorization` header (RFC 7617, UTF-8)."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def ca_bundle() -> str:
    """The CA file of the usual environment (SSL_CERT_FILE too, which requests leaves out), else certifi's."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        found = os.environ.get(variable)
        if found:
            return found
    import certifi

    return certifi.where()


def _proxy_of(url: str) -> str | None:
    """By the rules of requests, which takes 40 ms to import and is not needed where the environment names no proxy."""
    named = any(name.lower().endswith("_proxy") for name in os.environ)
    if not named and sys.platform not in ("darwin", "win32"):  # these have settings of their own
        return None
    from requests.utils import get_environ_proxies, select_proxy

    return select_proxy(url, get_environ_proxies(url))


def _proxied(proxy: str, options: dict) -> urllib3.PoolManager:
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not _has_host(proxy):  # urllib3 would say so in words that hold the address with its password
        raise ValueError("the address of the proxy cannot be read; expected http://[user:password@]host:port")
    if proxy.lower().startswith("socks"):
        try:
            from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError:
            raise ValueError("a SOCKS proxy needs the package PySocks: pip install pysocks") from None
        try:
            return SOCKSProxyManager(proxy, **options)
        except ValueError:  # its words hold the address with its password
            raise ValueError("the proxy's scheme is not known; expected socks5, socks5h, socks4 or socks4a") from None
    from requests.utils import get_auth_from_url

    username, password = get_auth_from_url(proxy)
    known = {"Proxy-Authorization": basic_authorization(username, password)} if username else None
    trust = _trust_in_proxy(options) if proxy.lower().startswith("https:") else None
    return urllib3.ProxyManager(proxy, proxy_headers=known, proxy_ssl_context=trust, **options)


def _trust_in_proxy(options: Mapping) -> ssl.SSLContext:
    """The proxy is trusted as the server behind it is: by the same authorities."""
    context = tls_context(cert_reqs=options.get("cert_reqs", "CERT_REQUIRED"), minimum=ssl.TLSVersion.TLSv1_2)
    directory, file = options.get("ca_cert_dir"), options.get("ca_certs")
    context.load_verify_locations(cafile=file or (None if directory else ca_bundle()), capath=directory)
    return context


def _has_host(url: str) -> bool:
    try:
        return bool(urllib3.util.parse_url(url).host)
    except urllib3.exceptions.LocationParseError:
        return False


def tls_options(tls: Tls, env: Mapping[str, str] | None) -> dict:
    """A pool's options for a server behind TLS. Raises SecretUnset, and ValueError for a file that cannot be read."""
    authorities = resolve(tls.ca_cert_path, env=env) if tls.ca_cert_path else ca_bundle()
    options: dict = {
        "cert_reqs": "CERT_REQUIRED",
        "ca_cert_dir" if os.path.isdir(authorities) else "ca_certs": authorities,
        "ssl_minimum_version": ssl.TLSVersion.TLSv1_2,
    }
    files = [authorities]
    if tls.cert_path and tls.key_path:
        options |= {"cert_file": resolve(tls.cert_path, env=env), "key_file": resolve(tls.key_path, env=env)}
        files += [options["cert_file"], options["key_file"]]
    for file in files:
        if not os.access(file, os.R_OK):
            raise ValueError(f"tls: cannot read {file}")
    if tls.accept_invalid_certs:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
    return options
