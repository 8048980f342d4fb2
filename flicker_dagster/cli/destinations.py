"""`flicker destinations`: what events can be delivered to, and what one needs. From the records' guides; no configuration."""

from __future__ import annotations

from typing import Any

import click
from rich import box
from rich.table import Table

from flicker_dagster.cli.guide_text import WIDEST, bullets, console, defined, heading, numbered, prose
from flicker_dagster.cli.options import json_option
from flicker_dagster.cli.tables import show_json
from flicker_dagster.config.destination_answers import ANSWERS, HTTP_ANSWERS
from flicker_dagster.config.destination_keys import Key, key_groups
from flicker_dagster.config.destination_pages import page_path, pasted
from flicker_dagster.config.destinations import records
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.explain import suggestion
from flicker_dagster.config.extras import pip_install


@click.group("destinations", invoke_without_command=True)
@json_option
@click.pass_context
def destinations(context: click.Context, as_json: bool) -> None:
    """What events can be delivered to; `show TYPE` says what one needs. Works without a configuration."""
    if context.invoked_subcommand is not None:
        return
    if as_json:
        show_json({"destinations": [summary(kind, record) for kind, record in records().items()]})
        return
    show_list()


@destinations.command()
@click.argument("kind", metavar="TYPE")
@json_option
def show(kind: str, as_json: bool) -> None:
    """What to create there, least rights, a block to paste, guarantee, every key."""
    record = records().get(kind)
    if record is None:
        meant = suggestion(kind, records()) or f"; there are {', '.join(records())}"
        raise click.UsageError(f"no destination type {kind[:100]!r}{meant}")
    if as_json:
        show_json(document(kind, record))
    else:
        show_guide(kind, record)


def show_list() -> None:
    """All types in one table of the terminal's width, 80 columns at least."""
    screen = console()
    table = Table(box=box.SIMPLE_HEAD, width=max(80, min(screen.width, WIDEST)), pad_edge=False)
    table.add_column("type", no_wrap=True, style="bold" if screen.is_terminal else "")
    table.add_column("destination")
    table.add_column("guarantee", no_wrap=True)
    table.add_column("extra", no_wrap=True)
    for kind, record in records().items():
        table.add_row(kind, record.GUIDE.title, record.GUIDE.guarantee, record.GUIDE.extra or "")
    screen.print(table)
    prose(
        screen,
        "`flicker destinations show TYPE` says what to create there, with a block to paste and every key; the page is "
        f"`{page_path('TYPE')}`. `flicker test-destination NAME` sends one marked event. An extra is installed by "
        f"`{pip_install('EXTRA')}`.",
        first="",
        indent="",
    )


def show_guide(kind: str, record: type[DestinationRecord]) -> None:
    """One type's guide, in the order in which a person needs it."""
    guide, screen = record.GUIDE, console()
    prose(screen, f"{guide.title}   `type: {kind}`", first="", indent="")
    if guide.extra is not None:
        heading(screen, "Install")
        prose(screen, f"`{pip_install(guide.extra)}`")
    heading(screen, "What to create there")
    numbered(screen, guide.create)
    heading(screen, "Least rights")
    prose(screen, guide.rights)
    heading(screen, "Block to paste into config.yaml")
    click.echo("destinations:")
    for line in guide.block.rstrip().splitlines():
        click.echo(f"  {line}")
    screen.print()
    name = guide.block.partition(":")[0]
    prose(screen, f"In a source: `destination: {name}`; then `flicker test-destination {name}`.")
    heading(screen, "Guarantee")
    prose(screen, f"{_sentence(guide.guarantee)} {_sentence(guide.bound)}")
    heading(screen, "Where things are")
    for label, words in (("body", guide.body), ("id", guide.identity), ("time", guide.time)):
        prose(screen, words, first=f"  {label:<6}", indent=" " * 8)
    prose(screen, example_search(record), first="  find  ", indent=" " * 8)
    heading(screen, "What becomes of events")
    for answer, what in (*guide.answers, *(HTTP_ANSWERS if guide.http_answers else ()), *ANSWERS):
        defined(screen, answer, what)
    if guide.notes:
        heading(screen, "Good to know")
        bullets(screen, guide.notes)
    for group in key_groups(record):
        heading(screen, group.title.replace("`", ""))
        for key in group.keys:
            defined(screen, _head(key), key.meaning)
    screen.print()
    prose(screen, f"Tested against {guide.tested}. The page is `{page_path(kind)}`.", first="", indent="")


def example_search(record: type[DestinationRecord]) -> str:
    """What to search for, with names in the places of what is known only then."""
    return pasted(record).search_for("EVENT_UID", mark="MARK")


def summary(kind: str, record: type[DestinationRecord]) -> dict[str, Any]:
    guide = record.GUIDE
    return {
        "type": kind,
        "title": guide.title,
        "guarantee": guide.guarantee,
        "extra": guide.extra,
        "documented": page_path(kind),
    }


def document(kind: str, record: type[DestinationRecord]) -> dict[str, Any]:
    guide = record.GUIDE
    return summary(kind, record) | {
        "create": guide.create,
        "rights": guide.rights,
        "block": guide.block,
        "bound": guide.bound,
        "body": guide.body,
        "identity": guide.identity,
        "time": guide.time,
        "find": example_search(record),
        "tested": guide.tested,
        "notes": guide.notes,
        "answers": [{"answer": answer, "becomes": what} for answer, what in guide.answers],
        "fixes": [{"said": fix.said, "do": fix.do} for fix in guide.fixes],
        "keys": [
            {"key": key.path, "default": key.default or None, "meaning": key.meaning, "group": group.title}
            for group in key_groups(record)
            for key in group.keys
        ],
    }


def _head(key: Key) -> str:
    if key.default == "required":
        return f"`{key.path}` (required)"
    return f"`{key.path}` (default `{key.default}`)" if key.default else f"`{key.path}`"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."
