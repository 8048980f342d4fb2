"""Options and types of values that several commands share."""

from __future__ import annotations

import time
from typing import Any

import click

from flicker_dagster.cli.elsewhere import Elsewhere
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.settings import (
    CONFIG_VAR,
    DEFAULT_CONFIG,
    DEFAULT_DIR,
    REGISTRY_VAR,
    STATE_VAR,
    VARIABLES,
    WORK_VAR,
    Settings,
)
from flicker_dagster.times import SPAN, start_from_ms

_GIVEN = "flicker.given"


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")


_HELP = {
    CONFIG_VAR: f"The configuration file; default ${CONFIG_VAR}, else {DEFAULT_CONFIG}.",
    REGISTRY_VAR: f"Where positions are mirrored; default ${REGISTRY_VAR}. To run with it needs --track.",
    STATE_VAR: f"Ledger and dead letters; default ${STATE_VAR}, else beside the registry.",
    WORK_VAR: "Local directory for the spool and Dagster's own storage; may be lost without losing an event; default "
    f"${WORK_VAR}, else {DEFAULT_DIR}.",
}
_METAVARS = {CONFIG_VAR: "FILE", REGISTRY_VAR: "PATH|s3://…", STATE_VAR: "DIR|s3://…", WORK_VAR: "DIR"}


def take_settings(command: click.Command, *, but: tuple[str, ...] = ()) -> None:
    """Let a command, and all below it except those named, take `-c`, `--registry-file`, `--state-dir` and `--work-dir`.

    Before and behind a subcommand they mean the same, and the last one given wins. They make up the context's object,
    its `Settings`.
    """
    if isinstance(command, Elsewhere):
        command.when_loaded(take_settings)
        return
    names = [["-c", option] if variable == CONFIG_VAR else [option] for variable, option in VARIABLES.items()]
    options = [
        click.Option(
            [*name, variable],
            metavar=_METAVARS[variable],
            help=_HELP[variable],
            expose_value=False,
            callback=_remember,
        )
        for variable, name in zip(VARIABLES, names, strict=True)
    ]
    command.params = [*options, *command.params]
    for name, below in getattr(command, "commands", {}).items():
        if name not in but:
            take_settings(below)


def given(context: click.Context) -> dict[str, str]:
    """What the command line has given so far, by the names of the variables that say the same."""
    return context.meta.setdefault(_GIVEN, {})


def _remember(context: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        given(context)[str(param.name)] = value
    if context.obj is None or value is not None:
        context.obj = Settings.from_env(given=given(context))


class Moment(click.ParamType):
    """An ISO time, an age such as `2h`, or `now`; stays text, for it is read when the clock is."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            start_from_ms(str(value), int(time.time() * 1000))
        except FlickerError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Span(Moment):
    """An age only: `30m`, `2h` or `7d`."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if SPAN.fullmatch(str(value)) is None:
            self.fail(f"{value!r} is no span of time; expected one such as 30m, 2h or 7d", param, ctx)
        return super().convert(value, param, ctx)


class WebAddress(click.ParamType):
    """The address of a web server, `https://…` or `http://…`."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from flicker_dagster.config.endpoints import endpoint_fault  # brings the HTTP library along

        fault = endpoint_fault(str(value).replace("$", "$$"))
        if fault is not None:
            self.fail(fault, param, ctx)
        return str(value)
