"""A faulty configuration file says, in one line per fault, where, what was found and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.config.destinations import records
from flicker_dagster.config.explain import one_of
from flicker_dagster.config.load import load_config
from flicker_dagster.errors import ConfigError
from flicker_dagster_tests.config.builders import SOURCE, entry, faults

DATA = Path(__file__).parents[1] / "data" / "malformed.txt"


def _cases() -> list[object]:
    cases = []
    for block in DATA.read_text().split("\n== ")[1:]:
        words, _, rest = block.partition("\n")
        text, _, line = rest.rpartition("-- ")
        line = line.rstrip("\n").replace("DESTINATION_TYPES", one_of(records()))
        cases.append(pytest.param(text, line, id=words))
    return cases


@pytest.mark.parametrize(("text", "line"), _cases())
def test_a_fault_is_told_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    assert faults(tmp_path, text) == [line]


def test_no_line_speaks_of_the_machinery() -> None:
    told = DATA.read_text().lower()
    assert not any(word in told for word in ("input should", "pydantic", "field required", "valid dictionary"))


def test_a_control_character_is_told_with_its_line(tmp_path: Path) -> None:
    assert faults(tmp_path, SOURCE + "# \x00\n") == [
        "config.yaml:9: not valid YAML: the character #x0000 is not allowed"
    ]


def test_a_name_where_a_place_is_wanted_is_told_how_to_write_it(tmp_path: Path) -> None:
    assert faults(tmp_path, SOURCE + "    request:\n      start: since\n") == [
        "config.yaml:10: api_sources[0].request.start: found 'since', expected a mapping such as {at: 'since'}"
    ]


def test_cursor_paging_without_its_keys_names_both(tmp_path: Path) -> None:
    assert faults(tmp_path, SOURCE + "    pagination:\n      pagination_type: cursor\n") == [
        "config.yaml:9: api_sources[0].pagination.cursor_param: is missing, "
        "expected the query parameter that takes the cursor (pagination_type is cursor)",
        "config.yaml:9: api_sources[0].pagination.next_cursor_field: is missing, "
        "expected the path of the next cursor in the answer (pagination_type is cursor)",
    ]


def test_all_faults_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        "retry: {max_retries: many}\n"
        + SOURCE.replace("https://api", "api")
        + "    live: 1\n    start_from: yesterday\n"
        + entry("one")
        + "    page_size: 5\n    match_on: ['(']\nlog_files: []\n"
    )
    places = [line.split(": ")[:2] for line in faults(tmp_path, text)]
    assert places == [
        ["config.yaml:1", "retry.max_retries"],
        ["config.yaml:4", "api_sources[0].endpoint"],
        ["config.yaml:10", "api_sources[0].live"],
        ["config.yaml:11", "api_sources[0].start_from"],
        ["config.yaml:12", "api_sources[1].name"],
        ["config.yaml:19", "api_sources[1].page_size"],
        ["config.yaml:20", "api_sources[1].match_on[0]"],
        ["config.yaml:21", "log_files"],
    ]


def test_a_file_that_is_not_there_says_how_to_name_one(tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError) as caught:
        load_config(path, env={})
    assert caught.value.problems == [f"{path}: no such file; name the configuration with -c"]


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is UTF-16 text, expected UTF-8"):
        load_config(str(path), env={})


def test_an_unset_secret_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(SOURCE + "    api_key: ${UNSET_KEY}\n")
    assert load_config(str(path), env={}).sources[0].api_key == "${UNSET_KEY}"
