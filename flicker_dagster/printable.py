"""Text that somebody else wrote, as a terminal, a log line or a table may show it."""

from __future__ import annotations


def visible(text: str) -> str:
    """The text on one line, with every line break, control character, direction mark and lone surrogate spelt out
    (`\\n`, `\\x1b`, `\\u202e`)."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _spelt(each) for each in text)


def _spelt(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, at_most: int) -> str:
    """The text, shortened to so many characters; the last one then says so. Mask before: half a secret is none that
    a mask would know."""
    return text if len(text) <= at_most else text[: at_most - 1] + "…"


def cut_inside(text: str, at_most: int) -> str:
    """The text, shortened to so many characters by its middle: a message begins with the request, whose address may be of
    any length, and ends with the cause and what to do. Mask before, as for `cut`."""
    if len(text) <= at_most:
        return text
    head = (at_most - 1) // 3
    return f"{text[:head]}…{text[head + 1 - at_most :]}"
