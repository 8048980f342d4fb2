"""rsyslog: RFC 5424 over mutual TLS with octet counting, each message written as it came, one a line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flicker_dagster_tests.real.builds import Unavailable, find
from flicker_dagster_tests.real.programs import Program, free_port, listens
from flicker_dagster_tests.tls import Authority

#: Without this imtcp takes a larger frame apart.
LARGEST_FRAME_BYTES = 1024 * 1024

CONFIG = """
global(
  workDirectory="{folder}"
  maxMessageSize="{largest}"
  parser.escapeControlCharactersOnReceive="off"
  DefaultNetstreamDriver="ossl"
  DefaultNetstreamDriverCAFile="{ca}"
  DefaultNetstreamDriverCertFile="{cert}"
  DefaultNetstreamDriverKeyFile="{key}"
)
module(
  load="imtcp"
  StreamDriver.Name="ossl"
  StreamDriver.Mode="1"
  StreamDriver.AuthMode="x509/certvalid"
  MaxFrameSize="{largest}"
)
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="remote") {{
  action(type="omfile" file="{out}" template="raw" asyncWriting="off" flushOnTXEnd="on" fileCreateMode="0600")
}}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="remote")
"""


@dataclass(frozen=True)
class Rsyslog:
    """Wants the client certificate of `authority`, and shows one for 127.0.0.1."""

    port: int
    authority: Authority
    file: Path
    program: Program

    def messages(self, *, holding: bytes = b"") -> list[bytes]:
        """Every message so far that holds a text, header and all, in the order of arrival: others deliver here as well."""
        lines = self.file.read_bytes().split(b"\n")[:-1] if self.file.exists() else []
        return [line for line in lines if holding in line]

    def wait_for(self, count: int, *, holding: bytes = b"", patience_s: float = 60.0) -> list[bytes]:
        """All messages that hold a text, as soon as there are `count`: TCP does not say when one was written."""
        deadline_s = time.monotonic() + patience_s
        while len(found := self.messages(holding=holding)) < count:
            assert time.monotonic() < deadline_s, f"{len(found)} messages, expected {count}\n{self.program.said()}"
            time.sleep(0.05)
        return found


@contextmanager
def running(folder: Path) -> Iterator[Rsyslog]:
    rsyslogd = find("rsyslogd")
    if rsyslogd is None or not list(Path("/usr/lib").glob("*/rsyslog/lmnsd_ossl.so")):
        raise Unavailable("rsyslog: rsyslogd or its TLS is missing (Debian: rsyslog, rsyslog-openssl)")
    authority = Authority.in_directory(folder)
    cert, key = authority.server_files(folder)
    port, out, config = free_port(), folder / "messages", folder / "rsyslog.conf"
    config.write_text(
        CONFIG.format(
            folder=folder, largest=LARGEST_FRAME_BYTES, ca=authority.ca_path, cert=cert, key=key, out=out, port=port
        )
    )
    command = [rsyslogd, "-n", "-f", str(config), "-i", str(folder / "pid"), "-C"]
    with Program("rsyslog", command, folder=folder, ready=listens(port)) as program:
        yield Rsyslog(port, authority, out, program)
