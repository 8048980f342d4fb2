"""What the operator's commands print: whole values in any width, and one JSON document where that is asked for."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from flicker_dagster.cli.tables import show_table
from flicker_dagster.times import parse_time_ms
from flicker_dagster.types import Position
from flicker_dagster_tests.cli.scene import Scene

OKTA = "okta-audit-logs"
CURSOR = "eyJpZCI6Imxhc3QtZXZlbnQtaWQifQ" * 4


@pytest.fixture
def moved(scene: Scene) -> Scene:
    """A scene with a position and a long cursor, in a terminal of 80 columns."""
    scene.env["COLUMNS"] = "80"
    scene.layout().registry().commit(OKTA, Position("2026-01-02T03:04:05.678Z", CURSOR), seen=None)
    return scene


def said(scene: Scene, *arguments: str) -> str:
    done = scene.invoke(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("command", [("status",), ("sources",), ("position", "show"), ("position", "show", OKTA)])
def test_a_narrow_terminal_breaks_no_value(moved: Scene, command: tuple[str, ...]) -> None:
    text = said(moved, *command)
    for line in text.splitlines():
        assert cell_len(line) <= 80 or re.fullmatch(r"[a-z :]*\S+", line), line
    assert OKTA in text
    if command[0] != "sources":
        assert "2026-01-02T03:04:05.678Z" in text
    if command[0] == "position":
        assert CURSOR in text
    if command[0] == "sources":
        assert f"{moved.world.vendor('okta').url}/api/v1/logs\n" in text


def test_in_a_file_every_value_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    why = "the cause of a failure, in words, " * 20
    show_table("Title", ("source", "result"), [("one", why)], empty="nothing")
    assert f"result  {why.rstrip()}\n" in capsys.readouterr().out


def test_a_table_stands_where_there_is_room_for_it(moved: Scene) -> None:
    moved.env["COLUMNS"] = "300"
    [line] = [line for line in said(moved, "position", "show").splitlines() if OKTA in line]
    assert line.count("│") == 6
    assert CURSOR in line


def test_status_as_json(moved: Scene) -> None:
    document = json.loads(said(moved, "status", "--json"))
    assert document["dagster_ran"] is False
    assert document["configuration_fault"] is None
    okta, github, _ = document["sources"]
    assert okta.pop("lag_ms") > 0
    [lane] = okta.pop("lanes")
    assert (lane["lane"], lane["type"], lane["waiting_events"], lane["last_answer"]) == (None, "http", 0, None)
    assert okta == {
        "source": OKTA,
        "position": {"last_timestamp": "2026-01-02T03:04:05.678Z", "cursor": CURSOR},
        "last_run": None,
        "waiting_events": 0,
        "dead_letters": 0,
        "verified_windows": None,
        "newest_verified_window": None,
        "error": None,
    }
    assert (github["position"], github["lag_ms"]) == (None, None)


def test_status_as_json_where_state_cannot_be_read(moved: Scene) -> None:
    (moved.home / "work" / "registry.json").write_text("{")
    done = moved.invoke("status", "--json")
    assert done.exit_code == 1
    assert "registry.json" in json.loads(done.stdout)["sources"][0]["error"]


def test_sources_as_json_show_references_and_no_secret(moved: Scene) -> None:
    text = said(moved, "sources", "--json")
    okta = json.loads(text)["sources"][0]
    assert (okta["source"], okta["vendor"], okta["live"], okta["poll_interval_ms"]) == (OKTA, "okta", True, 5000)
    assert okta["destination"] == "${SIEM_ENDPOINT}/okta"
    assert {"key", "line", "why"} == set(okta["overruled"][0])
    assert not any(value in text for name, value in moved.env.items() if "TOKEN" in name or "KEY" in name)


def test_positions_as_json(moved: Scene) -> None:
    said(moved, "position", "set", OKTA, "2026-01-01T00:00:00Z")
    [okta] = json.loads(said(moved, "position", "show", OKTA, "--json"))["sources"]
    assert okta["position"]["last_timestamp"] == "2026-01-02T03:04:05.678Z"
    assert okta["ordered"]["position"] == {"last_timestamp": "2026-01-01T00:00:00.000Z", "cursor": None}
    assert okta["ordered"]["redeliver"] is False
    [saved] = okta["history"]
    assert (saved["number"], saved["by_hand"], saved["position"]["cursor"]) == (1, True, CURSOR)
    assert parse_time_ms(saved["saved_at"]) is not None


def test_dead_letters_as_json(scene: Scene) -> None:
    poison = scene.world.vendor("okta").emitter.emit(1)[0].id
    scene.world.siem.poison = poison
    assert scene.run("--once", "--track").returncode == 0
    [letter] = json.loads(said(scene, "dead-letters", "list", "--json"))["dead_letters"]
    assert (letter["source"], letter["events"]) == (OKTA, 1)
    assert parse_time_ms(letter["at"]) is not None
    shown = json.loads(said(scene, "dead-letters", "show", letter["id"], "--json"))
    [event] = shown["events"]
    assert (shown["source"], event["answer"], event["event_base64"]) == (OKTA, letter["answer"], None)
    assert json.loads(event["event"])["uuid"] == poison
    assert json.loads(said(scene, "dead-letters", "list", "--json", "github-audit-log")) == {"dead_letters": []}


@pytest.mark.fuzz
@given(
    rows=st.lists(st.tuples(*[st.none() | st.integers() | st.text(max_size=60)] * 3), min_size=1, max_size=4),
    width=st.integers(20, 300),
)
def test_any_text_is_shown_whole_and_harmless(rows: list[tuple[object, ...]], width: int) -> None:
    import contextlib
    import io
    import os
    from unittest.mock import patch

    shown = io.StringIO()
    with patch.dict(os.environ, {"COLUMNS": str(width)}), contextlib.redirect_stdout(shown):
        show_table("Title", ("one", "two", "three"), rows, empty="nothing")
    text = shown.getvalue()
    assert all(line.isprintable() for line in text.split("\n"))
    for row in rows:
        for cell in row:
            for word in str("" if cell is None else cell).split():
                if word.isprintable():
                    assert word in text
