"""The names of Dagster that the web UI is built with: each is where we expect it, and does what we take it for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests
from dagster._daemon.types import DaemonHeartbeat
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from flicker_dagster.web import dagster_ui
from flicker_dagster.web.guard import Guard
from flicker_dagster_tests.web.serving import serving


@contextmanager
def opened(folder: Path, *, read_only: bool = False, entries: str = "[]") -> Iterator[Any]:
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (folder / "workspace.yaml").write_text(f"load_from: {entries}\n")
    with (
        dg.DagsterInstance.from_config(str(folder)) as instance,
        dagster_ui.workspace(instance, str(folder / "workspace.yaml"), read_only=read_only) as workspace,
    ):
        yield workspace


class Client:
    """Asks as the UI's own page does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.session = requests.Session()
        self.session.headers["Origin"] = self.url

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=60, **options)

    def graphql(self, query: str) -> requests.Response:
        return self.session.post(f"{self.url}/graphql", json={"query": query}, timeout=60)


@contextmanager
def a_client(workspace: Any, *, read_only: bool = False) -> Iterator[Client]:
    async def ready() -> bool:
        return dagster_ui.what_is_missing(workspace) is None

    guard = Guard(dagster_ui.application(workspace), ready=ready, read_only=read_only)
    with serving(guard) as port:
        yield Client(port)


def beat(instance: dg.DagsterInstance, *, seconds_ago: float) -> None:
    for daemon in instance.get_required_daemon_types():
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, daemon, None, []))


def test_the_page_the_server_and_graphql_answer_through_the_guard(tmp_path: Path) -> None:
    with opened(tmp_path) as workspace, a_client(workspace) as client:
        page = client.get("/assets")
        assert "<html" in page.text
        policies = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policies
        assert "script-src" in policies
        assert page.headers["referrer-policy"] == "same-origin"
        assert "dagster_version" in client.get("/server_info").json()
        assert client.graphql("{ version }").json()["data"]["version"]
        assert client.get("/graphql", params={"query": "{ version }"}).status_code == 405


def test_subscriptions_are_answered_over_a_websocket(tmp_path: Path) -> None:
    query = "subscription { locationStateChangeEvents { event { message } } }"
    with opened(tmp_path) as workspace, a_client(workspace) as client:
        protocols = [Subprotocol("graphql-ws")]
        with connect(
            f"ws://127.0.0.1:{client.port}/graphql", origin=Origin(client.url), subprotocols=protocols
        ) as socket:
            socket.send(json.dumps({"type": "connection_init"}))
            assert json.loads(socket.recv(20)) == {"type": "connection_ack"}
            socket.send(json.dumps({"type": "start", "id": "1", "payload": {"query": query}}))
            socket.send(json.dumps({"type": "start", "id": "2", "payload": {"query": "subscription { nothing }"}}))
            assert json.loads(socket.recv(20))["id"] == "2"


def test_read_only_is_dagsters_own_mode_as_well(tmp_path: Path) -> None:
    mutation = 'mutation { setConcurrencyLimit(concurrencyKey: "k", limit: 1) }'
    with opened(tmp_path, read_only=True) as workspace:
        assert workspace.read_only
        with a_client(workspace) as unguarded:
            assert "UnauthorizedError" in unguarded.graphql(mutation).text
        with a_client(workspace, read_only=True) as client:
            assert client.graphql(mutation).status_code == 403
            assert client.graphql("{ version }").status_code == 200


@pytest.mark.parametrize(
    ("seconds_ago", "missing"), [(0, None), (1000, "no fresh heartbeat"), (None, "no fresh heartbeat")]
)
def test_readiness_needs_fresh_heartbeats(tmp_path: Path, seconds_ago: float | None, missing: str | None) -> None:
    with opened(tmp_path) as workspace:
        if seconds_ago is not None:
            beat(workspace.instance, seconds_ago=seconds_ago)
        found = dagster_ui.what_is_missing(workspace)
        assert found is None if missing is None else missing in (found or "")


@pytest.mark.filterwarnings("ignore:Error loading repository location")
def test_readiness_needs_the_code_server(tmp_path: Path) -> None:
    entry = '[{grpc_server: {socket: "%s/none", location_name: flicker}}]' % tmp_path  # noqa: UP031
    with opened(tmp_path, entries=entry) as workspace:
        beat(workspace.instance, seconds_ago=0)
        assert dagster_ui.what_is_missing(workspace) == "code location flicker is not loaded"
