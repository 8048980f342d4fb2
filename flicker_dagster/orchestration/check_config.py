"""`python -m flicker_dagster.orchestration.check_config`: is the edited configuration valid?

The supervisor asks in a process of its own, so that it stays small and no text can harm it. A valid text is kept for the
code server that is to load it; a fault is told in one line. Exit 0, or 2 for a fault.
"""

from __future__ import annotations

import logging
import sys

from flicker_dagster.config.file_text import read_file_text
from flicker_dagster.errors import ConfigError
from flicker_dagster.orchestration.applied import AppliedConfig
from flicker_dagster.orchestration.load_applied import fault_in_one_line, load_text
from flicker_dagster.orchestration.logs import log_to_console
from flicker_dagster.orchestration.settings import Settings

log = logging.getLogger("flicker.config")

EXIT_FAULT = 2


def check(settings: Settings) -> int:
    """Read the file, and keep its text if it is valid. Raises OSError where that cannot be written."""
    try:
        text = read_file_text(settings.config_path)
        load_text(settings, text)
    except ConfigError as error:
        log.warning("%s", fault_in_one_line(error))
        return EXIT_FAULT
    applied = AppliedConfig(settings.work_dir, settings.config_path)
    applied.put_checked(applied.keep(text))
    return 0


if __name__ == "__main__":
    log_to_console()
    sys.exit(check(Settings.from_env()))
