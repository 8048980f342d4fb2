"""`python -m flicker_dagster.cli.check_config`: is the edited configuration valid?

The supervisor asks in a process of its own, so that it stays small and no text can harm it. A valid text is kept for the
code server that is to load it, and so is which sources it collects; a fault, and state of sources that are no longer
configured, are told in one line each. Exit 0, or 2 for a fault.
"""

from __future__ import annotations

import logging
import sys

from flicker_dagster.cli.leftovers import tell_at_start
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
        config = load_text(settings, text)
    except ConfigError as error:
        log.warning("%s", fault_in_one_line(error))
        return EXIT_FAULT
    applied = AppliedConfig(settings.work_dir, settings.config_path)
    before = applied.text(applied.in_force())
    applied.put_checked(applied.keep(text))
    tell_at_start(settings, config, before=None if before is None else load_text(settings, before))
    return 0


if __name__ == "__main__":
    log_to_console()
    sys.exit(check(Settings.from_env()))
