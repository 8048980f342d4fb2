"""`flicker vendors`: whose audit logs can be collected by name, and what one needs. From the presets; no configuration."""

from __future__ import annotations

import re
from typing import Any

import click
from rich import box
from rich.table import Table

from flicker_dagster.cli.guide_text import bullets, console, defined, heading, numbered, prose
from flicker_dagster.cli.options import json_option
from flicker_dagster.cli.tables import show_json
from flicker_dagster.config.explain import one_of, suggestion
from flicker_dagster.config.vendor_blocks import block_of
from flicker_dagster.config.vendor_facts import Facts, facts_of
from flicker_dagster.config.vendor_guides import how_collected, page_path, steps_of, streams_of_guide
from flicker_dagster.config.vendors import Preset, left_out, presets

COLUMNS = ("vendor", "title", "streams", "auth", "kept", "lag", "axis")

#: A shorter word is in too many names.
SHORTEST_WORD = 4

#: A table is no wider, however wide the terminal is.
WIDEST_TABLE = 120


@click.group("vendors", invoke_without_command=True)
@json_option
@click.pass_context
def vendors(context: click.Context, as_json: bool) -> None:
    """Whose audit logs can be collected by name; `show NAME` says what one needs. Works without a configuration."""
    if context.invoked_subcommand is not None:
        return
    if as_json:
        show_json({"vendors": [summary(preset) for preset in known()], "left_out": left_out()})
        return
    show_list()


@vendors.command()
@click.argument("vendor", metavar="NAME")
@json_option
def show(vendor: str, as_json: bool) -> None:
    """What to create there, least rights, a block to paste, streams, limits, what comes how late."""
    preset = preset_named(vendor)
    if as_json:
        show_json(document(preset))
    else:
        show_guide(preset)


def known() -> list[Preset]:
    """All presets by name."""
    return [preset for _, preset in sorted(presets().items())]


def preset_named(vendor: str) -> Preset:
    """The preset of that name. Raises UsageError."""
    preset = presets().get(vendor)
    if preset is None:
        _refuse_if_left_out(vendor)
        near = suggestion(vendor, presets()) or _with_the_word(vendor)
        meant = near or "; `flicker vendors` lists them"
        raise click.UsageError(
            f"no vendor {vendor[:100]!r}{meant}; for an API that has no preset there is `flicker infer URL`"
        )
    return preset


def _refuse_if_left_out(vendor: str) -> None:
    """Raise UsageError with the reason why a vendor has no preset."""
    for name, why in left_out().items():
        if name.lower().replace(" ", "") == vendor.lower().replace(" ", "").replace("_", "").replace("-", ""):
            raise click.UsageError(f"{name} is left out: {' '.join(why.split())}")


def _with_the_word(word: str) -> str:
    """` (did you mean …)` where names or titles of presets hold the word, else nothing."""
    found = [each.vendor for each in known() if word.casefold() in f"{each.vendor} {each.title}".casefold()]
    return f" (did you mean {one_of(found)}?)" if len(word) >= SHORTEST_WORD and found else ""


def show_list() -> None:
    """All vendors in one table of the terminal's width, 80 columns at least."""
    screen = console()
    wide = max(80, min(screen.width, WIDEST_TABLE))
    table = Table(box=box.SIMPLE_HEAD, width=wide, pad_edge=False, collapse_padding=True)
    widths = {"kept": 6, "lag": 6, "axis": 7} | ({"auth": 9} if wide < 96 else {})
    for column in COLUMNS:
        table.add_column(
            column,
            no_wrap=column in ("vendor", "streams"),
            overflow="fold",
            justify="right" if column == "streams" else "left",
            width=widths.get(column),
            ratio=1 if column == "title" else None,
            style="bold" if column == "vendor" and screen.is_terminal else "",
        )
    for preset in known():
        table.add_row(*row_of(preset, facts_of(preset)))
    screen.print(table)
    heading(screen, "Left out")
    for vendor, why in left_out().items():
        prose(screen, f"{vendor}: {' '.join(why.split())}", first="  - ", indent="    ")
    screen.print()
    prose(
        screen,
        "`flicker vendors show NAME` says what to create there, with a block to paste; the page is "
        f"`{page_path('NAME')}`. `flicker add NAME` asks for what is needed, writes the block and tests it. Kept is for how "
        "long the vendor has events; lag, how long a window is left for late ones before it is verified; axis, what "
        "the API lists by: when events happened, or when they arrived.",
        first="",
        indent="",
    )


