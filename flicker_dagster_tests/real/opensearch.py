"""A node of OpenSearch: the jars of its core and of HTTP, started by 25 lines of Java. It has neither TLS nor accounts: put
nginx in front for those."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flicker_dagster_tests.real.builds import Build, fetch_jars, find, run
from flicker_dagster_tests.real.programs import Program, answers, call, free_port

#: Java 17 still has the security manager that OpenSearch 2 asks for.
JAVA_17 = "/usr/lib/jvm/java-17-openjdk-*/bin"
JAVA = {"java": "Debian: openjdk-17-jdk-headless", "javac": "Debian: openjdk-17-jdk-headless"}
MAVEN = {"mvn": "Debian: maven"}

#: Small, so that a 413 costs a test little.
LARGEST_BODY_BYTES = 1024 * 1024


def java(tool: str = "java") -> str:
    """Debian's Java 17, else the one on the path."""
    found = sorted(Path("/usr/lib/jvm").glob(f"java-17-openjdk-*/bin/{tool}"))
    return str(found[0]) if found else find(tool) or tool


def _make(folder: Path, log: Path) -> None:
    fetch_jars(BUILD.recipe, folder / "lib", log)
    run(log, java("javac"), "-cp", f"{folder}/lib/*", "-d", folder / "classes", BUILD.recipe / "OneNode.java")


BUILD = Build("opensearch", "2.19.6", {**MAVEN, **JAVA}, _make)


@dataclass(frozen=True)
class OpenSearch:
    url: str
    program: Program

    def ask(self, method: str, path: str, value: Any = None) -> Any:
        """A request and its JSON. Fails on anything but a 2xx."""
        body = None if value is None else json.dumps(value).encode()
        status, answer = call(method, self.url + path, body, {"Content-Type": "application/json"})
        assert 200 <= status < 300, f"{method} {path}: HTTP {status}: {answer[:500]!r}"
        return json.loads(answer) if answer else None

    def documents(self, index: str) -> list[dict[str, Any]]:
        """All hits of an index or data stream, up to 10,000, each with `_id` and `_source`."""
        self.ask("POST", f"/{index}/_refresh")
        found = self.ask("POST", f"/{index}/_search", {"size": 10_000, "query": {"match_all": {}}})
        return found["hits"]["hits"]

    def count(self, index: str) -> int:
        self.ask("POST", f"/{index}/_refresh")
        return self.ask("GET", f"/{index}/_count")["count"]


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[OpenSearch]:
    """`settings` are the node's, with `__` for a dot: `thread_pool__write__queue_size="1"`."""
    build = BUILD.ready()
    (folder / "config").mkdir(exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    node = {
        "cluster.name": "real",
        "node.name": "one",
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": str(port),
        "transport.port": str(free_port()),
        "http.max_content_length": f"{LARGEST_BODY_BYTES}b",
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        **{name.replace("__", "."): value for name, value in settings.items()},
    }
    command = [
        java(),
        "-Xms256m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-Djava.security.manager=allow",
        f"-Djava.io.tmpdir={folder}",
        "-cp",
        f"{build}/classes:{build}/lib/*",
        "OneNode",
        str(folder),
        *(f"{name}={value}" for name, value in node.items()),
    ]
    ready = answers(f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s")
    with Program("opensearch", command, folder=folder, ready=ready) as program:
        yield OpenSearch(url, program)
