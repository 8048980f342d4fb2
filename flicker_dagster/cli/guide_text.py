"""Guides on a terminal: wrapped prose, code told apart, tables of 80 columns."""

from __future__ import annotations

import re
import textwrap

import click
from rich.console import Console
from rich.text import Text

#: Lines of prose are no longer, however wide the terminal is.
WIDEST = 100

_CODE = re.compile(r"`([^`]+)`")


def console() -> Console:
    return Console(highlight=False)


def width_of(screen: Console) -> int:
    return min(screen.width, WIDEST)


def heading(screen: Console, words: str) -> None:
    screen.print()
    screen.print(Text(words, style="bold"))


def prose(screen: Console, words: str, *, first: str = "  ", indent: str = "  ") -> None:
    """A paragraph, wrapped between words. What stands in backticks stays whole, and stands out on a terminal."""
    for line in _lines(words, width_of(screen), first=first, indent=indent):
        screen.print(_coloured(line, screen), soft_wrap=True)


def numbered(screen: Console, steps: tuple[str, ...]) -> None:
    for number, step in enumerate(steps, 1):
        prose(screen, step, first=f"  {number}. ", indent="     ")


def bullets(screen: Console, items: tuple[str, ...]) -> None:
    for item in items:
        prose(screen, item, first="  - ", indent="    ")


def defined(screen: Console, term: str, meaning: str) -> None:
    """A word and, below it and further in, what it means."""
    prose(screen, term, first="  ", indent="    ")
    prose(screen, meaning, first="      ", indent="      ")


def show_labelled(title: str, rows: list[tuple[str, str]], *, good: bool, whole: tuple[str, ...] = ()) -> None:
    """A title, then one labelled value a line, wrapped between words only; those whose labels are in `whole` are not, so
    that they can be copied."""
    screen = console()
    indent = 2 + max(len(label) for label, _ in rows)
    screen.print(Text(title, style="bold green" if good else "bold red"))
    for label, value in rows:
        wide = max(width_of(screen), 40)
        lines = [value] if label in whole else _lines(value, wide, first="", indent="", room=indent)
        for number, line in enumerate(lines):
            text = Text().append(f"{label if number == 0 else '':<{indent}}", style="dim")
            screen.print(text.append_text(_coloured(line, screen)), soft_wrap=True)
    click.echo()


def _lines(words: str, width: int, *, first: str, indent: str, room: int = 0) -> list[str]:
    marked = _CODE.sub(lambda found: f"`{found[1].replace(' ', _GLUE)}`", words)
    lines = textwrap.wrap(
        marked,
        width - room,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]


#: Stands for a blank that no line may break at.
_GLUE = "\x00"


def _coloured(line: str, screen: Console) -> Text:
    """On a terminal code is coloured, and its backticks are left out."""
    if not screen.is_terminal:
        return Text(line)
    text = Text()
    at = 0
    for found in _CODE.finditer(line):
        text.append(line[at : found.start()])
        text.append(found[1], style="cyan")
        at = found.end()
    text.append(line[at:])
    return text
