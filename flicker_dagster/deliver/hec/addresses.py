"""Addresses of the collector's endpoints, from the one that is configured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_COLLECTOR = re.compile(r"/services/collector(/(event|raw|ack|health))?(/1\.0)?/*$")


def collector_url(
    url: str, endpoint: Literal["event", "raw", "ack"], parameters: Mapping[str, str] | None = None
) -> str:
    """The endpoint's address below a server's `url`, which may name the collector itself, too."""
    parts = urlsplit(url)
    path = _COLLECTOR.sub("", parts.path).rstrip("/")
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *(parameters or {}).items()])
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/services/collector/{endpoint}", query, ""))
