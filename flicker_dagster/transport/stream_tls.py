"""TLS over a socket of our own, taken apart: what is read and written is in our hands, byte by byte.

`ssl.SSLSocket` cannot send its close_notify without waiting for the other one, nor be asked without waiting whether the
peer has said something. In memory both are plain.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress

from flicker_dagster.config.records import Tls
from flicker_dagster.transport.connections import tls_options
from flicker_dagster.transport.timed_sockets import tls_context

RECORD_BYTES = 256 * 1024


def client_context(tls: Tls | None, env: Mapping[str, str] | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, the server verified by name unless `accept_invalid_certs`, our own certificate where one is named.

    Raises SecretUnset, and ValueError for a file that is missing or cannot be used.
    """
    options = tls_options(tls or Tls(), env)
    verifies = options["cert_reqs"] != "CERT_NONE"
    context = tls_context(cert_reqs=options["cert_reqs"], minimum=options["ssl_minimum_version"])
    try:
        context.load_verify_locations(cafile=options.get("ca_certs"), capath=options.get("ca_cert_dir"))
        if "cert_file" in options:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(options["cert_file"], options["key_file"], password="")
    except (ssl.SSLError, OSError) as error:
        raise ValueError(
            f"tls: the certificates cannot be used: {error}; expected PEM files, the key without a password"
        ) from None
    context.check_hostname = verifies
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    return context


class TlsInMemory:
    """One side of a TLS connection: `received` is fed with what arrives, `to_send` gives what has to go out."""

    def __init__(self, context: ssl.SSLContext, *, server_name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def received(self, data: bytes) -> None:
        """Bytes of the peer; none stands for its end."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def to_send(self) -> bytes:
        return self._outgoing.read()

    def shake_hands(self) -> bool:
        """One step. Is it done? Raises SSLError."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def write(self, data: memoryview) -> None:
        self._tls.write(data)

    def read(self) -> bytes | None:
        """What the peer said; empty once it ended in order, None while it says nothing. Raises SSLError, for its alerts
        too."""
        try:
            return self._tls.read(RECORD_BYTES)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""

    def end(self) -> None:
        """Say that nothing more comes from us."""
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()


def is_about_certificates(error: ssl.SSLError) -> bool:
    """Was it one side's certificate that the other one does not take? Then somebody has to change something."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    told = (error.reason or str(error)).upper().replace(" ", "_")
    return any(word in told for word in ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED"))
