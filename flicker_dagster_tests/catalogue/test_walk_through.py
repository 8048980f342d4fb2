"""docs/adding-a-vendor.md, done word for word: its two files are all that a vendor needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import flicker_dagster

PACKAGE = Path(flicker_dagster.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "adding-a-vendor.md").read_text()

ROWS = """
import tempfile
from pathlib import Path
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.catalogue.rows import ROWS
from flicker_dagster_tests.catalogue.scenes import scene_of
from flicker_dagster_tests.catalogue.test_matrix import SKEWS_S, cells

siem = Receiver()
for vendor, stream, row in cells():
    if vendor == "globex":
        siem.forget()
        with scene_of(Path(tempfile.mkdtemp()), siem, vendor, stream, skew_s=SKEWS_S.get(row, 0.0)) as scene:
            ROWS[row][0](scene)
        print(row)
siem.close()
"""


@pytest.fixture(scope="module")
def with_globex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with the page's two files in it, where the page says."""
    root = tmp_path_factory.mktemp("globex")
    shutil.copytree(
        PACKAGE, root / PACKAGE.name, copy_function=os.symlink, ignore=shutil.ignore_patterns("__pycache__")
    )
    for language, ending in (("yaml", "yaml"), ("python", "py")):
        [block] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
        [place] = re.findall(rf"`(flicker_dagster/[a-z_/]+/globex\.{ending})`", PAGE)
        (root / place).write_text(block)
    return root


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{PACKAGE.parent}", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *command], cwd=root, env=env, capture_output=True, text=True, timeout=200, check=False
    )


def test_it_passes_every_row(with_globex: Path) -> None:
    done = run(with_globex, "-c", ROWS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"plain", "late", "ties", "cut", "expired cursor", "empty page", "kill", "sweep"} <= set(
        done.stdout.splitlines()
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["vendors"], "Globex audit log"),
        (["vendors", "show", "globex"], "docs.globex.example"),
        (["schema"], '"globex"'),
        (["-c", "c.yaml", "add", "globex", "--param", "tenant=acme", "--param", "token=GLOBEX_TOKEN", "--destination",
          "stdout"], "vendor: globex"),
    ],
)  # fmt: skip
def test_the_commands_know_it(with_globex: Path, command: list[str], said: str) -> None:
    done = run(with_globex, "-c", "from flicker_dagster.cli.main import main; main()", *command)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_its_dialect_is_in_the_projects_style(with_globex: Path) -> None:
    ruff = str(Path(sys.executable).with_name("ruff"))
    config = str(PACKAGE.parent / "pyproject.toml")
    file = str(with_globex / "flicker_dagster/simulator/vendors/globex.py")
    assert subprocess.run([ruff, "check", "--config", config, file], check=False).returncode == 0
    assert subprocess.run([ruff, "format", "--check", "--config", config, file], check=False).returncode == 0
