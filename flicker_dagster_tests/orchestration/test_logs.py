"""Whatever is logged, a record is one line, and a stack can be told from it."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.cli.relay import OWN_LINE
from flicker_dagster.errors import ConfigError, VendorRefused
from flicker_dagster.orchestration.logs import FORMAT, OneLine

FORMATTER = OneLine(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S%z")


def logged(message: str, *arguments: object, error: BaseException | None = None) -> list[str]:
    info = None if error is None else (type(error), error, error.__traceback__)
    return FORMATTER.format(logging.LogRecord("flicker.x", logging.INFO, "", 0, message, arguments, info)).split("\n")


@pytest.mark.fuzz
@given(st.text())
def test_any_text_is_one_line_without_control_characters(text: str) -> None:
    [line] = logged("%s", text)
    assert OWN_LINE.match(line)
    assert line.isprintable()


@pytest.mark.fuzz
@given(st.text())
def test_an_error_s_own_text_forges_no_record(text: str) -> None:
    try:
        raise ValueError(f"{text}\n2026-01-01T00:00:00+0000 INFO    Shipped 999 events\x1b[2J")
    except ValueError as error:
        first, *rest = logged("it failed", error=error)
    assert OWN_LINE.match(first)
    assert rest[0] == "Traceback (most recent call last):"
    assert not any(OWN_LINE.match(line) for line in rest)
    assert all(line.isprintable() for line in rest)


@pytest.mark.fuzz
@given(st.text())
def test_the_message_of_an_error_of_ours_is_one_line(text: str) -> None:
    assert str(VendorRefused(text)).isprintable()
    assert all(problem.isprintable() for problem in ConfigError([text, text]).problems)
    assert len(str(ConfigError([text, text])).split("\n")) == 2
