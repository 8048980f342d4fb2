"""What a run costs is mostly imports: nothing heavy is loaded on the way to one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(180)

HEAVY = {"pandas", "numpy", "boto3", "botocore", "dagster_aws", "moto"}
EXAMPLE = Path(__file__).parents[2] / "flicker_dagster" / "cli" / "example.yaml"

BUILD = """
from flicker_dagster.definitions import defs
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
ReconstructableRepository(ModuleCodePointer("flicker_dagster.definitions", "defs")).get_definition()
"""

RUN = """
import tempfile
from pathlib import Path
import dagster as dg
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster_tests.conformance.harness import plain_scene
with tempfile.TemporaryDirectory() as folder, plain_scene(Path(folder)) as scene:
    settings = Settings(state_dir=folder + "/state", work_dir=folder + "/work")
    definitions = build_definitions(FlickerConfig(path="config.yaml", sources=[scene.source]), settings)
    with dg.DagsterInstance.local_temp(folder) as instance:
        job = definitions.resolve_job_def(names.job_name(scene.source.full_name))
        assert job.execute_in_process(instance=instance).success
"""

COMMAND = "import sys; sys.argv[1:] = {!r}; from flicker_dagster.cli.main import main; main()"

#: Opening a store in S3 is what needs boto3; the layout that names it is not.
S3_STORE = """
from flicker_dagster.errors import StateError
from flicker_dagster.state.stores import open_store
store = open_store("s3://bucket/prefix")
try:
    store.read("key")
except StateError:
    pass
"""


def _imported(code: str, folder: Path) -> set[str]:
    """The top-level packages that a program loads, as the interpreter itself reports them."""
    env = {
        **os.environ,
        "FLICKER_CONFIG": str(EXAMPLE),
        "FLICKER_WORK_DIR": str(folder),
        "FLICKER_STATE_DIR": str(folder),
    }
    env |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    env |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}
    env |= dict.fromkeys(re.findall(r"\$\{(\w+)\}", EXAMPLE.read_text()), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], env=env, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {name.split(".")[0] for name in re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)}


@pytest.mark.parametrize("code", [BUILD, RUN], ids=["definitions", "a live run"])
def test_nothing_heavy_is_imported_on_the_way_to_a_run(code: str, tmp_path: Path) -> None:
    imported = _imported(code, tmp_path)
    assert "dagster" in imported, "nothing was measured"
    assert imported & HEAVY == set()


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_load_no_configuration_and_no_command(argument: str, tmp_path: Path) -> None:
    imported = _imported(COMMAND.format([argument]), tmp_path)
    assert "click" in imported, "nothing was measured"
    assert imported & {"pydantic", "yaml", "rich", "requests", "urllib3", "msgspec"} == set()


def test_validate_needs_neither_dagster_nor_anything_heavy(tmp_path: Path) -> None:
    imported = _imported(COMMAND.format(["-c", str(EXAMPLE), "--validate"]), tmp_path)
    assert "flicker_dagster" in imported, "nothing was measured"
    assert imported & (HEAVY | {"dagster"}) == set()


def test_boto3_comes_with_a_store_in_s3(tmp_path: Path) -> None:
    assert "boto3" not in _imported("import flicker_dagster.state.layout", tmp_path)
    assert "boto3" in _imported(S3_STORE, tmp_path)
