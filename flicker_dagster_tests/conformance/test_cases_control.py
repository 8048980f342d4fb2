"""Field reports about the control plane: who may command Flicker, and what a command may reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from flicker_dagster.orchestration.settings import Settings
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.conformance.rows import cases, row
from flicker_dagster_tests.orchestration.built import definitions_of, job_of, settings_of

cases(
    {"run_config_moves_state": "who starts a run may name the directories it writes to, and have everything sent again"}
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


def _ops(job: dg.JobDefinition) -> list[dg.OpDefinition]:
    return [node for node in job.all_node_defs if isinstance(node, dg.OpDefinition)]
