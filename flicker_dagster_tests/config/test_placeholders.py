"""Placeholders beside references: filled in one pass, told where they stand for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.placeholders import fill, fill_all, names_in, placeholder_fault
from flicker_dagster.config.secrets import is_secret_key


@given(value=st.text(), secret=st.text())
def test_no_value_is_read_as_a_template(value: str, secret: str) -> None:
    filled = fill("a {token} ${SECRET} $$ {token}", lambda _: value, env={"SECRET": secret})
    assert filled == f"a {value} {secret} $ {value}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{token}", ["token"]),
        ("{key.a.b-c} {date}", ["key.a.b-c", "date"]),
        ('{"json": true} {Upper} {} { token }', []),
        ("${token} ${file:{date}}", []),
    ],
)
def test_names_are_told_from_other_braces(text: str, names: list[str]) -> None:
    assert list(names_in(text)) == names


def test_every_text_inside_a_value_is_filled_and_nothing_else() -> None:
    value = {"a{token}": ["{token}", 7, True, None, {"b": "x{token}"}]}
    assert fill_all(value, lambda name: name.upper(), env={}) == {"a{token}": ["TOKEN", 7, True, None, {"b": "xTOKEN"}]}


def test_an_unknown_name_is_told_with_what_is_known() -> None:
    assert (
        placeholder_fault("{dat} {date}", ("date", "key."))
        == "{dat} stands for nothing here, expected {date} {key.path}"
    )
    assert placeholder_fault("{key.any.path}", ("key.",)) is None


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("auth.key_pem", True),
        ("auth.key_passphrase", True),
        ("auth.refresh_token", True),
        ("auth.headers.DD-API-KEY", True),
        ("auth.json_body.secret", True),
        ("auth.token_field", False),
        ("auth.token_in", False),
        ("auth.token_url", False),
        ("auth.refresh_token_field", False),
        ("auth.explain.expired_token", False),
        ("auth.client_headers", False),
    ],
)
def test_which_keys_of_auth_hold_secrets(path: str, secret: bool) -> None:
    assert is_secret_key(path) is secret
