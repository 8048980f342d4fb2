"""Vendors that live in memory: a client whose answers a test writes, and listings with every bad habit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from flicker_dagster.collect.client import Answer, VendorClient
from flicker_dagster.config.masking import Masker
from flicker_dagster.transport.exchange import Request
from flicker_dagster_tests.builders import a_source

ENDPOINT = "https://vendor.test/events"


class ScriptedClient:
    """Stands for a VendorClient: `answer(url, query)` gives the body, and perhaps `Link` lines."""

    def __init__(
        self,
        answer: Callable[[str, dict[str, str]], Any],
        *,
        endpoint: str = ENDPOINT,
        masker: Masker | None = None,
        most: int = 1_000,
    ) -> None:
        self.endpoint = endpoint
        self.source = a_source()
        self.env: dict[str, str] = {}
        self.masker = masker or Masker([])
        self.urls: list[str] = []
        self.kept: list[bool] = []
        self._answer = answer
        self._most = most

    def now_ms(self) -> int:
        return 1_777_713_247_221

    def resolve(self, template: str) -> str:
        return template

    def say(self, request: Request, what: str) -> str:
        return self.masker.mask(f"test-source: {request.method} {request.url}: {what}")

    def ask(self, request: Request, *, kept: bool = False, further: bool = False) -> Answer:
        url = request.url
        self.urls.append(url)
        self.kept.append(kept)
        assert len(self.urls) <= self._most, "the walk does not end"
        found = self._answer(url, dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)))
        body, links = found if isinstance(found, tuple) else (found, [])
        return Answer({}, body if isinstance(body, bytes) else json.dumps(body).encode(), links, None)


def client_of(scripted: ScriptedClient) -> VendorClient:
    return cast(VendorClient, scripted)


def rows(ids: list[int]) -> list[dict[str, Any]]:
    return [{"id": str(id_), "time": "2026-05-02T09:14:07.221Z"} for id_ in ids]
