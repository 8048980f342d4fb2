"""The code location: configuration in, Dagster definitions out.

`dagster dev`, `dg dev`, `dagster-webserver` and `dagster-daemon` all load this module. The configuration is
`$FLICKER_CONFIG` (default `config.yaml`); see `orchestration.settings` for the other variables.
"""

from __future__ import annotations

from pathlib import Path

from dagster import Definitions, definitions

from flicker_dagster.config.load import load_config
from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.logs import log_to_console
from flicker_dagster.orchestration.settings import Settings

#: The last definitions built, with what they were built from. A forked run finds them here; a changed file does not.
_built: tuple[tuple[Settings, bytes], Definitions] | None = None


@definitions
def defs() -> Definitions:
    """Build the definitions, once for each content of the configuration. Raises ConfigError, one line per fault."""
    global _built
    log_to_console()
    settings = Settings.from_env()
    path = Path(settings.config_path)
    key = (settings, path.read_bytes() if path.is_file() else b"")
    if _built is None or _built[0] != key:
        _built = (key, build_definitions(load_config(settings.config_path), settings))
    return _built[1]
