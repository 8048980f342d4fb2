"""A vendor that answers each query as a test says, polled as `--once` does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flicker_dagster.config.groups import Pagination
from flicker_dagster.errors import CollectError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.conformance.harness import Clock, Scene

HOUR_S = 3600
Answer = Callable[[dict[str, str]], Any]


class Scripted(Vendor):
    """A vendor whose answer to a query is a body, or a body and a status. `rows` are its events."""

    name = "scripted"

    def __init__(self, clock: Clock, answer: Answer) -> None:
        self.script = answer
        self.queries: list[dict[str, str]] = []
        super().__init__(clock=clock)

    def answer(self, request: Request, *, expired: bool) -> Response:
        self.queries.append(request.query)
        found = self.script(request.query)
        return Response.json(*found) if isinstance(found, tuple) else Response.json(found)


def events(clock: Clock, count: int, *, newest_age_s: float, step_s: float = 1) -> list[dict[str, str]]:
    """Oldest first; the last is `newest_age_s` old."""
    first_s = clock.now_s - newest_age_s - (count - 1) * step_s
    return [{"id": f"e{i:04d}", "time": rfc3339_ms(int((first_s + i * step_s) * 1000))} for i in range(count)]


def poll(scene: Scene) -> str | None:
    """One poll as `--once` does it; what it failed with."""
    failed = None
    try:
        scene.fetch()
    except CollectError as error:
        failed = str(error)
    scene.deliver()
    return failed


def queries(scene: Scene) -> list[dict[str, str]]:
    assert isinstance(scene.vendor, Scripted)
    return scene.vendor.queries


def settings_of(scene: Scene, tmp_path: Path, field: str) -> Settings:
    """A configuration of the scene's vendor with pages of 10, as a file."""
    file = tmp_path / "config.yaml"
    file.write_text(
        f"""api_sources:
  - name: audit
    endpoint: "{scene.source.endpoint}"
    polling_frequency_ms: 5000
    results_field: value
    id_field: id
    timestamp_field: time
    pagination: {{pagination_type: cursor, cursor_param: skip, next_cursor_field: {field}, page_size: 10}}
    start_from: 6h
    destination: {{type: http, endpoint: "{scene.siem.url}/siem"}}
"""
    )
    return Settings(config_path=str(file), state_dir=str(tmp_path / "state"), work_dir=str(tmp_path / "work"))


def paged(field: str) -> dict[str, Any]:
    """Keys of a source whose pages name the next one in this field."""
    paging = Pagination(pagination_type="cursor", cursor_param="skip", next_cursor_field=field, page_size=10)
    return {
        "query_params": {"range": "{start} {end}"},
        "results_field": "value",
        "pagination": paging,
        "start_from": "6h",
    }
