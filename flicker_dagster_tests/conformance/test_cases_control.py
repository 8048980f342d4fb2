"""Field reports about the control plane: who may command Flicker, and what a command may reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest

from flicker_dagster.orchestration.settings import Settings
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.conformance.rows import cases, row
from flicker_dagster_tests.orchestration.built import definitions_of, job_of, settings_of
from flicker_dagster_tests.web.asgi import LOCAL, Asked

cases(
    {
        "run_config_moves_state": "who starts a run may name the directories it writes to, and have everything sent again",
        "ui_cross_site": "any web page that the operator's browser shows may command the web UI, or read all of it",
    }
)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with plain_scene(tmp_path, start_from="3h") as scene:
        yield scene


@row("case-run_config_moves_state", behaviour="a run knows no such setting: Dagster refuses that run config")
@pytest.mark.parametrize("resource", ["flicker", "flicker_state", "settings"])
def test_run_config_that_moves_the_state_is_refused(scene: Scene, tmp_path: Path, resource: str) -> None:
    moved = {name: str(tmp_path / "elsewhere") for name in Settings.__dataclass_fields__}
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(dg.DagsterInvalidConfigError, match=resource):
        job_of(scene).execute_in_process(instance=instance, run_config={"resources": {resource: {"config": moved}}})
    assert not (tmp_path / "elsewhere").exists()


def test_no_job_of_ours_takes_a_path_a_host_or_a_destination(scene: Scene) -> None:
    definitions = definitions_of(scene.source, settings_of(scene))
    assert definitions.resources in (None, {})
    [ops] = [node.config_schema for node in _ops(job_of(scene)) if node.name.endswith("__fetch")]
    assert set(ops.config_type.fields) == {"last_timestamp", "cursor", "redeliver"}  # type: ignore[attr-defined]


EVIL = [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Referer", "http://evil.example/")]
AT_HOME = [("Host", LOCAL)]
BY_GET = "query=mutation{reloadWorkspace{__typename}}"


def _typed(content_type: str) -> list[tuple[str, str]]:
    return [("Content-Type", content_type)]


@row(
    "case-ui_cross_site",
    behaviour="a guard in front of it answers its own pages only, under its own names, and JSON only",
)
@pytest.mark.parametrize(
    ("method", "headers", "query", "socket"),
    [
        ("GET", AT_HOME + EVIL, BY_GET, False),
        ("GET", AT_HOME, BY_GET, False),
        ("POST", AT_HOME + EVIL + _typed("text/plain"), BY_GET, False),
        ("POST", AT_HOME + _typed("application/x-www-form-urlencoded"), BY_GET, False),
        ("POST", AT_HOME + EVIL + _typed("application/json"), "", False),
        ("GET", [("Host", "evil.example:3000")], "query={version}", False),
        ("GET", AT_HOME + EVIL[:1], "", True),
    ],
    ids=["image", "get", "text", "form", "json-from-elsewhere", "rebinding", "websocket"],
)
def test_a_web_page_of_somebody_else_commands_nothing(
    method: str, headers: list[tuple[str, str]], query: str, socket: bool
) -> None:
    asked = Asked()
    assert asked.ask(method, "/graphql", headers, query=query, body=b"{}", socket=socket).status >= 400
    assert asked.inner.reached == []


@pytest.mark.parametrize(
    "cursor",
    [
        "http://{other}/next",
        "HTTP://{other}/next",
        "//{other}/next",
        "http://{own}@{other}/next",
        "http://{other}\\@{own}/next",
        "http://{own}.evil.example/next",
    ],
)
def test_a_cursor_in_run_config_sends_nothing_to_another_host(tmp_path: Path, cursor: str) -> None:
    with (
        plain_scene(tmp_path, start_from="3h") as scene,
        plain_scene(tmp_path / "b") as other,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setattr(Settings, "work", lambda _settings, _source: scene.work())
        hosts = {"own": urlsplit(scene.vendor.url).netloc, "other": urlsplit(other.vendor.url).netloc}
        where = {"last_timestamp": "2026-01-01T00:00:00.000Z", "cursor": cursor.format(**hosts)}
        config = {"ops": {"plain": {"ops": {"fetch": {"config": where}}}}}
        with dg.DagsterInstance.ephemeral() as instance:
            job_of(scene).execute_in_process(instance=instance, run_config=config, raise_on_error=False)
        assert scene.vendor.requests
        assert not other.vendor.requests


def _ops(job: dg.JobDefinition) -> list[dg.OpDefinition]:
    return [node for node in job.all_node_defs if isinstance(node, dg.OpDefinition)]
