"""The options of the web UI, for `flicker` and for `python -m flicker_dagster.web` alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from flicker_dagster.web.hosts import Authority, parse_allowed

ALLOW_VAR, READ_ONLY_VAR = "FLICKER_ALLOW_HOST", "FLICKER_READ_ONLY"


class HostName(click.ParamType):
    """A name or address, with a port or without; several in an environment variable stand between commas."""

    name = "host"
    envvar_list_splitter = ","

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Authority:
        if isinstance(value, Authority):
            return value
        try:
            return parse_allowed(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def split_envvar_value(self, rv: str) -> list[str]:
        return [part for part in (each.strip() for each in rv.split(self.envvar_list_splitter)) if part]


def web_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--host`, `--port`, `--allow-host` and `--read-only`."""
    for option in (
        click.option(
            "--read-only", is_flag=True, envvar=READ_ONLY_VAR, help="The web UI shows everything and changes nothing."
        ),
        click.option(
            "--allow-host",
            "allow_hosts",
            type=HostName(),
            multiple=True,
            envvar=ALLOW_VAR,
            metavar="NAME[:PORT]",
            help="A further name under which the web UI answers: that of the proxy in front of it. May be repeated.",
        ),
        click.option(
            "--port",
            default=3000,
            show_default=True,
            envvar="FLICKER_PORT",
            type=click.IntRange(1, 65535),
            help="Port of the web UI.",
        ),
        click.option(
            "--host", default="127.0.0.1", show_default=True, envvar="FLICKER_HOST", help="Address of the web UI."
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class WebOptions:
    """Where the web UI is served, to whom, and whether it may change anything."""

    host: str
    port: int
    allow_hosts: tuple[Authority, ...] = ()
    read_only: bool = False

    def environment(self) -> dict[str, str]:
        """What a child process reads of these from its environment; host and port are arguments."""
        return {ALLOW_VAR: ",".join(map(str, self.allow_hosts)), READ_ONLY_VAR: "1" if self.read_only else "0"}
