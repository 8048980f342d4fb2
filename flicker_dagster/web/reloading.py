"""The UI's button "reload", where Flicker's supervisor follows the configuration's file by itself: it tells a fault of the
file, and waits until what the file holds is in force."""

from __future__ import annotations

import os
import time

from flicker_dagster.config.file_text import read_file_text
from flicker_dagster.errors import ConfigError, ReloadRefused
from flicker_dagster.orchestration.applied import AppliedConfig, digest_of
from flicker_dagster.orchestration.load_applied import fault_in_one_line, load_text
from flicker_dagster.orchestration.run_socket import START_VAR
from flicker_dagster.orchestration.settings import Settings

#: A new code server takes some seconds to start.
WAIT_S = 30.0
LOOK_S = 0.2


def is_supervised() -> bool:
    """Was this process started by `flicker`? In a Dagster of somebody's own, "reload" is Dagster's."""
    return START_VAR in os.environ


def await_config(settings: Settings) -> None:
    """Return when the file's content is in force. Raises ReloadRefused, in one line, where that will not be."""
    try:
        text = read_file_text(settings.config_path)
        load_text(settings, text)
    except ConfigError as error:
        raise ReloadRefused(fault_in_one_line(error)) from None
    applied, digest = AppliedConfig(settings.work_dir, settings.config_path), digest_of(text)
    deadline_s = time.monotonic() + WAIT_S
    while applied.in_force() != digest:
        if time.monotonic() >= deadline_s:
            raise ReloadRefused(
                f"{settings.config_path}: not in force after {WAIT_S:g} s; see the log of flicker for what keeps it"
            )
        time.sleep(LOOK_S)
