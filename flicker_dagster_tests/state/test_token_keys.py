"""Where the keys of tokens come from, and what is told of one that is none."""

from __future__ import annotations

import base64
import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state.token_keys import VARIABLE, token_keys

ONE, TWO = bytes(range(32)), bytes(range(1, 33))


def b64(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_without_a_variable_a_key_file_is_made_once_for_this_user_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        (key,) = token_keys(tmp_path / "work", {})
    finally:
        os.umask(before)
    assert token_keys(tmp_path / "work", {}) == (key,)
    assert stat.S_IMODE((tmp_path / "work" / "token-key").stat().st_mode) == 0o600
    assert token_keys(tmp_path / "other", {}) != (key,)


def test_processes_that_come_at_once_make_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: token_keys(tmp_path, {}), range(16)))) == 1


def test_a_key_file_that_was_open_is_closed_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (key,) = token_keys(tmp_path, {})
    (tmp_path / "token-key").chmod(0o644)
    assert token_keys(tmp_path, {}) == (key,)
    assert stat.S_IMODE((tmp_path / "token-key").stat().st_mode) == 0o600
    assert "could be read by others" in caplog.text


@pytest.mark.parametrize(
    "spelt", [b64(ONE), b64(ONE).rstrip("="), base64.urlsafe_b64encode(ONE).decode(), ONE.hex(), ONE.hex().upper()]
)
def test_a_key_may_be_spelt_in_base64_or_hex(tmp_path: Path, spelt: str) -> None:
    (key,) = token_keys(tmp_path, {VARIABLE: f" {spelt}\n"})
    assert key.secret == ONE
    assert not (tmp_path / "token-key").exists()


def test_several_keys_keep_their_order_and_the_file_s_comes_last(tmp_path: Path) -> None:
    (of_file,) = token_keys(tmp_path, {})
    secret = tmp_path / "secret"
    secret.write_text(f"{b64(TWO)}, {ONE.hex()}\n")
    keys = token_keys(tmp_path, {VARIABLE: f"${{file:{secret}}}"})
    assert [key.secret for key in keys] == [TWO, ONE, of_file.secret]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("hunter2-hunter2", "FLICKER_TOKEN_KEY is no key: found 15 characters"),
        (b64(ONE[:31]), "found 44 characters"),
        (f"{b64(ONE)},hunter2-hunter2", "key 2 of FLICKER_TOKEN_KEY"),
        ("${file:/nowhere/key}", "FLICKER_TOKEN_KEY: .*cannot be read"),
        ("${NOWHERE}", r"\$\{NOWHERE\} is not set"),
        (",", "is no key"),
    ],
)
def test_what_is_no_key_is_told_and_not_shown(
    tmp_path: Path, given: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StateError, match=told) as failed:
        token_keys(tmp_path, {VARIABLE: given})
    assert "hunter2" not in str(failed.value) + caplog.text
    assert b64(ONE) not in str(failed.value)


@pytest.mark.parametrize("text", ["", "\n", "torn"])
def test_a_damaged_key_file_is_told_and_never_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "token-key").write_text(text)
    (tmp_path / "token-key").chmod(0o600)
    with pytest.raises(StateError, match="token-key"):
        token_keys(tmp_path, {})
    assert (tmp_path / "token-key").read_text() == text


def test_a_key_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=f"or set {VARIABLE}"):
        token_keys(tmp_path / "file" / "work", {})


def test_a_key_shows_its_name_only(tmp_path: Path) -> None:
    (key,) = token_keys(tmp_path, {VARIABLE: b64(ONE)})
    assert repr(key) == f"TokenKey({key.key_id})"
    assert list(key.__rich_repr__()) == [key.key_id]
    assert key.key_id not in ONE.hex()
