"""What --validate says of spans and paging fields."""

from __future__ import annotations

from typing import Any

import pytest

from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.spans import check_paging_fields, notes_of
from flicker_dagster.config.vocabulary import Origin, Paging, Place, RequestKeys
from flicker_dagster_tests.builders import a_source

HOUR_MS = 3_600_000
UNTIL: dict[str, Any] = {"time_filter_until_param": "until"}


@pytest.mark.parametrize(
    ("source", "key", "words"),
    [
        ({"slice_ms": HOUR_MS}, "slice_ms", "no upper bound is sent"),
        (UNTIL | {"slice_ms": 60_000, "time_filter_format": "%Y-%m-%dT%H"}, "slice_ms", "an hour at least"),
        (UNTIL | {"slice_ms": HOUR_MS, "lookback_ms": HOUR_MS}, "slice_ms", "lookback_ms (3600000)"),
        (UNTIL | {"time_filter_format": "%Y-%m-%d"}, "time_filter_format", "when their day is over"),
        (UNTIL | {"slice_ms": HOUR_MS}, None, ""),
        ({"request": RequestKeys(end=Place(at="to")), "slice_ms": HOUR_MS}, None, ""),
        ({"request": RequestKeys(body={"to": "{end:%Y-%m-%d}"}), "slice_ms": HOUR_MS}, None, ""),
        ({"query_params": {"q": "{start}/{end}"}, "slice_ms": HOUR_MS}, None, ""),
        (UNTIL | {"time_filter_format": "%Y-%m-%d", "time_filter_until_future": True}, None, ""),
    ],
)
def test_an_effect_that_a_key_does_not_show_is_noted(source: dict[str, Any], key: str | None, words: str) -> None:
    notes = notes_of(a_source(**source))
    assert [found for found, _ in notes] == ([key] if key else [])
    assert all(words in said for _, said in notes)


@pytest.mark.parametrize(
    ("results_field", "next_cursor_field", "words"),
    [
        ("", "next", "results_field is empty"),
        ("data.events", "data.events.next", "in or around results_field"),
        ("data.events", "data", "in or around results_field"),
        ("data.events", "data.next", None),
        ("value", "@odata.nextLink", None),
        ("value", "values", None),
    ],
)
def test_a_paging_field_that_cannot_be_right_is_a_fault(
    results_field: str, next_cursor_field: str, words: str | None
) -> None:
    paging = Pagination(pagination_type="cursor", cursor_param="c", next_cursor_field=next_cursor_field)
    found = check_paging_fields(a_source(results_field=results_field, pagination=paging))
    assert [key for key, _ in found] == (["pagination.next_cursor_field"] if words else [])
    assert words is None or words in found[0][1]


@pytest.mark.parametrize(
    ("paging", "key"),
    [
        (Paging(cursor=Place(at="cursor")), "paging.cursor"),
        (Paging(following=Origin(at="next")), "paging.following"),
        (Paging(cursor=Place(at="cursor"), following=Origin(at="next")), None),
        (Paging(following=Origin(at="next", gives="url")), None),
        (Paging(page=Place(at="page")), None),
        (Paging(limit=Place(at="limit")), None),
    ],
)
def test_a_cursor_that_comes_from_nowhere_or_goes_nowhere_is_a_fault(paging: Paging, key: str | None) -> None:
    """It would read the first page for ever."""
    assert [found for found, _ in check_paging_fields(a_source(paging=paging))] == ([key] if key else [])


def test_a_cursor_that_a_template_sends_goes_somewhere() -> None:
    source = a_source(paging=Paging(following=Origin(at="next")), request=RequestKeys(body={"after": "{cursor}"}))
    assert check_paging_fields(source) == []
