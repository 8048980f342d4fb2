"""What an answer is that holds no events, in words that help whoever asked."""

from __future__ import annotations

from flicker_dagster.collect.client import Answer
from flicker_dagster.infer.rows import empty_arrays_in
from flicker_dagster.printable import cut
from flicker_dagster.transport.reasons import said_in, shape_of

SHOWN_CHARS = 300

PARTS = "for anything else there are parts in Python (docs/parts.md)"


def without_events(answer: Answer) -> str:
    if answer.no_content:
        return f"The answer holds no events (HTTP {answer.status}): ask for a time in which there are some."
    empty = empty_arrays_in(answer.body)
    if empty:
        where = ", ".join(path or "the answer" for path in empty[:5])
        return f"The answer holds no events (there is nothing in {where}): ask for a time in which there are some."
    shape = shape_of(answer.body)
    if answer.body.lstrip()[:5].lower() == b"<?xml":
        return f"The answer is {len(answer.body)} bytes of XML: JSON, CSV and lines of JSON are read; {PARTS}."
    if "HTML" in shape:
        return f"The answer holds no events: it is {shape}, such as a page to sign in. Check the address and the credentials."
    said = cut(said_in(answer.body), SHOWN_CHARS)
    words = "" if said in (shape, "without a word") else f", and says: {said}"
    return f"The answer holds no events: it is {shape}{words}. Check the address, or ask for a time in which there are some."
