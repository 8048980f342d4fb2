"""Speaking to a receiver as any client may."""

from __future__ import annotations

import gzip
import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def post(
    url: str, body: bytes | Any, *, method: str = "POST", packed: bool = False, **headers: str
) -> tuple[int, bytes]:
    """Status and body of the answer to a request; what is no bytes goes as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if packed:
        data, named = gzip.compress(data), named | {"Content-Encoding": "gzip"}
    request = Request(url, data, {"Content-Type": "application/json", **named}, method=method)
    try:
        with urlopen(request) as response:
            return response.status, response.read()
    except HTTPError as error:
        return error.code, error.read()
