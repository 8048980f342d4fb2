"""`flicker vendors`: what is printed, in which width, and a block that loads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from rich.cells import cell_len

from flicker_dagster.cli.main import cli
from flicker_dagster.cli.vendors import plain
from flicker_dagster.config.auth_page import kinds
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.shape import tag_of
from flicker_dagster.config.vendor_blocks import block_of, params_needed, ways_to_sign
from flicker_dagster.config.vendor_facts import AUTH_WORDS, span_words
from flicker_dagster.config.vendor_guides import steps_of
from flicker_dagster.config.vendors import Param, Preset, PresetStream, left_out, presets

every_vendor = pytest.mark.parametrize("vendor", sorted(presets()))


def run(*arguments: str, columns: int = 80) -> Result:
    return CliRunner().invoke(cli, list(arguments), env={"COLUMNS": str(columns)})


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_all_are_listed_in_the_terminals_width_without_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("vendors", columns=columns)
    assert done.exit_code == 0, done.output
    table = [line for line in done.stdout.splitlines() if not line.startswith("`")]
    assert all(cell_len(line) <= max(80, columns) for line in table)
    first = [line.split()[0] for line in done.stdout.splitlines() if line.split()]
    assert all(name in first for name in presets())
    assert "…" not in done.stdout


def test_all_as_json() -> None:
    found = json.loads(run("vendors", "--json").stdout)["vendors"]
    assert [each["vendor"] for each in found] == sorted(presets())
    assert {each["axis"] for each in found} <= {"event", "arrival", "event, arrival", "arrival, event"}
    assert all(each["streams"] >= 1 and each["auth"] and each["lag"] for each in found)


@every_vendor
def test_one_is_shown_within_80_columns_and_its_block_loads(vendor: str) -> None:
    done = run("vendors", "show", vendor)
    assert done.exit_code == 0, done.output
    begin = done.stdout.index("api_sources:\n")
    block = done.stdout[begin : done.stdout.index("\n\n", begin)]
    text = block.replace("destination: NAME", "destination: {type: stdout}")
    sources = parse_config(text, path="config.yaml", env={}).sources
    assert {source.vendor for source in sources} == {vendor}
    usual = [name for name, stream in presets()[vendor].streams.items() if stream.usual]
    assert [source.stream for source in sources] == (usual or [""])
    for line in done.stdout.replace(block, "").splitlines():
        assert cell_len(line) <= 80 or len(line.split()) <= 3 or "`" in line or "https://" in line, line


@every_vendor
def test_a_block_holds_no_secret_but_a_reference_to_it(vendor: str) -> None:
    preset = presets()[vendor]
    [entry] = yaml.safe_load(block_of(preset))
    for name, param in preset.params.items():
        value = (entry.get("params") or {}).get(name)
        assert value is None or not param.secret or re.fullmatch(r"\$\{[^}]+\}", value), name


@every_vendor
def test_one_as_json(vendor: str) -> None:
    found = json.loads(run("vendors", "show", vendor, "--json").stdout)
    assert found["vendor"] == vendor
    assert found["params"].keys() == presets()[vendor].params.keys()
    assert found["documented"] == f"docs/vendors/{vendor}.md"


@pytest.mark.parametrize(
    ("name", "said"),
    [("otka", "did you mean okta?"), ("google", "did you mean google_workspace?"), ("zzzz", "flicker infer URL")],
)
def test_an_unknown_vendor_is_one_line(name: str, said: str) -> None:
    done = run("vendors", "show", name)
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.output.splitlines()) == 1


def test_every_way_to_sign_has_a_word() -> None:
    assert {tag_of(kind) for kind in kinds()} == AUTH_WORDS.keys()


def made_up() -> Preset:
    return Preset(
        vendor="made_up",
        title="Made-up audit log",
        docs="https://docs.example.com",
        source={"endpoint": "https://${param:host}/log", "auth": {"type": "bearer", "token": "${param:token}"}},
        params={
            "host": Param("the host", example="eu.example.com", default="example.com"),
            "token": Param("a token", secret=True),
            "project": Param("a project's id", example="p-1"),
        },
        streams={
            "audit": PresetStream("What people did"),
            "project": PresetStream("Of one", source={"endpoint": "https://x/${param:project}"}, usual=False),
        },
    )


def test_what_is_not_needed_is_a_comment() -> None:
    assert block_of(made_up(), destination="siem") == (
        "- name: made-up\n"
        "  vendor: made_up\n"
        "  params:\n"
        "    # The host; this is the default\n"
        "    # host: example.com\n"
        "    # A token\n"
        "    token: ${MADE_UP_TOKEN}\n"
        "    # A project's id\n"
        "    # project: p-1\n"
        "  streams:\n"
        "    - audit      # What people did\n"
        "    # - project  # Of one\n"
        "  destination: siem\n"
    )


def test_vendors_that_are_left_out_are_told_with_the_reason() -> None:
    listed, as_json = run("vendors").stdout, json.loads(run("vendors", "--json").stdout)
    assert as_json["left_out"] == left_out()
    for name in left_out():
        assert f"- {name}: " in listed
    done = run("vendors", "show", next(iter(left_out())).lower())
    assert done.exit_code == 2
    assert "is left out" in done.output


def test_of_several_ways_to_sign_the_one_whose_parameters_are_given_is_needed() -> None:
    okta = presets()["okta"]
    assert ways_to_sign(okta) == [["token"], ["client_id", "private_key", "key_id"]]
    assert params_needed(okta) == ["domain", "token"]
    assert params_needed(okta, given=["private_key"]) == ["domain", "client_id", "private_key", "key_id"]


def test_what_is_given_stands_in_it() -> None:
    text = block_of(made_up(), name="x: y", given={"host": "a", "project": "7"}, streams=["project"])
    [entry] = yaml.safe_load(text)
    assert entry == {
        "name": "x: y",
        "vendor": "made_up",
        "params": {"host": "a", "token": "${MADE_UP_TOKEN}", "project": "7"},
        "streams": ["project"],
        "destination": "NAME",
    }
    assert params_needed(made_up(), ["project"]) == ["host", "token", "project"]


@pytest.mark.parametrize(
    ("ms", "words"),
    [(30_000, "30 s"), (90_000, "90 s"), (900_000, "15 min"), (7_776_000_000, "90 d"), (604_500_000, "7 d"),
     (189_216_000_000, "6 y"), (5_400_000, "90 min"), (31_536_000_000, "365 d"), (82_800_000, "23 h"), (500, "0.5 s")],
)  # fmt: skip
def test_a_span_is_told_in_one_unit(ms: int, words: str) -> None:
    assert span_words(ms) == words


def test_steps_are_told_apart() -> None:
    assert steps_of("1. Open it\n   and go on.\n2. Close it.\n") == ["Open it and go on.", "Close it."]
    assert steps_of("Just do it.") == ["Just do it."]
    assert steps_of("") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Open *Settings, API* and **add** a `*.read`\n  right.", "Open Settings, API and add a `*.read` right."),
        ("hosts *.okta.com and *.okta-gov.com", "hosts *.okta.com and *.okta-gov.com"),
        ("5 * 4 * 3", "5 * 4 * 3"),
    ],
)
def test_emphasis_is_no_noise_on_a_terminal(words: str, said: str) -> None:
    assert plain(words) == said
