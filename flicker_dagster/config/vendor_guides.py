"""What a person has to know of a preset, taken apart for a terminal and a page alike."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendor_facts import auth_words, example_sources, span_words
from flicker_dagster.config.vendors import Preset

DIRECTORY = "docs/vendors"

_STEP = re.compile(r"^\s*\d+[.)]\s+", re.MULTILINE)


@dataclass(frozen=True)
class StreamFacts:
    """One stream: its name, empty where the source is its own only one."""

    name: str
    title: str
    usual: bool
    source: SourceConfig


def page_path(vendor: str) -> str:
    """Where the page of a vendor is, from the repository's root."""
    return f"{DIRECTORY}/{vendor}.md"


def steps_of(text: str) -> list[str]:
    """The numbered steps of a preset's `create`, each on one line."""
    before, *steps = _STEP.split(text)
    return [" ".join(step.split()) for step in (steps or [before]) if step.strip()]


def streams_of_guide(preset: Preset) -> list[StreamFacts]:
    found = []
    for source in example_sources(preset):
        stream = preset.streams.get(source.stream)
        title, usual = (preset.title, True) if stream is None else (stream.title, stream.usual)
        found.append(StreamFacts(source.stream, title, usual, source))
    return found


def how_collected(source: SourceConfig) -> list[tuple[str, str]]:
    """Label and words for each thing that is decided for a stream."""
    sweep, window = source.sweep, source.window
    revisits = ", ".join(map(span_words, sweep.revisit_ms))
    swept = f"{span_words(sweep.settle_ms)} after its end" + (f", and again after {revisits}" if revisits else "")
    by = "when they happened" if source.axis == "event" else "when they became available"
    found = [
        ("signed by", auth_words(source.auth, source.request)),
        ("polled", f"every {span_words(source.polling_frequency_ms)}"),
        ("listed by", by),
        ("read again", f"{span_words(source.lookback_ms)} with each poll"),
        (
            "verified",
            f"each {window.size} {swept}" if window.askable else "never: the API cannot be asked for a window",
        ),
    ]
    if source.delay_ms:
        found.append(("behind", f"{span_words(source.delay_ms)} behind the vendor's clock"))
    if source.retention_ms is not None:
        found.append(("kept there", f"for {span_words(source.retention_ms)}"))
    return found
