"""A whole installation for tests: simulated vendors and SIEM, code server, daemon, web UI, all real processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests
import yaml

from flicker_dagster.cli.demo import TOKENS, demo_config
from flicker_dagster.cli.supervise import Supervisor, free_port
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.simulator.world import World

#: Generous: the machine may be busy, and waiting ends as soon as the condition holds.
PATIENCE_S = 180


class Stack:
    """Supervised processes over a world of simulated vendors. `destinations` says where a source delivers, where that is
    not the world's SIEM alone."""

    def __init__(
        self,
        home: Path,
        world: World,
        *,
        registry_file: str | None = None,
        destinations: Callable[[dict[str, Any]], list[dict[str, Any]]] | None = None,
        **source_changes: Any,
    ) -> None:
        self.home = home
        self.world = world
        self.port = free_port()
        config = yaml.safe_load(demo_config(world))
        for source in config["api_sources"]:
            source.update(source_changes)
            if destinations is not None:
                source["destination"] = destinations(source)
        self.config_path = home / "config.yaml"
        self.config_path.write_text(yaml.safe_dump(config, sort_keys=False))
        self.settings = Settings(
            str(self.config_path), registry_file=registry_file, state_dir=str(home), work_dir=str(home / "work")
        )
        self.supervisor = Supervisor(self.settings, port=self.port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.supervisor.start()
        self.wait(self._ui_answers, "the web UI answers")

    def stop(self) -> None:
        self.supervisor.stop()

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the web UI's own API. Raises AssertionError for an error in the answer."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=30).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        query = """query($filter: RunsFilter) { runsOrError(filter: $filter, limit: 200) { ... on Runs { results {
            runId status tags { key value } } } } }"""
        wanted = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        found = self.graphql(query, filter={"tags": wanted})
        return found["runsOrError"]["results"]

    def wait(self, condition: Callable[[], Any], what: str, *, patience_s: float = PATIENCE_S) -> Any:
        """Await a condition; answers what it answered. Fails with the words of what was waited for."""
        found = self.comes_true(condition, patience_s=patience_s)
        if found:
            return found
        pytest.fail(f"not within {patience_s:g} s: {what}; now {[vars(row) for row in self.world.compare()]}")

    def comes_true(self, condition: Callable[[], Any], *, patience_s: float) -> Any:
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            self.supervisor.look()
            found = condition()
            if found:
                return found
            time.sleep(0.25)
        return None

    def wait_delivered(self, what: str = "everything emitted so far is in the SIEM") -> None:
        """Await that the SIEM holds all that the vendors have emitted until now, while they go on emitting."""
        emitted = {
            name: {event.id for event in vendor.emitter.emitted() if vendor.is_listed("", event.body)}
            for name, vendor in self.world.vendors.items()
        }
        self.wait(lambda: all(ids <= set(self.world.siem.ids(f"/{name}")) for name, ids in emitted.items()), what)

    def twice(self) -> list[int]:
        return [row.twice for row in self.world.compare()]

    def _ui_answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/server_info", timeout=2).ok
        except requests.ConnectionError:
            return False


@contextmanager
def a_stack(home: Path, world: World, **options: Any) -> Iterator[Stack]:
    """A started stack, stopped in the end. Secrets are set in the environment, as an operator would."""
    with patch.dict(os.environ, {**TOKENS, "SIEM_ENDPOINT": world.siem.url}):
        stack = Stack(home, world, **options)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
