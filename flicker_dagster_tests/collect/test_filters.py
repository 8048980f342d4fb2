"""Filters judge fields, and decoding only the fields asked about judges as decoding everything does."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.patterns import BadPattern, compiled
from flicker_dagster.types import DecodedPage
from flicker_dagster_tests.builders import a_decoder, a_filter, a_source

EVENTS = [
    {"type": "login", "outcome": {"result": "SUCCESS"}, "n": 1},
    {"type": "logout", "outcome": {"result": "FAIL"}, "n": 2},
    {"type": "login", "outcome": "FAIL", "tags": ["a", {"deep": True}]},
    {"type": None, "outcome": {"result": ["FAIL", 7]}},
    {"other": "login"},
]


def kept(events: list[Any], **filters: Any) -> list[int]:
    page = DecodedPage(lambda: [json.dumps(event).encode() for event in events], [], [], 0)
    mask = a_filter(**filters).mask(page)
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


@given(st.lists(SCALARS, min_size=1, max_size=5))
def test_a_page_is_judged_the_same_once_its_values_are_remembered(values: list[Any]) -> None:
    judge = a_filter(match_on=[{"field": "a", "pattern": "hit|1"}], exclude_on=[{"field": "a", "pattern": "2"}])
    events = [json.dumps({"a": value}).encode() for value in values]
    page = DecodedPage(lambda: events, [], [], 0)
    assert judge.mask(page) == judge.mask(page) == judge.mask(page)


# -- the language of patterns


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\w+$", "José", True),
        (r"^[\w.-]+$", "жёлтый-1.x", True),
        (r"^[^\W\d_]+$", "José", True),
        (r"^[^\W\d_]+$", "Jos3", False),
        (r"^[\Wx]+$", "-x ", True),
        (r"^[\S]+$", "a b", False),
        (r"\d", "٣", True),
        (r"^\D$", "٣", False),
        (r"a\sb", "a\u00a0b", True),
        (r"(?i)ÉCOLE", "école", True),
        (r"end$", "end\n", False),
        (r"end\Z", "end", True),
        (r"\u00e9", "é", True),
        (r"[\u0430-\u044f]", "ж", True),
        (r"^a{,2}$", "aa", True),
        (r"[]x]", "]", True),
        (r"[^]x]", "]", False),
        (r"[[:alpha:]]", "a", True),
        (r"\[\w\]", "[a]", True),
        (r"\\d", r"\d", True),
        (r"\Qa.b\E", "axb", False),
        (r"\p{Greek}", "λ", True),
        ("half", "half \ud83d", True),
    ],
)
def test_patterns_mean_what_the_documented_product_means_by_them(pattern: str, text: str, found: bool) -> None:
    assert compiled(pattern).found_in(text) is found


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a(?=b)", "look-ahead"),
        ("(?<!a)b", "look-ahead and look-behind"),
        (r"(a)\1", "backreferences"),
        ("(?P<x>a)(?P=x)", "backreferences"),
        ("a*+", "possessive"),
        ("(?x) a", "verbose"),
        ("a{2000}", "1000 repetitions"),
        ("[a&&b]", "&&"),
        ("(", "unterminated"),
        ("\ud800", "surrogate"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_in_words(pattern: str, why: str) -> None:
    with pytest.raises(BadPattern, match=why):
        compiled(pattern)


def test_an_event_with_a_value_too_long_to_search_is_kept_and_told(caplog: pytest.LogCaptureFixture) -> None:
    events = [{"type": "x" * 2_000_000}, {"type": "login"}, {"type": "logout"}]
    assert kept(events, match_on=[{"field": "type", "pattern": "log[i]n"}]) == [0, 1]
    assert kept(events, exclude_on=[{"field": "type", "pattern": "x|login"}]) == [0, 2]
    assert kept(events, exclude_on=[{"pattern": "x|login"}]) == [0, 2]
    assert len(caplog.messages) == 3
    assert "too long for match_on and exclude_on" in caplog.text
    assert "xxx" not in caplog.text


@pytest.mark.parametrize("pattern", [r"^(a+)+$", r"(a|a)*b", r"(.*)*x", r"(\w+\s?)*!", r"^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_no_text_makes_a_search_slow(pattern: str) -> None:
    search = compiled(pattern)
    began_s = time.process_time()
    for _ in range(10):
        search.found_in("a" * 100_000 + "?")
    assert time.process_time() - began_s < 5


def test_events_no_decoder_reads_are_judged_by_their_fields() -> None:
    events = [
        b'{"type":"login","x":NaN}',
        rb'{"type":"logout","x":"\q"}',
        b'{"type":"login","x":' + b"[" * 990 + b"]" * 990 + b"}",
        rb'{"type":"\ud800login"}',
        b'{"a":{"type":"logout"},"x":"\x01"}',
    ]
    page, _ = a_decoder(a_source()).decode(b"[" + b",".join(events) + b"]")
    assert a_filter(match_on=[{"field": "type", "pattern": "login"}]).mask(page) == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert a_filter(exclude_on=[{"pattern": "logout"}]).mask(page) == [True, False, True, True, False]


patterns = st.recursive(
    st.sampled_from(
        ["a", ".", r"\d", r"\w", r"\W", r"\s", "[^a]", r"[\W_]", r"\b", "^", "$", "é", r"\x{1F600}", "(?i)x"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2,9}", "*?"])).map(lambda both: f"(?:{both[0]}){both[1]}"),
    ),
    max_leaves=8,
)


@pytest.mark.fuzz
@given(patterns | st.text(max_size=12), st.text() | st.from_regex(r"[ab\ud800-\udfff]*"), st.binary(max_size=20))
def test_a_pattern_is_refused_or_judges_every_text(pattern: str, text: str, odd: bytes) -> None:
    try:
        found = compiled(pattern).found_in(text)
    except BadPattern:
        return
    assert found in (True, False)
    event = b'{"type":"' + odd.replace(b'"', b"").replace(b"\\", b"") + b'"}'
    page, _ = a_decoder(a_source()).decode(b"[" + event + b"]")
    assert len(a_filter(match_on=[{"pattern": pattern}]).mask(page) or []) == 1
