"""A broker of Apache Kafka: one node in KRaft mode, with everything a transactional producer needs."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flicker_dagster_tests.real.builds import Build, fetch_jars
from flicker_dagster_tests.real.opensearch import JAVA, MAVEN, java
from flicker_dagster_tests.real.programs import Program, free_port, listens

BUILD = Build(
    "kafka",
    "4.4.0",
    {**MAVEN, "java": JAVA["java"]},
    lambda folder, log: fetch_jars(BUILD.recipe, folder / "lib", log),
)


@dataclass(frozen=True)
class Kafka:
    """`bootstrap` is host and port, without TLS or accounts. Topics are made when they are first written to."""

    bootstrap: str
    program: Program


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Kafka]:
    """`settings` are the broker's, with `_` for a dot: `message_max_bytes="100000"`."""
    lib = f"{BUILD.ready()}/lib/*"
    port, controller = free_port(), free_port()
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(folder / "data"),
        "num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        **{name.replace("_", "."): value for name, value in settings.items()},
    }
    file = folder / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    options = ["-Xmx384m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", lib]
    formatting = [java(), *options, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(file)]
    with (folder / "format.log").open("wb") as log:
        subprocess.run(formatting, cwd=folder, stdout=log, stderr=subprocess.STDOUT, check=True, timeout=180)
    command = [java(), *options, "kafka.Kafka", str(file)]
    env = {**os.environ, "LOG_DIR": str(folder)}
    with Program("kafka", command, folder=folder, ready=listens(port), env=env) as program:
        yield Kafka(f"127.0.0.1:{port}", program)
