"""Asking a simulated vendor as any HTTP client would, by the name of the vendor's own server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import requests

from flicker_dagster.simulator.vendor import Vendor


def ask(
    vendor: Vendor,
    host: str,
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    bearer: str | None = None,
    query: Any = None,
    **options: Any,
) -> requests.Response:
    named = {"Host": host, **({} if bearer is None else {"Authorization": f"Bearer {bearer}"}), **(headers or {})}
    return requests.request(
        method, vendor.url + path, params=query, headers=named, timeout=5, allow_redirects=False, **options
    )


def pages(first: Any, following: Callable[[Any], Any]) -> Iterator[Any]:
    """Answer after answer, until `following` says None. Never more than a hundred: a walk ends."""
    answer = first
    for _ in range(100):
        yield answer
        answer = following(answer)
        if answer is None:
            return
    raise AssertionError("the walk does not end")
