"""The table of `flicker status`: streams stand below their source, in any width, and a cause of a failure costs no table."""

from __future__ import annotations

import pytest

from flicker_dagster.cli.source_status import LastRun, SourceStatus
from flicker_dagster.cli.status_table import show_statuses
from flicker_dagster.types import Position

WHY = "google/token: GET https://admin.invalid/activities: HTTP 403: the token may not read this, whatever it is " * 2
NOW_MS = 1_777_712_047_000


def stands(source: str, *, error: str | None = None, waiting: int = 0) -> SourceStatus:
    name, _, stream = source.partition("/")
    run = LastRun("a-run", "live", "failure" if error else "success", NOW_MS - 9_000, error)
    position = Position("2026-05-02T08:34:07.000Z", None)
    return SourceStatus(source, name, stream, position, NOW_MS, run, waiting, (), ["2026-05-02-08"])


FOUND = [
    stands("okta"),
    stands("google/login", waiting=2),
    stands("google/token", error=WHY, waiting=3),
    stands("zoom/only"),
]


def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    show_statuses(FOUND, dagster_ran=True)
    return capsys.readouterr().out


def test_streams_stand_below_their_source(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(monkeypatch, capsys, 140)
    names = [line.split("│")[1].rstrip() for line in text.splitlines() if line.startswith("│")]
    assert names == [" okta", " google", "   login", "   token", " zoom/only"]
    [head] = [line for line in text.splitlines() if " google " in line]
    assert [cell.strip() for cell in head.split("│")][2] == "2 streams"
    assert [cell.strip() for cell in head.split("│")][5] == "5", "what waits of all streams"


def test_a_cause_stands_below_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(monkeypatch, capsys, 140)
    assert text.count("HTTP 403") == 2, "the sentence has it twice, and stands there once"
    assert text.splitlines()[-1].startswith("google/token: GET")


def test_a_narrow_terminal_has_a_line_for_each_stream(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(monkeypatch, capsys, 80)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "google, 2 streams" in text
    assert "google/login" not in text
    [login] = [line for line in text.splitlines() if line.startswith("  login ")]
    assert "2026-05-02T08:34:07.000Z, lag 20 min" in login
    assert "HTTP 403" in text


def test_a_stream_without_siblings_keeps_its_whole_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "zoom/only" in shown(monkeypatch, capsys, 80)
