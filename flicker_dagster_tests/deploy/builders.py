"""Where the files of packaging and deployment lie, and how tests read them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"

#: The variables of Flicker's documented deployment, which an operator's secret store already holds.
DOCUMENTED_VARIABLES = {
    "OKTA_API_TOKEN",
    "GITHUB_TOKEN",
    "SALESFORCE_TOKEN",
    "SIEM_ENDPOINT",
    "SIEM_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
}
#: The configuration of that deployment, as the package has it for the demo.
DOCUMENTED_CONFIG = ROOT / "flicker_dagster" / "cli" / "example.yaml"
MAKE_VARIABLES = {"MAKELEVEL", "MAKEFLAGS", "MFLAGS"}

DOCUMENTED_ARGUMENTS = [
    "-c",
    "/config/config.yaml",
    "--track",
    "--registry-file",
    "s3://company-logs/flicker-registry.json",
]


def load_yaml(path: Path) -> list[Any]:
    """The documents of a YAML file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def run(*command: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A finished process with what it said; a non-zero exit code is for the test to judge.

    Without the variables of the `make` that may run these tests: a make started from them would take itself for its child.
    """
    env = {name: value for name, value in (env or os.environ).items() if name not in MAKE_VARIABLES}
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, timeout=100, check=False)


def tool(name: str) -> str:
    """A developers' tool installed beside this interpreter."""
    return str(Path(sys.executable).with_name(name))
