"""Loading a configuration: the file where a code location loads itself, the text that was kept then everywhere else."""

from __future__ import annotations

import logging
import os

from flicker_dagster.config.file_text import read_file_text
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.errors import ConfigError
from flicker_dagster.orchestration.applied import DIGEST_VAR, AppliedConfig, digest_of
from flicker_dagster.orchestration.settings import Settings

log = logging.getLogger("flicker.applied")

#: Under this key, and the digest of the file's path, a code location hands the digest of its text to its runs.
_KEY = "flicker/config"


def text_to_load(settings: Settings) -> str:
    """The text from which this process is to build its definitions. Raises ConfigError where there is none.

    A run worker takes the text that its run was asked for with, or what is in force where that is no longer kept. Whoever
    loads for the first time takes what its starter names, else the file.
    """
    from flicker_dagster.orchestration import internals  # not for those who only check a text: Dagster takes long

    applied = AppliedConfig(settings.work_dir, settings.config_path)
    given = internals.handed_over(_key(applied))
    text = applied.text(given or os.environ.get(DIGEST_VAR))
    if text is None and given:
        text = applied.text(applied.in_force())
    return read_file_text(settings.config_path) if text is None else text


def load_text(settings: Settings, text: str) -> FlickerConfig:
    """The configuration of a text, told of as the file's. Raises ConfigError."""
    return parse_config(text, path=settings.config_path)


def hand_over(settings: Settings, text: str) -> None:
    """A valid text was loaded: a code location puts it in force, and its runs will load the same."""
    from flicker_dagster.orchestration import internals

    applied = AppliedConfig(settings.work_dir, settings.config_path)
    digest = digest_of(text)
    if internals.initializes():
        try:
            applied.keep(text)
            applied.put_in_force(digest)
        except OSError as error:  # then runs read the file itself
            log.warning("%s cannot be written: %s", applied.directory, error.strerror)
    internals.hand_over(_key(applied), digest)


def load_or_last_good(settings: Settings) -> tuple[FlickerConfig, str | None]:
    """For commands that look at an installation: the file's configuration; where that has a fault, the one in force and
    the fault in one line. Raises ConfigError where there is none in force either."""
    try:
        return load_text(settings, read_file_text(settings.config_path)), None
    except ConfigError as error:
        applied = AppliedConfig(settings.work_dir, settings.config_path)
        text = applied.text(applied.in_force())
        if text is None:
            raise
        return load_text(settings, text), fault_in_one_line(error)


def _key(applied: AppliedConfig) -> str:
    return f"{_KEY}/{applied.directory.name}"


def fault_in_one_line(error: ConfigError) -> str:
    """What is wrong with an edited file, and what that means for a Flicker that runs."""
    more = len(error.problems) - 1
    others = f" (and {more} more, see flicker --validate)" if more else ""
    return f"{error.problems[0]}{others}; nothing is changed: the last configuration that loaded stays in force"
