"""The pages of destinations are current, lead somewhere, and hold what they promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import flicker_dagster
from flicker_dagster.config.destination_keys import key_groups
from flicker_dagster.config.destination_pages import DIRECTORY, index, limits_of, page, pages
from flicker_dagster.config.destinations import records
from flicker_dagster.config.load import parse_config

ROOT = Path(flicker_dagster.__file__).parent.parent
BY_HAND = {"normalise.md"}

every_type = pytest.mark.parametrize("kind", records())


def test_the_pages_are_as_the_records_give_them() -> None:
    stored = {path.name: path.read_text() for path in (ROOT / DIRECTORY).glob("*.md") if path.name not in BY_HAND}
    assert stored == pages(), "run `make reference`"


@every_type
def test_its_block_loads_in_a_whole_configuration(kind: str) -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", page(kind, records()[kind]), re.DOTALL)
    [name] = yaml.safe_load(block)["destinations"]
    source = {
        "name": "okta",
        "endpoint": "https://a.invalid",
        "polling_frequency_ms": 30_000,
        "timestamp_field": "time",
    }
    text = block + yaml.safe_dump({"api_sources": [source | {"destination": name}]})
    config = parse_config(text, path="config.yaml", env={})
    assert config.sources[0].lanes[""].type == kind
    assert config.destinations[name].type == kind


@every_type
def test_it_names_every_key_once_with_a_meaning(kind: str) -> None:
    record = records()[kind]
    groups, text = key_groups(record), page(kind, record)
    assert {key.path for group in groups[:2] for key in group.keys} >= set(record.model_fields)
    for group in groups:
        paths = [key.path for key in group.keys]
        assert len(paths) == len(set(paths))
        assert all(key.meaning for key in group.keys)
        assert all(f"| `{path}` |" in text for path in paths)


@every_type
def test_links_and_tables_are_whole(kind: str) -> None:
    for text in (index(), page(kind, records()[kind])):
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (ROOT / DIRECTORY / target).exists(), target
        for block in re.split(r"\n\n", text):
            if block.startswith("| "):
                bars = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
                assert len(bars) == 1, block


def test_limits_are_told_in_words() -> None:
    assert limits_of(records()["datadog"]) == "1,000 events; 5,000,000 bytes; 1,000,000 bytes an event"


def test_the_readme_names_every_destination_and_its_example_loads() -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## Destinations\n") : readme.index("## The guarantee")]
    assert {Path(target).stem for target in re.findall(r"\]\((docs/destinations/[a-z_0-9]+\.md)\)", section)} == {
        *records()
    }
    [block] = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    config = parse_config(block, path="config.yaml", env={})
    assert [list(source.lanes) for source in config.sources] == [["splunk", "lake"], [""], [""]]
    assert not config.sources[0].lanes["lake"].required
