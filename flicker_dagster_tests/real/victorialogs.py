"""VictoriaLogs: takes what many log shippers send, and gives every field back as it came. It takes the same event twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from flicker_dagster_tests.real.builds import Build, run
from flicker_dagster_tests.real.programs import Program, answers, call, free_port

MODULE = "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs"
GO = {"go": "Go 1.26 or newer"}


def _make(folder: Path, log: Path) -> None:
    run(log, "go", "install", "-ldflags=-s -w", f"{MODULE}@v{BUILD.version}", env={"GOBIN": str(folder)})


BUILD = Build("victoria-logs", "1.52.1", GO, _make)


@dataclass(frozen=True)
class VictoriaLogs:
    """`splunk`, `elasticsearch`, `loki`, `datadog`, `otlp` and `jsonline` are the addresses that a shipper of each is given."""

    url: str
    syslog_port: int
    program: Program

    @property
    def splunk(self) -> str:
        return f"{self.url}/insert/splunk/services/collector/event"

    @property
    def elasticsearch(self) -> str:
        return f"{self.url}/insert/elasticsearch"

    @property
    def loki(self) -> str:
        return f"{self.url}/insert/loki/api/v1/push"

    @property
    def datadog(self) -> str:
        return f"{self.url}/insert/datadog/api/v2/logs"

    @property
    def otlp(self) -> str:
        return f"{self.url}/insert/opentelemetry/v1/logs"

    @property
    def jsonline(self) -> str:
        return f"{self.url}/insert/jsonline"

    def rows(self, query: str = "*", *, limit: int = 20_000) -> list[dict[str, str]]:
        """What a query of LogsQL finds among all that was taken so far; every value is text."""
        call("POST", f"{self.url}/internal/force_flush")
        asked = urlencode({"query": query, "limit": limit, "start": "1970-01-01T00:00:00Z"})
        status, answer = call("POST", f"{self.url}/select/logsql/query?{asked}")
        assert status == 200, answer[:500]
        return [json.loads(line) for line in answer.splitlines() if line]


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[VictoriaLogs]:
    build = BUILD.ready()
    port, syslog_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        str(build / "victoria-logs"),
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-syslog.listenAddr.tcp=127.0.0.1:{syslog_port}",
        "-retentionPeriod=100y",
        "-futureRetention=10y",
        *flags,
    ]
    with Program("victoria-logs", command, folder=folder, ready=answers(f"{url}/health")) as program:
        yield VictoriaLogs(url, syslog_port, program)
