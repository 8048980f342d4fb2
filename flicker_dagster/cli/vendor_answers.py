"""Answers to what a vendor needs to be told: given by options, or asked for. Secrets are named, never typed: what is taken is
the variable that holds one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from flicker_dagster.cli.guide_text import console, heading, prose
from flicker_dagster.config.explain import one_of, suggestion
from flicker_dagster.config.secrets import REFERENCE, references
from flicker_dagster.config.vendor_blocks import params_needed, usual_streams, variable_of, ways_to_sign
from flicker_dagster.config.vendors import Param, Preset

#: A destination that needs nothing, for a first look.
STDOUT = "stdout"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def can_ask() -> bool:
    """Is there a person at the other end?"""
    return sys.stdin.isatty()


# -- what is given by options


def params_given(preset: Preset, texts: Sequence[str]) -> dict[str, str]:
    """Raises UsageError."""
    given: dict[str, str] = {}
    for name, value in (_param_given(preset, text) for text in texts):
        if given.setdefault(name, value) != value:
            raise click.UsageError(f"--param {name}: given twice, as {given[name][:100]!r} and as {value[:100]!r}")
    return given


def _param_given(preset: Preset, text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise click.UsageError(f"--param {name[:100]!r}: expected NAME=VALUE")
    if name not in preset.params:
        expected = (
            f"expected {one_of(preset.params)}{suggestion(name, preset.params)}" if preset.params else "it has none"
        )
        raise click.UsageError(f"--param {name[:100]!r} is no parameter of {preset.vendor}; {expected}")
    return name, _checked(preset, name, value, lambda words: click.UsageError(f"--param {name}: {words}"))


def _checked(preset: Preset, name: str, value: str, wrong: Callable[[str], click.UsageError]) -> str:
    """A value of the right form; of a secret, a reference to it. Raises what `wrong` makes of the reason."""
    param, value = preset.params[name], value.strip()
    if param.secret:
        found = _reference(value)
        if found is None:
            variable = variable_of(preset, name)
            raise wrong(
                f"is a secret: give the name of the environment variable that holds it, such as {variable}, not itself"
            )
        return found
    if not value:
        raise wrong(f"is empty, expected {param.description}")
    if param.pattern is not None and not references(value) and re.fullmatch(param.pattern, value) is None:
        such_as = f" such as {param.example}" if param.example else ""
        raise wrong(f"{value[:100]!r} is of another form, expected {param.description}{such_as}")
    return value


def _reference(text: str) -> str | None:
    """A whole reference, or one to the variable of that name. Capitals and digits alone may be a key, and are no name unless
    there is such a variable."""
    found = REFERENCE.fullmatch(text)
    if found is not None:
        return text if text != "$$" and found["default"] is None else None
    named = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) is not None
    likely = re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", text) is not None
    return f"${{{text}}}" if named and (likely or text in os.environ) else None


def refuse_unknown_streams(preset: Preset, streams: Sequence[str]) -> None:
    for each in streams:
        if each not in preset.streams:
            known = list(preset.streams)
            expected = (
                f"; expected {one_of(known)}{suggestion(each, known)}" if known else ": it is its own only stream"
            )
            raise click.UsageError(f"--stream {each[:100]!r} is no stream of {preset.vendor}{expected}")


def refuse_missing(preset: Preset, chosen: list[str], given: dict[str, str], destination: str | None) -> None:
    """Without a person to ask, everything that is missing at once."""
    missing = [
        f"--param {name}={variable_of(preset, name) if param.secret else param.example or '…'} ({param.description})"
        for name in params_needed(preset, chosen, given)
        if name not in given and (param := preset.params[name]).required
    ]
    missing += [] if destination else ["--destination NAME (a name under destinations, or stdout)"]
    if missing:
        raise click.UsageError(f"standard input is no terminal, and nobody can be asked; give {'; '.join(missing)}")


def checked_name(name: str, known: dict[str, Any]) -> str:
    if _NAME.fullmatch(name) is None:
        raise click.UsageError(f"--name {name[:100]!r}: expected letters, digits, - and _")
    if name in _names(known):
        raise click.UsageError(f"--name {name!r}: there is a source of that name already")
    return name


def target_of(destination: str | None, known: dict[str, Any], *, asking: bool) -> Any:
    """What the block says of its destination. Raises UsageError."""
    named = list(known.get("destinations") or {})
    if destination is None and asking:
        destination = _ask_destination(named)
    if destination in named:
        return destination
    if destination == STDOUT:
        return {"type": STDOUT}
    expected = one_of([*named, STDOUT])
    raise click.UsageError(
        f"--destination {destination!r} is none of this configuration; expected {expected}"
        f"{suggestion(destination, named)}. `flicker destinations` lists what there is"
    )


# -- what is asked


def free_name(preset: Preset, known: dict[str, Any], *, asking: bool) -> str:
    usual, taken, number = preset.vendor.replace("_", "-"), _names(known), 1
    name = usual
    while name in taken:
        number += 1
        name = f"{usual}-{number}"
    return (
        click.prompt("Name of the source", default=name, value_proc=lambda text: _or_again(text, known))
        if asking
        else name
    )


def _or_again(text: str, known: dict[str, Any]) -> str:
    try:
        return checked_name(text.strip(), known)
    except click.UsageError as error:
        raise click.UsageError(error.message.removeprefix("--name ")) from None


def _names(known: dict[str, Any]) -> set[str]:
    return {str(each.get("name")) for each in known.get("api_sources") or [] if isinstance(each, dict)}


def ask_streams(preset: Preset) -> list[str]:
    if not preset.streams:
        return []
    screen, usual = console(), usual_streams(preset)
    heading(screen, "Streams")
    widest = max(map(len, preset.streams))
    for name, stream in preset.streams.items():
        click.echo(f"  {'*' if name in usual else ' '} {name:<{widest}}  {stream.title}")

    def chosen(text: str) -> list[str]:
        names = list(preset.streams) if text.strip() == "all" else [each for each in re.split(r"[\s,]+", text) if each]
        if text.strip() == "usual":
            names = usual
        refuse_unknown_streams(preset, names)
        return names or usual

    return click.prompt("Which, with commas between (usual: those with *; all)", default="usual", value_proc=chosen)


def ask_way(preset: Preset, given: dict[str, str]) -> dict[str, str]:
    """Where there are several ways to sign, which one: the first of its parameters, asked for already."""
    ways = ways_to_sign(preset)
    if len(ways) < 2 or any(name in given for way in ways for name in way):
        return {}
    heading(console(), "Ways to sign")
    for number, way in enumerate(ways, 1):
        click.echo(f"  {number}  by {', '.join(way)}")
    chosen = click.prompt("Which", default=1, type=click.IntRange(1, len(ways)))
    only = [name for name in ways[chosen - 1] if name not in ways[0]]
    value = ask_param(preset, only[0]) if only else None
    return {only[0]: value} if value is not None else {}


def ask_param(preset: Preset, name: str) -> str | None:
    """A value, or None for the default, or for none where it is optional."""
    param = preset.params[name]
    screen = console()
    screen.print()
    such_as = f", such as {param.example}" if param.example and not param.secret else ""
    prose(screen, f"`{name}`: {param.description}{such_as}", first="", indent="  ")
    label = "Environment variable that holds it" if param.secret else name
    label += " (empty for none)" if param.optional else ""
    default = _shown_default(preset, name, param)
    unset = "" if param.optional else None if param.default is None else str(param.default)

    def checked(text: str) -> str:
        if text == unset:
            return text
        return _checked(preset, name, text, lambda words: click.UsageError(f"{name} {words}"))

    value = click.prompt(label, default=default, show_default=bool(default), value_proc=checked)
    return None if value == unset else value


def _shown_default(preset: Preset, name: str, param: Param) -> str | None:
    if param.optional:
        return ""
    if param.secret:
        reference = variable_of(preset, name)
        return reference.removeprefix("${").removesuffix("}") if ":" not in reference else reference
    return None if param.default is None else str(param.default)


def _ask_destination(named: list[str]) -> str:
    screen = console()
    screen.print()
    click.echo(
        f"Destinations of this configuration: {', '.join(named) or 'none yet'}; stdout prints events for a look."
    )

    def checked(text: str) -> str:
        if text.strip() not in (*named, STDOUT):
            raise click.UsageError(f"expected {one_of([*named, STDOUT])}")
        return text.strip()

    return click.prompt("Destination", default=named[0] if named else STDOUT, value_proc=checked)
