"""The pages of vendors and of the vocabulary are current, lead somewhere, and hold what they promise."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import flicker_dagster
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.vendor_pages import page, pages
from flicker_dagster.config.vendors import left_out, presets
from flicker_dagster.config.vocabulary_page import SECTIONS, examples
from flicker_dagster.config.vocabulary_page import page as vocabulary_page
from flicker_dagster_tests.catalogue.page import page as index

DOCS = Path(flicker_dagster.__file__).parent.parent / "docs"


def test_the_pages_are_as_the_presets_give_them() -> None:
    stored = {path.name: path.read_text() for path in (DOCS / "vendors").glob("*.md") if path.name != "README.md"}
    assert stored == pages(), "run `make reference`"


def test_the_table_of_all_and_of_what_is_run_is_current() -> None:
    assert (DOCS / "vendors" / "README.md").read_text() == index(), "run `make reference`"
    for name in (*presets(), *left_out()):
        assert f"`{name}`" in index() or f"| {name} |" in index()


def test_the_vocabulary_is_as_the_records_give_it() -> None:
    assert (DOCS / "vocabulary.md").read_text() == vocabulary_page(), "run `make reference`"


@pytest.mark.parametrize("vendor", presets())
def test_links_and_tables_of_a_vendor_are_whole(vendor: str) -> None:
    whole(page(presets()[vendor]), DOCS / "vendors")


@pytest.mark.parametrize(
    "path",
    ["vendors/README.md", "vocabulary.md", "adding-a-vendor.md", "parts.md"],
)
def test_links_and_tables_are_whole(path: str) -> None:
    whole((DOCS / path).read_text(), (DOCS / path).parent)


def whole(text: str, folder: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        assert target.startswith("https://") or (folder / target).exists(), target
    headings = {
        re.sub(r"[`*]", "", heading).lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
    for block in re.split(r"\n\n", text):
        if block.startswith("| "):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_every_key_of_the_vocabulary_has_a_meaning_and_every_record_an_example() -> None:
    assert not re.findall(r"^\| `\w+` \| [^|]* \|  \|$", vocabulary_page(), re.MULTILINE)
    assert {key for _, key, _ in SECTIONS if key} == {each["of"] for each in examples()}


@pytest.mark.parametrize("example", examples(), ids=lambda each: each["title"])
def test_an_example_stands_in_a_whole_source(example: dict[str, Any]) -> None:
    source = {
        "name": "one",
        "endpoint": "https://api.example.com/log",
        "polling_frequency_ms": 60_000,
        "timestamp_field": "time",
        "destination": {"type": "stdout"},
        **example["source"],
    }
    text = json.dumps({"api_sources": [source]})
    assert parse_config(text, path="config.yaml", env={}).sources[0].name == "one"
