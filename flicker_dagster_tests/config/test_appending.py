"""A source is added to a configuration whose rest stays as it is, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.appending import CannotAppend, appended

BLOCK = "- name: new\n  vendor: slack\n  destination: siem\n"
ENTRY = {"name": "new", "vendor": "slack", "destination": "siem"}

STYLES = [
    "api_sources:\n  - name: a\n",
    "api_sources:\n- name: a\n",
    "api_sources:\n    -   name: a\n        x:\n          - 1\n          - 2\n",
    "api_sources:\n  - name: a",  # no line break at the end
    "# head\napi_sources:\n  - name: a  # the first\n    # of a\n\n# of what follows\nretry: {max_retries: 1}\n",
    "api_sources:\n  - name: a\n    q: |\n      two\n      lines\n\nnamespace: x\n",
    "api_sources:\n  - name: a\n    q: >-\n      two\n      lines\nnamespace: x\n",
    'api_sources:\n  - name: a\n    q: "two\n      lines"\nnamespace: x\n',
    "api_sources:\n  - {name: a,\n     b: [1,\n 2]}\nnamespace: x\n",
    "namespace: x\napi_sources:\n  - name: a\n  # commented out\n  # - name: b\n",
    "x-b: &b {q: 1}\napi_sources:\n  - name: a\n    <<: *b\nnamespace: x\n",
    "x-b: &b {q: 1}\napi_sources:\n  - name: a\n    r: *b\n",
    "api_sources:\r\n  - name: a\r\nnamespace: x\r\n",
    "---\napi_sources:\n  - name: a\n",
    "api_sources:\n  - name: a\n    t: 'ä → ü'\n\n\n",
    "namespace: x\n",
    "namespace: x",
    "api_sources:\nnamespace: x\n",
    "api_sources:\n  - name: a\n...\n",
    "# nothing but a comment\n",
    "",
]


@pytest.mark.parametrize("text", STYLES)
def test_the_entry_is_the_last_and_the_rest_is_as_before(text: str) -> None:
    new = appended(text, BLOCK)
    before = yaml.safe_load(text) or {}
    assert yaml.safe_load(new) == {**before, "api_sources": [*(before.get("api_sources") or []), ENTRY]}
    assert _without_some_lines(new, text)
    if "\r\n" in text:
        assert new.count("\n") == new.count("\r\n")


def test_comments_stay_with_what_they_are_about() -> None:
    new = appended("api_sources:\n  - name: a\n    # of a\n\n# of retry\nretry: {}\n", BLOCK)
    assert new == (
        "api_sources:\n  - name: a\n    # of a\n"
        "  - name: new\n    vendor: slack\n    destination: siem\n"
        "\n# of retry\nretry: {}\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "api_sources: [{name: a}]\n",
        "api_sources: []\n",
        "{api_sources: [{name: a}]}\n",
        "x: &a {name: a}\napi_sources:\n  - *a\n",
        "- name: a\n",
        "just text\n",
        "api_sources: 5\n",
        "api_sources: ~\nnamespace: x\n",
        "a: [\n",
    ],
)
def test_what_cannot_be_added_to_is_refused(text: str) -> None:
    with pytest.raises(CannotAppend):
        appended(text, BLOCK)


VALUES: Any = st.recursive(
    st.integers()
    | st.booleans()
    | st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["namespace", "x-one", "zz"]), VALUES),
    st.sampled_from([None, False]),
    st.integers(2, 6),
    st.booleans(),
)
def test_any_file_is_added_to_or_refused(
    sources: list[Any], others: dict[str, Any], flow: bool | None, indent: int, sort: bool
) -> None:
    text = yaml.safe_dump(
        {"api_sources": sources, **others}, default_flow_style=flow, indent=indent, sort_keys=sort, allow_unicode=True
    )
    try:
        new = appended(text, BLOCK)
    except CannotAppend:
        return
    assert yaml.safe_load(new)["api_sources"] == [*yaml.safe_load(text)["api_sources"], ENTRY]
    assert _without_some_lines(new, text)


def _without_some_lines(new: str, text: str) -> bool:
    """Is the old text what is left of the new one, when what was put in is taken out?"""
    begin = next((at for at, (one, other) in enumerate(zip(new, text)) if one != other), min(len(new), len(text)))
    behind = len(text) - begin
    return new[:begin] == text[:begin] and (not behind or new.endswith(text[begin:]))
