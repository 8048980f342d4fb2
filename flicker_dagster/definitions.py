"""The code location: configuration in, Dagster definitions out.

`dagster dev`, `dg dev`, `dagster-webserver` and `dagster-daemon` all load this module. The configuration is
`$FLICKER_CONFIG` (default `config.yaml`); see `orchestration.settings` for the other variables.
"""

from __future__ import annotations

from dagster import Definitions, definitions

from flicker_dagster.config.load import load_config
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.logs import log_to_console
from flicker_dagster.orchestration.settings import Settings


@definitions
def defs() -> Definitions:
    """Build the definitions. Raises ConfigError with one line per fault."""
    log_to_console()
    settings = Settings.from_env()
    return build_definitions(load_config(settings.config_path), settings)
