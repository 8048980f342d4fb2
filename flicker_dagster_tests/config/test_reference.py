"""The README's configuration reference is complete and current."""

from __future__ import annotations

from pathlib import Path

import pytest

import flicker_dagster
from flicker_dagster.config.reference import MEANINGS, SECTIONS, put_into

README = Path(flicker_dagster.__file__).parent.parent / "README.md"


@pytest.mark.parametrize(
    ("path", "description"),
    [
        (prefix + name, field.description)
        for _, prefix, record in SECTIONS
        for name, field in record.model_fields.items()
    ],
)
def test_every_key_has_a_meaning(path: str, description: str | None) -> None:
    assert MEANINGS.get(path) or description


def test_the_readme_holds_the_reference_as_the_models_give_it() -> None:
    text = README.read_text()
    assert put_into(text) == text, "run `make reference`"
