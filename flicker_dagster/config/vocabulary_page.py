"""The page `docs/vocabulary.md`, made from the records.

`python -m flicker_dagster.config.vocabulary_page docs/vocabulary.md` renews it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from flicker_dagster.config import vocabulary
from flicker_dagster.config.markdown import page_of, table
from flicker_dagster.config.records import Record
from flicker_dagster.config.reference import default_of
from flicker_dagster.config.shape import options, records_in
from flicker_dagster.config.vendors import Preset, presets
from flicker_dagster.config.vocabulary import AnswerRule, Call, Each, Origin, Over, Paging, Place, RequestKeys, RowKeys

#: Each record with its heading; `key` is that of a source under which it stands, empty for what stands in several places.
SECTIONS: tuple[tuple[str, str, type[Record]], ...] = (
    ("Place", "", Place),
    ("Origin", "", Origin),
    ("Call", "", Call),
    ("request", "request", RequestKeys),
    ("paging", "paging", Paging),
    ("answers", "answers", AnswerRule),
    ("rows", "rows", RowKeys),
    ("each", "each", Each),
    ("over", "over", Over),
)

#: So many presets are named under a key.
MOST_NAMED = 8


def examples() -> list[dict[str, Any]]:
    """What may be written, each with a `title`, the key it is `of`, and keys of a `source`."""
    file = resources.files("flicker_dagster.config").joinpath("vocabulary_examples.yaml")
    return yaml.safe_load(file.read_text("utf-8"))


def page() -> str:
    placeholders = (vocabulary.__doc__ or "").partition("\n\n")[2]
    return page_of(
        "# The vocabulary of collecting",
        "A source says how an API is asked, where it says what follows, and what its answers mean, in a few records that go "
        "together in any way. The [README](../README.md#configuration) has all keys of a source; the flat keys there "
        "(`pagination`, `time_filter_param` …) say the same for the plain cases, and are translated into these. "
        "Every preset in `flicker_dagster/config/presets` is written in them: [a preset of your own](adding-a-vendor.md).",
        " ".join(placeholders.split()),
        *[part for heading, key, record in SECTIONS for part in _section(heading, key, record)],
    )


def _section(heading: str, key: str, record: type[Record]) -> list[str]:
    named = f"`{heading}`" if key else heading
    rows = [[f"`{name}`", default_of(field), _meaning(field)] for name, field in record.model_fields.items()]
    return [
        f"## {named}",
        " ".join((record.__doc__ or "").split()),
        table(["key", "default", "meaning"], rows),
        *[_example(each) for each in examples() if key and each["of"] == key],
        _named(key) if key else "",
    ]


def _meaning(field: FieldInfo) -> str:
    words = [word for word in options(field.annotation) if isinstance(word, str)]
    meaning = field.description or ""
    meaning += f": {', '.join(f'`{word}`' for word in words)}" if len(words) > 1 else ""
    links = [
        f"[{heading}](#{heading.lower()})" for heading, _, record in SECTIONS if record in records_in(field.annotation)
    ]
    return f"{meaning} ({', '.join(links)})" if links else meaning


def _example(each: dict[str, Any]) -> str:
    text = yaml.safe_dump(each["source"], sort_keys=False, width=110, allow_unicode=True, default_flow_style=None)
    return f"{each['title']}:\n\n```yaml\n{text}```"


def _named(key: str) -> str:
    """Presets that have the key."""
    found = [name for name, preset in presets().items() if _has(preset, key)]
    if not found:
        return ""
    links = ", ".join(f"[{name}](vendors/{name}.md)" for name in found[:MOST_NAMED])
    more = len(found) - MOST_NAMED
    return f"Presets that have it: {links}{f' and {more} more' if more > 0 else ''}."


def _has(preset: Preset, key: str) -> bool:
    texts: list[Mapping[str, Any]] = [preset.source, *(stream.source for stream in preset.streams.values())]
    return any(key in text for text in texts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
