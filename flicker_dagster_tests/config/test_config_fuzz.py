"""Whatever bytes stand in the file: a configuration, or lines that each name file and line. Never another error."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flicker_dagster.config.load import load_config
from flicker_dagster.errors import ConfigError
from flicker_dagster_tests.config.builders import SOURCE

pytestmark = pytest.mark.fuzz

EXAMPLE = (Path(__file__).parents[2] / "flicker_dagster" / "cli" / "example.yaml").read_text()
ENOUGH_S = 10.0

#: What is put into a sound file: YAML's own marks, values that are too large, too small or of another kind, addresses.
PIECES = [
    "[", "]", "{", "}", ": ", "- ", "\n", "\n  ", "\t", "#", "&a ", "*a", "<<: *a", "<<: ", "!!binary ", "!!int ",
    "!!set ", "!!float ", "!!bool ", "!!null ", "!x ", "%YAML 9.9\n", "--- ", "...", "|", ">", "'", '"', "? ", "=",
    "~", "@", "`", '"\\0"', '"\\ud800"', '"\\UFFFFFFFF"', "\x00", "\x1b[31m", "\u202e", "\ufeff", "\u2028",
    "9" * 5000, "-1", "1e999", "1.0e+999", ".inf", ".nan", "0x" + "f" * 60, "1:1:1:1", "10" * 15, "true", "null",
    "2026-01-01", "''", "99999999999d", "http://[::1", "http://a:99999", "https://u:p@h", "https://h\\x", "http://",
    "${", "${X}", "${X:-}", "${X:-5}", "${file:/dev/zero}", "${file:}", "$$", "(" * 50, "%Q", "a.b", "\\.", "k" * 1025,
]  # fmt: skip


def _edited(text: str, edits: list[tuple[float, int, str]]) -> str:
    for place, gone, put in edits:
        at = int(place * len(text))
        text = text[:at] + put + text[at + gone :]
    return text


def _check(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    began_s = time.monotonic()
    told: list[str] = []
    try:
        load_config(str(path), env={"X": "x"})
    except ConfigError as error:
        told = error.problems or ["an error that says nothing"]
    for line in told:
        assert line.isprintable(), line
        assert re.match(rf"{re.escape(str(path))}:[1-9]\d*: ", line), line
        assert len(line) < 2000
    assert time.monotonic() - began_s < ENOUGH_S


anything = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
edit_list = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 30), st.sampled_from(PIECES) | st.text(max_size=5)),
    min_size=1,
    max_size=5,
)


@anything
@given(data=st.binary(max_size=300))
def test_random_bytes(tmp_path: Path, data: bytes) -> None:
    _check(tmp_path / "config.yaml", data)


@anything
@given(pieces=st.lists(st.sampled_from(PIECES) | st.sampled_from(["a", "b"]), max_size=30))
def test_random_marks_of_yaml(tmp_path: Path, pieces: list[str]) -> None:
    _check(tmp_path / "config.yaml", "".join(pieces).encode("utf-8", "surrogatepass"))


@anything
@given(text=st.sampled_from([SOURCE, EXAMPLE]), edits=edit_list)
def test_a_sound_file_with_random_edits(tmp_path: Path, text: str, edits: list[tuple[float, int, str]]) -> None:
    _check(tmp_path / "config.yaml", _edited(text, edits).encode("utf-8", "surrogatepass"))


def _lines_with_values() -> list[int]:
    return [number for number, line in enumerate(EXAMPLE.splitlines()) if re.search(r": \S", line)]


@anything
@given(line=st.sampled_from(_lines_with_values()), value=st.sampled_from(PIECES) | st.text(max_size=20))
def test_any_value_of_a_sound_file_replaced(tmp_path: Path, line: int, value: str) -> None:
    lines = EXAMPLE.splitlines()
    lines[line] = re.sub(r": .*", lambda _: f": {value}", lines[line], count=1)
    _check(tmp_path / "config.yaml", "\n".join(lines).encode("utf-8", "surrogatepass"))


KEYS = [
    "name", "vendor", "description", "owners", "live", "headers", "api_key_header", "basic", "tls", "query_params", "id_field",
    "timestamp_format", "time_filter_format", "pagination", "order", "lookback_ms", "slice_ms", "start_from", "window", "sweep",
    "match_on", "buffer_size", "retry", "rate_limit", "limits", "endpoint", "polling_frequency_ms", "results_field",
]  # fmt: skip
INNER_KEYS = ["type", "size", "pattern", "field", "page_size", "reserve", "page_bytes"]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(PIECES)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(INNER_KEYS), inner, max_size=3)
    ),
    max_leaves=8,
)


@anything
@given(key=st.sampled_from(KEYS), value=values)
def test_any_key_with_any_value(tmp_path: Path, key: str, value: object) -> None:
    """The value as YAML writes it, of whatever kind: what the models and checks say of it."""
    written = yaml.safe_dump({key: value}, default_flow_style=True, width=10**9, allow_unicode=False).strip()[1:-1]
    source = "".join(line for line in SOURCE.splitlines(keepends=True) if not line.strip().startswith(f"{key}:"))
    _check(tmp_path / "config.yaml", f"{source}    {written}\n".encode())
