"""The README's configuration reference is complete and current."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

import flicker_dagster
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.records import FieldPath, Template
from flicker_dagster.config.reference import put_into
from flicker_dagster.config.schema import json_schema
from flicker_dagster.config.shape import places, tag_of

README = Path(flicker_dagster.__file__).parent.parent / "README.md"


#: What a text says of itself under any key, which is no meaning of a key.
ANY_TEXT = {get_args(kind)[1].description for kind in (Template, FieldPath)}


def keys() -> list[tuple[str, str, str | None]]:
    """Record, key and meaning of all that may be written."""
    found = {record for under in places().values() for record in under}
    return [
        (record.__name__, name, field.description)
        for record in sorted(found, key=lambda record: record.__qualname__)
        for name, field in record.model_fields.items()
        if not (name == "type" and tag_of(record))
    ]


@pytest.mark.parametrize(("record", "key", "meaning"), keys())
def test_every_key_says_what_it_means_where_it_is_declared(record: str, key: str, meaning: str | None) -> None:
    assert meaning, f"{record}.{key} has no description"
    assert meaning not in ANY_TEXT


def test_editors_are_told_the_same_meanings() -> None:
    told = json_schema()["$defs"]["SourceConfig"]["properties"]
    for name, field in SourceConfig.model_fields.items():
        assert told[name]["description"] == field.description


def test_the_readme_holds_the_reference_as_the_models_give_it() -> None:
    text = README.read_text()
    assert put_into(text) == text, "run `make reference`"
