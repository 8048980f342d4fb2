"""Where the code location finds its configuration and keeps its state: the environment, set by `flicker` or by hand."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flicker_dagster.errors import LocationError
from flicker_dagster.state.locations import checked_location, checked_registry, is_s3

if TYPE_CHECKING:  # the supervisor reads settings, and stays small
    from flicker_dagster.config.models import SourceConfig
    from flicker_dagster.config.whole_file import FlickerConfig
    from flicker_dagster.pipeline.work import SourceWork
    from flicker_dagster.state.layout import StateLayout
    from flicker_dagster.state.owners import Owner

CONFIG_VAR = "FLICKER_CONFIG"
REGISTRY_VAR = "FLICKER_REGISTRY_FILE"
STATE_VAR = "FLICKER_STATE_DIR"
WORK_VAR = "FLICKER_WORK_DIR"

#: Each with the option of `flicker` that says the same.
VARIABLES = {
    CONFIG_VAR: "--config",
    REGISTRY_VAR: "--registry-file",
    STATE_VAR: "--state-dir",
    WORK_VAR: "--work-dir",
}

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
    def from_env(cls, env: Mapping[str, str] | None = None, *, given: Mapping[str, str] | None = None) -> Settings:
        """The settings of the environment, those that a command line gave by their variables' names above them. Raises
        LocationError naming the option and its variable."""
        env = os.environ if env is None else env
        said = {var: env[var] for var in VARIABLES if env.get(var)} | dict(given or {})
        work_dir = _checked(WORK_VAR, said, partial(checked_location, local_only=True)) or DEFAULT_DIR
        return cls(
            config_path=configured_by_env(said),
            registry_file=_checked(REGISTRY_VAR, said, checked_registry),
            state_dir=_checked(STATE_VAR, said, checked_location) or work_dir,
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

    def owner(self, config: FlickerConfig) -> Owner:
        """This configuration among those that keep their state in the same place."""
        from flicker_dagster.state.owners import Owner

        names = [source.name for source in config.sources]
        return Owner(os.path.abspath(self.config_path), names, config.namespace)

    def layout(self) -> StateLayout:
        from flicker_dagster.state.layout import StateLayout

        return StateLayout.of(registry_file=self.registry_file, state_dir=self.state_dir, work_dir=self.work_dir)

    def work(self, source: SourceConfig) -> SourceWork:
        from flicker_dagster.pipeline.work import SourceWork

        return SourceWork(source, self.layout())


def configured_by_env(env: Mapping[str, str] | None = None) -> str:
    """The path of the configuration that the environment names."""
    return os.path.expanduser((os.environ if env is None else env).get(CONFIG_VAR) or DEFAULT_CONFIG)


def _checked(variable: str, said: Mapping[str, str], check: Callable[[str], str]) -> str | None:
    if variable not in said:
        return None
    try:
        return check(said[variable])
    except LocationError as error:
        raise LocationError(f"{VARIABLES[variable]} ({variable}): {error}") from None


def _absolute(location: str) -> str:
    return location if is_s3(location) else os.path.abspath(location)
