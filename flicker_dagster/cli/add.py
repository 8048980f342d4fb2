"""`flicker add VENDOR`: asks for what a vendor needs, writes the block into the configuration, and tests it. Secrets are named,
never typed: what is asked for is the variable that holds one."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from flicker_dagster.cli.guide_text import console, heading, prose
from flicker_dagster.cli.vendor_answers import (
    ask_param,
    ask_streams,
    ask_way,
    can_ask,
    checked_name,
    free_name,
    params_given,
    refuse_missing,
    refuse_unknown_streams,
    target_of,
)
from flicker_dagster.cli.vendors import preset_named
from flicker_dagster.config.appending import CannotAppend, appended
from flicker_dagster.config.file_text import read_file_text
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.secrets import unset_variables
from flicker_dagster.config.vendor_blocks import block_of, params_needed, usual_streams
from flicker_dagster.config.vendors import Preset
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.config.yaml_lines import Document
from flicker_dagster.errors import ConfigError
from flicker_dagster.orchestration.settings import Settings

_BOM = b"\xef\xbb\xbf"


@click.command("add")
@click.argument("vendor")
@click.option("--name", help="What the source is called; default after the vendor.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; of a secret, its variable.")
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="A stream to collect; default the usual ones.")
@click.option("--destination", help="A name under destinations, or stdout.")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--no-test", is_flag=True, help="Do not ask the vendor.")
@click.pass_obj
def add(
    settings: Settings,
    vendor: str,
    name: str | None,
    params: tuple[str, ...],
    streams: tuple[str, ...],
    destination: str | None,
    yes: bool,
    no_test: bool,
) -> None:
    """Ask for what VENDOR needs, write a source into the configuration, and test it.

    What is given by options is not asked for. Secrets are given by the names of their environment variables.
    """
    preset = preset_named(vendor)
    _refuse_unwritable(settings.config_path)
    text = _text_of(settings.config_path)
    known = _known(text, settings.config_path)
    given = params_given(preset, params)
    refuse_unknown_streams(preset, streams)
    asking = can_ask()
    chosen = list(streams) or (ask_streams(preset) if asking else usual_streams(preset))
    if not asking:
        refuse_missing(preset, chosen, given, destination)
    name = checked_name(name, known) if name else free_name(preset, known, asking=asking)
    given |= ask_way(preset, given) if asking else {}
    for each in params_needed(preset, chosen, given) if asking else []:
        if each not in given:
            value = ask_param(preset, each)
            given |= {} if value is None else {each: value}
    target = target_of(destination, known, asking=asking)
    block = block_of(preset, name=name, given=given, streams=chosen, destination=target)
    new = _validated(text, block, settings.config_path, preset)
    if asking and not yes:
        heading(console(), f"To be added to {settings.config_path}")
        click.echo(block)
        if not click.confirm("Write it?", default=True):
            raise click.Abort
        _write(settings.config_path, new)
    else:
        _write(settings.config_path, new)
        heading(console(), f"Added to {settings.config_path}")
        click.echo(block)
    config = parse_config(new, path=settings.config_path)
    sys.exit(_tested(settings, config, name, no_test=no_test))


# -- the file


def _refuse_unwritable(path: str) -> None:
    """Before anybody is asked for anything. Raises UsageError."""
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise click.UsageError(f"{path}: there is no folder {target.parent}; make it, or name another file with -c")
    held = target if target.exists() else target.parent
    if not os.access(held, os.W_OK):
        raise click.UsageError(
            f"{path}: {held} may not be written by this user; `flicker vendors show` has blocks to paste"
        )


def _text_of(path: str) -> str:
    return read_file_text(path) if os.path.lexists(path) else ""


def _known(text: str, path: str) -> dict[str, Any]:
    """The configuration so far, as plain data. Raises ConfigError: what is wrong already is mended first."""
    if not text.strip() or not (data := Document(text).data):
        return {}
    if not data.get("api_sources") if isinstance(data, dict) else True:
        return data if isinstance(data, dict) else {}
    parse_config(text, path=path)
    return data


def _validated(text: str, block: str, path: str, preset: Preset) -> str:
    """The new text. Raises ConfigError where the loader does not take it, and ClickException with the block where nothing can
    be added to the file."""
    try:
        new = appended(text, block)
    except CannotAppend as error:
        click.echo(block)
        raise click.ClickException(f"{path}: {error}; paste the block above below api_sources yourself") from None
    try:
        parse_config(new, path=path)
    except ConfigError as error:
        raise ConfigError([*error.problems, f"{path}: nothing was written; {preset.vendor} was not added"]) from None
    return new


def _write(path: str, text: str) -> None:
    """In place of the old one at once, links followed: a Flicker that runs sees the old file or the new one."""
    target = Path(os.path.realpath(path))
    data = text.encode("utf-8")
    if not target.exists():
        target.write_bytes(data)
        return
    old = target.stat()
    data = _BOM + data if target.read_bytes().startswith(_BOM) else data
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError:  # a file that may be written in a folder that may not
        target.write_bytes(data)
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, old.st_mode & 0o7777)
        os.replace(name, target)
    except OSError:  # such as a file that is mounted by itself into a container
        target.write_bytes(data)
        Path(name).unlink(missing_ok=True)


def _tested(settings: Settings, config: FlickerConfig, name: str, *, no_test: bool) -> int:
    """Say what comes next, or ask the vendor; the exit code."""
    screen = console()
    own = config.model_copy(update={"sources": [each for each in config.sources if each.source_name == name]})
    unset = unset_variables(own, os.environ)
    for line in unset:
        click.echo(line, err=True)
    if unset:
        prose(screen, f"Set them where Flicker runs, then `flicker test {name}`.", first="", indent="")
        return 0
    if no_test:
        prose(screen, f"`flicker test {name}` asks the vendor once.", first="", indent="")
        return 0
    from flicker_dagster.cli.try_source import try_sources

    return try_sources(settings, name, as_json=False)
