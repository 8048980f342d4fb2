"""The command over simulated vendors: a directory, the documented configuration pointed at them, and the tokens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from flicker_dagster.cli.demo import TOKENS, demo_config
from flicker_dagster.cli.main import cli
from flicker_dagster.simulator.world import World
from flicker_dagster.state.layout import StateLayout

PROGRAM = "from flicker_dagster.cli.main import main; main()"
HISTORY_S = 3600.0


class Scene:
    """Runs `flicker` with the environment and files of one test."""

    def __init__(self, home: Path, world: World) -> None:
        self.home = home
        self.world = world
        self.env = {**TOKENS, "SIEM_ENDPOINT": world.siem.url, "COLUMNS": "250"}
        self.config_path = home / "config.yaml"
        self.config_path.write_text(demo_config(world))

    def edit(self, name: str, **changes: Any) -> None:
        """Change keys of one source of the configuration."""
        config = yaml.safe_load(self.config_path.read_text())
        source = next(source for source in config["api_sources"] if source["name"] == name)
        source.update(changes)
        self.config_path.write_text(yaml.safe_dump(config, sort_keys=False))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command as a process of its own, as an operator starts it."""
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *self._all(arguments)],
            env=os.environ | self.env,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def invoke(self, *arguments: str) -> Result:
        """The command in this process: quicker, for what needs no process."""
        return CliRunner().invoke(cli, self._all(arguments), env=self.env)

    def layout(self) -> StateLayout:
        """The state that the commands of this scene leave behind."""
        return StateLayout.of(None, self.home / "work", self.home / "work")

    def _all(self, arguments: tuple[str, ...]) -> list[str]:
        return ["-c", str(self.config_path), "--work-dir", str(self.home / "work"), *arguments]


def vendor_tokens() -> dict[str, str]:
    return {
        "okta": TOKENS["OKTA_API_TOKEN"],
        "github": TOKENS["GITHUB_TOKEN"],
        "salesforce": TOKENS["SALESFORCE_TOKEN"],
    }
