"""The resource that gives a run its state: paths only, so that nothing secret is stored with a run."""

from __future__ import annotations

import dagster as dg

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.work import SourceWork


class FlickerState(dg.ConfigurableResource):
    """Where registry, ledger, dead letters and spool live; see `Settings` for the environment behind it."""

    config_path: str
    registry_file: str | None = None
    state_dir: str
    work_dir: str

    @classmethod
    def of(cls, settings: Settings) -> FlickerState:
        return cls(
            config_path=settings.config_path,
            registry_file=settings.registry_file,
            state_dir=settings.state_dir,
            work_dir=settings.work_dir,
        )

    def settings(self) -> Settings:
        return Settings(
            config_path=self.config_path,
            registry_file=self.registry_file,
            state_dir=self.state_dir,
            work_dir=self.work_dir,
        )

    def work(self, source: SourceConfig) -> SourceWork:
        return SourceWork(source, self.settings().layout())
