"""Where the code location finds its configuration and keeps its state: the environment, set by `flicker` or by hand."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the supervisor reads settings, and stays small
    from flicker_dagster.config.models import SourceConfig
    from flicker_dagster.pipeline.work import SourceWork
    from flicker_dagster.state.layout import StateLayout

CONFIG_VAR = "FLICKER_CONFIG"
REGISTRY_VAR = "FLICKER_REGISTRY_FILE"
STATE_VAR = "FLICKER_STATE_DIR"
WORK_VAR = "FLICKER_WORK_DIR"

DEFAULT_CONFIG = "config.yaml"
DEFAULT_DIR = ".flicker"


@dataclass(frozen=True)
class Settings:
    """Paths only, never a secret. Jobs, sensors and schedules hold them from when they were built: who starts a run can
    neither see nor change them."""

    config_path: str = DEFAULT_CONFIG
    registry_file: str | None = None
    state_dir: str = DEFAULT_DIR
    work_dir: str = DEFAULT_DIR

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        env = os.environ if env is None else env
        work_dir = env.get(WORK_VAR) or DEFAULT_DIR
        return cls(
            config_path=configured_by_env(env),
            registry_file=env.get(REGISTRY_VAR) or None,
            state_dir=env.get(STATE_VAR) or work_dir,
            work_dir=work_dir,
        )

    def to_env(self) -> dict[str, str]:
        """The same settings for a child process, paths made absolute so that its working directory does not matter."""
        env = {
            CONFIG_VAR: os.path.abspath(self.config_path),
            STATE_VAR: _absolute(self.state_dir),
            WORK_VAR: os.path.abspath(self.work_dir),
        }
        if self.registry_file is not None:
            env[REGISTRY_VAR] = _absolute(self.registry_file)
        return env

    def place(self) -> str:
        """A few letters that tell where the state lies, for names that are needed before anything is read."""
        location = _absolute(self.registry_file or self.state_dir)
        return hashlib.blake2b(location.encode(), digest_size=4).hexdigest()

    def layout(self) -> StateLayout:
        from flicker_dagster.state.layout import StateLayout

        return StateLayout.of(registry_file=self.registry_file, state_dir=self.state_dir, work_dir=self.work_dir)

    def work(self, source: SourceConfig) -> SourceWork:
        from flicker_dagster.pipeline.work import SourceWork

        return SourceWork(source, self.layout())


def configured_by_env(env: Mapping[str, str] | None = None) -> str:
    """The path of the configuration that the environment names."""
    return (os.environ if env is None else env).get(CONFIG_VAR) or DEFAULT_CONFIG


def _absolute(location: str) -> str:
    return location if location.startswith("s3://") else os.path.abspath(location)
