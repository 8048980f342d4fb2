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
