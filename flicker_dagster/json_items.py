"""A list in JSON text cut into its items, byte for byte, of which one that is damaged costs no other."""

from __future__ import annotations

import re

from flicker_dagster.json_scan import OBJECT, Damaged, byte_at, end_of_value, past_space, scan

#: Deeper ones are not sent on: parsers on the way refuse them or die of them.
MOST_LEVELS = 1_000

_BETWEEN_ITEMS = re.compile(rb"[ \t\r\n,]*")

#: The end of an object where another may begin, or the list may end.
_BOUNDARY = re.compile(rb"\}[ \t\r\n]*(?:,[ \t\r\n]*\{|\])")

#: The search for the ends of damaged items may read the text so many times, each attempt counting for so much at least.
_MOST_READINGS = 1
_ATTEMPT_BYTES = 256


class TooMany(ValueError):
    """A list with more items than asked for."""


def items(text: bytes, at: int, around: bytes, *, most: int) -> tuple[list[tuple[int, int, str | None]], int]:
    """Start and end of each item of the list that opens at `at`, with what is wrong with it; and where the list ends.

    `around` are the containers (`{` or `[` each) that are open around the list, and must be closed behind it, to the very
    end of the text. What is no JSON is one item, from where it begins to where something follows that is. Raises Damaged
    where the list's end cannot be told (text that was cut off), TooMany beyond `most` items.
    """
    found: list[tuple[int, int, str | None]] = []
    search = _Search(text, around)
    at += 1
    damaged: int | None = None  # the index of the last damaged item
    while True:
        if len(found) > most:
            raise TooMany(f"more than {most}")
        at = start = _BETWEEN_ITEMS.match(text, at).end()  # type: ignore[union-attr]
        try:
            if text[at : at + 1] == b"]":
                if search.closes(at + 1):
                    return found, at + 1
                if damaged is None:
                    raise Damaged(at)
                # A list inside of the damaged item was taken for the list itself: the item goes on.
                start = found[damaged][0]
                wrong = found[damaged][2]
                open_string = False
                del found[damaged:]
            else:
                at, depth = end_of_value(text, at)
                if byte_at(text, past_space(text, at)) not in b",]{":
                    raise Damaged(at)
                found.append((start, at, _too_deep(depth) if depth > MOST_LEVELS else None))
                continue
        except Damaged as error:
            if start == len(text) or text[start : start + 1] == b"]" or error.cut_off:
                raise
            wrong = f"it is not JSON (at its byte {error.at - start})"
            at, open_string = start, error.at == len(text)
        damaged = len(found)
        at = search.next_boundary(at, open_string=open_string)
        found.append((start, at, wrong))


def _too_deep(depth: int) -> str:
    return f"it is nested {depth} levels deep, and {MOST_LEVELS} are the most that is sent on"


class _Search:
    """Finds where a damaged item ends. What it may read in all is bounded."""

    def __init__(self, text: bytes, around: bytes) -> None:
        self._text = text
        self._around = around
        self._left = _MOST_READINGS * max(len(text), 1_000 * _ATTEMPT_BYTES)

    def closes(self, at: int) -> bool:
        """Does everything around the list end properly behind it, and the text with it?"""
        if not self._around:
            return at == len(self._text)
        try:
            end, _ = scan(self._text, at, bytearray(self._around), inside=True)
        except Damaged as error:
            self._spend(error.at - at)
            return False
        self._spend(end - at)
        return end == len(self._text)

    def next_boundary(self, at: int, *, open_string: bool) -> int:
        """Where an object ends behind which a sound item follows, or the end of the list. Raises Damaged.

        With `open_string` a string has no end: what looks like the list's end may stand in it, in text that was cut off.
        """
        text = self._text
        boundary = _BOUNDARY.search(text, at)
        while boundary is not None:
            behind = boundary.end()
            if text[behind - 1] != OBJECT:
                if self.closes(behind):
                    return boundary.start() + 1
            elif self._sound(behind - 1):
                return boundary.start() + 1
            boundary = _BOUNDARY.search(text, boundary.start() + 1)
        if not open_string:  # an end in which even the object's own is missing
            end = text.find(b"]", at)
            while end >= 0:
                if self.closes(end + 1):
                    return end
                end = text.find(b"]", end + 1)
        raise Damaged(len(text), cut_off=True)

    def _sound(self, at: int) -> bool:
        try:
            end, _ = end_of_value(self._text, at)
        except Damaged as error:
            self._spend(error.at - at)
            return False
        self._spend(end - at)
        return byte_at(self._text, past_space(self._text, end)) in b",]"

    def _spend(self, count: int) -> None:
        self._left -= max(count, _ATTEMPT_BYTES)
        if self._left < 0:
            raise Damaged(len(self._text))
