"""`--validate` says what goes wrong with sources by hand on hosts that a preset knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from flicker_dagster.cli.main import cli
from flicker_dagster.config.traps import traps_of
from flicker_dagster.config.vendors import Param, Preset
from flicker_dagster_tests.builders import a_source, know

MADE_UP = Preset(
    vendor="made_up",
    title="Made-up audit log",
    docs="https://docs.example.com",
    hosts=["*.made-up.example"],
    params={"token": Param("a token", secret=True), "region": Param("where", default="eu")},
    source={"order": "descending", "paging": {"page_size": 10}},
    traps={
        "": "it lists nothing before 2020",
        "order": "it lists newest first",
        "paging.page_size": "more than 10 are\n  refused",
    },
)
ENDPOINT = "https://acme.made-up.example/log"


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, MADE_UP)


@pytest.mark.parametrize("vendor", [None, "generic"])
def test_the_preset_and_its_traps_are_named(vendor: str | None) -> None:
    assert traps_of(a_source(endpoint=ENDPOINT, vendor=vendor)) == [
        (
            "endpoint",
            "`vendor: made_up` knows this API, told token under params; see `flicker vendors show made_up`",
        ),
        ("endpoint", "Made-up audit log: it lists nothing before 2020"),
        ("order", "Made-up audit log: it lists newest first"),
        ("paging.page_size", "Made-up audit log: more than 10 are refused"),
    ]


def test_what_is_written_as_the_preset_has_it_is_no_trap() -> None:
    keys = [key for key, _ in traps_of(a_source(endpoint=ENDPOINT, order="descending", paging={"page_size": 10}))]
    assert keys == ["endpoint", "endpoint"]


@pytest.mark.parametrize(
    ("endpoint", "vendor"),
    [
        (ENDPOINT, "made_up"),
        (ENDPOINT, "okta"),
        ("https://api.example.com/", None),
        ("https://made-up.example.evil/", None),
        ("${URL}", None),
    ],
)
def test_elsewhere_and_with_a_preset_nothing_is_said(endpoint: str, vendor: str | None) -> None:
    assert traps_of(a_source(endpoint=endpoint, vendor=vendor)) == []


def test_of_several_on_one_host_each_is_named_and_no_trap(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, Preset(vendor="other", title="Other", docs="https://x", source={}, hosts=MADE_UP.hosts))
    said = [words for _, words in traps_of(a_source(endpoint=ENDPOINT))]
    assert len(said) == 2
    assert all("knows this API" in words for words in said)


def test_validate_tells_them_with_the_line_and_finds_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"api_sources:\n  - name: one\n    endpoint: {ENDPOINT}\n    polling_frequency_ms: 30000\n"
        "    timestamp_field: time\n    order: ascending\n    destination: {type: stdout}\n"
        "    streams: {a: {}, b: {lookback_ms: 5}}\n"
    )
    done = CliRunner().invoke(cli, ["-c", str(path), "--validate"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert f"{path}:6: one: order: Made-up audit log: it lists newest first" in lines
    assert sum("knows this API" in line for line in lines) == 1
