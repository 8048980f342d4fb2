"""The page of how requests are signed is current, names every key, and its examples are sound."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import flicker_dagster
from flicker_dagster.config.auth import Auth
from flicker_dagster.config.auth_page import examples, kinds, page
from flicker_dagster.config.secrets import texts_of
from flicker_dagster.config.shape import tag_of

ROOT = Path(flicker_dagster.__file__).parent.parent


def test_the_page_is_as_the_records_give_it() -> None:
    assert (ROOT / "docs" / "auth.md").read_text() == page(), "run `make reference`"


@pytest.mark.parametrize("example", examples(), ids=lambda example: example["title"])
def test_an_example_is_sound(example: dict[str, Any]) -> None:
    record = TypeAdapter(Auth).validate_python(example["auth"])
    assert record.faults() == []
    literal = [text for at, text in texts_of(record, "auth") if re.search(r"(secret|password)$", at)]
    assert all("{" in text for text in literal), "no example shows a secret written out"


def test_every_kind_has_an_example_and_every_key_a_meaning() -> None:
    assert {tag_of(record) for record in kinds()} == {example["auth"]["type"] for example in examples()}
    text = page()
    for record in kinds():
        missing = [name for name in record.model_fields if name != "type" and f"| `{name}` |" not in text]
        assert not missing, record
    assert not re.findall(r"^\| `\w+` \| .* \|  \|$", text, re.MULTILINE)


def test_links_and_tables_are_whole() -> None:
    text = page()
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## `?([^`\n]+)`?$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
    for block in re.split(r"\n\n", text):
        if block.startswith("| "):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block
