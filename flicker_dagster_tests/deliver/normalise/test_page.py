"""The page of examples shows what is really sent."""

from __future__ import annotations

from pathlib import Path

import flicker_dagster
from flicker_dagster_tests.deliver.normalise.page import EVENT, page, sent

PAGE = Path(flicker_dagster.__file__).parent.parent / "docs/destinations/normalise.md"


def test_the_page_holds_the_examples_as_they_are_sent() -> None:
    assert PAGE.read_text() == page(), "run `make reference`"


def test_the_examples_are_what_the_page_says_of_them() -> None:
    ecs, ocsf = sent({"normalise": "ecs"}), sent({"normalise": "ocsf"})
    assert ecs["event"]["category"] == ["authentication"]
    assert (ocsf["class_name"], ocsf["activity_name"]) == ("Authentication", "Logon")
    assert ecs["event"]["id"] == ocsf["metadata"]["uid"]
    assert sent({}) == EVENT
