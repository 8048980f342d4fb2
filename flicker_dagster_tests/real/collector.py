"""An OpenTelemetry Collector: logs by OTLP over HTTP and syslog over TLS, written to a file as OTLP's own JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flicker_dagster_tests.real.builds import Build, run
from flicker_dagster_tests.real.programs import Program, free_port, listens
from flicker_dagster_tests.real.victorialogs import GO
from flicker_dagster_tests.tls import Authority

#: Of one request, after inflation.
LARGEST_BODY_BYTES = 1024 * 1024

CONFIG = """
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{otlp}
        max_request_body_size: {largest}
  syslog:
    protocol: rfc5424
    enable_octet_counting: true
    max_octets: 1000000
    tcp:
      listen_address: 127.0.0.1:{syslog}
      max_log_size: 1MiB
      tls:
        cert_file: {cert}
        key_file: {key}
        client_ca_file: {ca}
exporters:
  file:
    path: {out}
    flush_interval: 100ms
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    logs:
      receivers: [otlp, syslog]
      exporters: [file]
"""


def _make(folder: Path, log: Path) -> None:
    run(log, "go", "build", "-ldflags=-s -w", "-o", folder / "collector", ".", cwd=BUILD.recipe)


BUILD = Build("collector", "0.165.1", GO, _make)


@dataclass(frozen=True)
class Collector:
    """`otlp` is the address of logs by OTLP/HTTP; `syslog_port` wants the client certificate of `authority`."""

    otlp: str
    syslog_port: int
    authority: Authority
    file: Path
    program: Program

    def records(self, *, holding: str = "") -> list[dict[str, Any]]:
        """Every log record so far that holds a text, in OTLP's JSON, with its resource's attributes as `resource`: others
        deliver here as well."""
        found = []
        lines = self.file.read_bytes().split(b"\n")[:-1] if self.file.exists() else []
        for line in lines:  # behind the last one is what is just being written
            for resource in json.loads(line)["resourceLogs"]:
                attributes = resource.get("resource", {}).get("attributes", [])
                for scope in resource["scopeLogs"]:
                    found += [{**record, "resource": attributes} for record in scope["logRecords"]]
        return [record for record in found if holding in json.dumps(record, ensure_ascii=False)]

    def wait_for(self, count: int, *, holding: str = "", patience_s: float = 60.0) -> list[dict[str, Any]]:
        """All records that hold a text, as soon as there are `count`: the file is written a moment after the answer."""
        deadline_s = time.monotonic() + patience_s
        while len(found := self.records(holding=holding)) < count:
            assert time.monotonic() < deadline_s, f"{len(found)} records, expected {count}"
            time.sleep(0.05)
        return found


@contextmanager
def running(folder: Path) -> Iterator[Collector]:
    build = BUILD.ready()
    authority = Authority.in_directory(folder)
    cert, key = authority.server_files(folder)
    otlp, syslog, out = free_port(), free_port(), folder / "out.jsonl"
    config = folder / "config.yaml"
    config.write_text(
        CONFIG.format(
            otlp=otlp, syslog=syslog, largest=LARGEST_BODY_BYTES, cert=cert, key=key, ca=authority.ca_path, out=out
        )
    )
    command = [str(build / "collector"), "--config", f"file:{config}"]
    ready = [listens(otlp), listens(syslog)]
    with Program("collector", command, folder=folder, ready=lambda: all(each() for each in ready)) as program:
        yield Collector(f"http://127.0.0.1:{otlp}/v1/logs", syslog, authority, out, program)
