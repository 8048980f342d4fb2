"""One event per line, each line ended (ndjson.org)."""

from __future__ import annotations

from collections.abc import Mapping

from flicker_dagster.lots import Lot, one_line


class NdJson:
    """Lines that hold the events byte for byte; only white space between an event's values that breaks the line is left
    out."""

    content_type = "application/x-ndjson"
    encoding = "ndjson"

    def encode(self, lot: Lot) -> bytes:
        lines = lot.lines
        if lines is None:
            raise ValueError("it holds an event with a line break in the middle of a value")
        return lines

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        """Events with a raw line break in a string, which is no JSON: it would end the line."""
        if lot.lines is not None:
            return {}
        return {
            index: "it is not JSON (a raw line break in a string) and cannot be a line of NDJSON"
            for index, event in enumerate(lot.events)
            if one_line(event) is None
        }
