"""Filters judge fields, and decoding only the fields asked about judges as decoding everything does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.collect.filters import EventFilter
from flicker_dagster.types import DecodedPage
from flicker_dagster_tests.builders import a_source

EVENTS = [
    {"type": "login", "outcome": {"result": "SUCCESS"}, "n": 1},
    {"type": "logout", "outcome": {"result": "FAIL"}, "n": 2},
    {"type": "login", "outcome": "FAIL", "tags": ["a", {"deep": True}]},
    {"type": None, "outcome": {"result": ["FAIL", 7]}},
    {"other": "login"},
]


def kept(events: list[Any], **filters: Any) -> list[int]:
    page = DecodedPage(lambda: [json.dumps(event).encode() for event in events], [], [], 0)
    mask = EventFilter(a_source(**filters)).mask(page)
    return list(range(len(events))) if mask is None else [i for i, keep in enumerate(mask) if keep]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"match_on": [{"field": "type", "pattern": "^login$"}]}, [0, 2]),
        ({"match_on": [{"pattern": "login"}]}, [0, 2, 4]),
        ({"match_on": [{"pattern": "^7$"}]}, [3]),
        ({"match_on": [{"pattern": "^true$"}]}, [2]),
        ({"exclude_on": [{"field": "outcome.result", "pattern": "FAIL"}]}, [0, 2, 4]),
        ({"match_on": [{"field": "type", "pattern": "log"}], "exclude_on": [{"field": "n", "pattern": "^2$"}]}, [0, 2]),
        ({"match_on": [{"field": "outcome", "pattern": "FAIL"}]}, [1, 2, 3]),
        (
            {
                "match_on": [
                    {"field": "outcome", "pattern": "SUCCESS"},
                    {"field": "outcome.result", "pattern": "FAIL"},
                ]
            },
            [0, 1, 3],
        ),
    ],
)
def test_filters_judge_the_fields_they_name(filters: dict[str, Any], expected: list[int]) -> None:
    assert kept(EVENTS, **filters) == expected


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just("hit"))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner)
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=5))
def test_a_page_is_judged_as_its_events_are_one_by_one(events: list[Any]) -> None:
    filters: dict[str, Any] = {
        "match_on": [{"field": "a.b", "pattern": "hit|1"}, {"field": "c", "pattern": "t"}],
        "exclude_on": [{"field": "b", "pattern": "2"}],
    }
    assert kept(events, **filters) == [i for i, event in enumerate(events) if kept([event], **filters)]
