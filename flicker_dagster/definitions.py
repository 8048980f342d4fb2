"""The code location: configuration in, Dagster definitions out.

`dagster dev`, `dg dev`, `dagster-webserver` and `dagster-daemon` all load this module. The configuration is
`$FLICKER_CONFIG` (default `config.yaml`); see `orchestration.settings` for the other variables. The file is read when
Dagster loads the code location, anew or for the first time; runs go by what was read then, whatever the file says now.
"""

from __future__ import annotations

from dagster import Definitions, definitions

from flicker_dagster.orchestration.factory import build_definitions
from flicker_dagster.orchestration.load_applied import hand_over, load_text, text_to_load
from flicker_dagster.orchestration.logs import log_to_console
from flicker_dagster.orchestration.settings import Settings

#: The last definitions built, with what they were built from. A forked run finds them here.
_built: tuple[tuple[Settings, str], Definitions] | None = None


@definitions
def defs() -> Definitions:
    """Build the definitions, once for each content of the configuration. Raises ConfigError, one line per fault."""
    global _built
    log_to_console()
    settings = Settings.from_env()
    text = text_to_load(settings)
    if _built is None or _built[0] != (settings, text):
        _built = ((settings, text), build_definitions(load_text(settings, text), settings))
    hand_over(settings, text)
    return _built[1]
