"""Speaking to a simulated vendor as any client does, by the vendor's own addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import requests

from flicker_dagster.simulator.vendor import Vendor


def call(
    vendor: Vendor,
    url: str,
    params: Any = None,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    **body: Any,
) -> requests.Response:
    """The answer of the simulated vendor to a request for one of the real one's URLs."""
    parts = urlsplit(url)
    target = vendor.url + parts.path + (f"?{parts.query}" if parts.query else "")
    named = {"Host": parts.netloc, **(headers or {})}
    return requests.request(method, target, params=params, headers=named, timeout=5, **body)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def walked(first: Any, following: Callable[[Any], Any]) -> Iterator[Any]:
    """Answer after answer, until `following` says None. A walk that does not end fails."""
    answer = first
    for _ in range(100):
        yield answer
        answer = following(answer)
        if answer is None:
            return
    raise AssertionError("the walk does not end")
