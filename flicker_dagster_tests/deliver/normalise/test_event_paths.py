"""Paths into events: what they find, what they take away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flicker_dagster.deliver.normalise.event_paths import EventPath


@pytest.mark.parametrize("path", ["", "a[b]", "a[b=c", "a]", "a[b=c]d", "a[b=c].", "[b=c]", "a[b=c].d[e]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        EventPath(path)


@pytest.mark.parametrize(
    ("path", "found", "left"),
    [
        (
            "a.b",
            1,
            {"a": {"c": 2}, "l": [{"t": "X"}, {"t": "Y", "v": {"w": 3}}, 4], "n": [{"k": 5, "m": [{"q": "r"}]}]},
        ),
        ("l[t=Y].v.w", 3, None),
        ("l[t=Z|Y].t", "Y", None),
        ("l[t=Z].t", None, None),
        ("a[t=Z].t", None, None),
        ("a[c=2].b", 1, None),
        ("a[c=3].b", None, None),
        ("n[k=5].m[q=r].q", "r", None),
        ("n[k=5].m[q=s].q", None, None),
        ("n[k=True].k", None, None),
        ("a.x", None, None),
    ],
)
def test_a_path_reads_and_takes(path: str, found: Any, left: Any) -> None:
    value: dict[str, Any] = {
        "a": {"b": 1, "c": 2},
        "l": [{"t": "X"}, {"t": "Y", "v": {"w": 3}}, 4],
        "n": [{"k": 5, "m": [{"q": "r"}]}],
    }
    before = json.loads(json.dumps(value))
    assert EventPath(path).of(value) == found
    EventPath(path).take_from(value)
    assert value == (before if left is None else left)