def row_of(preset: Preset, facts: Facts) -> tuple[str, ...]:
    return (preset.vendor, preset.title, str(facts.streams), facts.auth, facts.retention, facts.lag, facts.axis)


def show_guide(preset: Preset) -> None:
    """One vendor's guide, in the order in which a person needs it."""
    screen = console()
    prose(screen, f"{preset.title}   `vendor: {preset.vendor}`", first="", indent="")
    if preset.create:
        heading(screen, "What to create there")
        numbered(screen, tuple(map(plain, steps_of(preset.create))))
    if preset.rights:
        heading(screen, "Least rights")
        bullets(screen, tuple(map(plain, preset.rights)))
    heading(screen, "Block to paste into config.yaml")
    click.echo("api_sources:")
    for line in block_of(preset).splitlines():
        click.echo(f"  {line}")
    screen.print()
    prose(
        screen,
        f"`flicker add {preset.vendor}` writes it for you; `flicker test NAME` asks once and says what is missing.",
    )
    streams = streams_of_guide(preset)
    if preset.streams:
        heading(screen, "Streams")
        for each in streams:
            defined(screen, each.name, each.title if each.usual else f"{each.title}; only where it is named")
    heading(screen, "How it is collected")
    for label, words in how_collected(streams[0].source):
        prose(screen, words, first=f"  {label:<11}", indent=" " * 13)
    for title, words in (("Limits", preset.limits), ("What comes how late", preset.lag)):
        if words:
            heading(screen, title)
            prose(screen, plain(words))
    if preset.notes:
        heading(screen, "Good to know")
        bullets(screen, tuple(map(plain, preset.notes)))
    if preset.traps:
        heading(screen, "Where it goes wrong without the preset")
        for key, words in preset.traps.items():
            defined(screen, f"`{key}`" if key else "in general", plain(words))
    screen.print()
    prose(
        screen,
        f"The vendor's documentation: {preset.docs}. The page is `{page_path(preset.vendor)}`.",
        first="",
        indent="",
    )


def plain(words: str) -> str:
    """Words of a preset on one line, without Markdown's emphasis; code keeps its marks."""
    return _EMPHASIS.sub(r"\2", " ".join(words.split()))


#: `*so*` and `**so**`, outside of code.
_EMPHASIS = re.compile(r"(?<![\w*`])(\*{1,2})(?=\w)([^*`]*[^*`\s])\1(?![\w*`])")


def summary(preset: Preset) -> dict[str, Any]:
    facts = facts_of(preset)
    return {
        "vendor": preset.vendor,
        "title": preset.title,
        "streams": facts.streams,
        "auth": facts.auth,
        "retention": facts.retention or None,
        "lag": facts.lag,
        "axis": facts.axis,
        "documented": page_path(preset.vendor),
    }


def document(preset: Preset) -> dict[str, Any]:
    return summary(preset) | {
        "docs": preset.docs,
        "create": steps_of(preset.create),
        "rights": preset.rights,
        "block": block_of(preset),
        "params": {
            name: {
                "description": param.description,
                "example": param.example or None,
                "default": param.default,
                "pattern": param.pattern,
                "secret": param.secret,
                "optional": param.optional,
            }
            for name, param in preset.params.items()
        },
        "streams": [
            {"stream": each.name, "title": each.title, "usual": each.usual} for each in streams_of_guide(preset)
        ],
        "limits": preset.limits,
        "lag_told": preset.lag,
        "notes": preset.notes,
        "traps": preset.traps,
    }
