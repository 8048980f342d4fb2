"""Ways to sign that no record knows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flicker_dagster.config.auth.base import AuthRecord
from flicker_dagster.config.records import Template


class PartAuth(AuthRecord):
    """A signature that Python of yours makes, where no other way fits: a part that an installed package registers
    ([how](parts.md))."""

    type: Literal["part"]
    name: str = Field(min_length=1, description="the part's name, an entry point of the group `flicker.parts`")
    keys: dict[str, Template] = Field(
        default_factory=dict, description="what the part is given, secrets in place; templates"
    )
