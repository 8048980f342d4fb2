"""Questions to an API that nobody has described yet, made by the same code that collects: with what is known so far as the
source."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from flicker_dagster.collect.client import Answer, VendorClient
from flicker_dagster.collect.decode import BYTE_ORDER_MARK, fields_of
from flicker_dagster.collect.paging import Seen, next_state, paths_of
from flicker_dagster.collect.requests import RequestMaker
from flicker_dagster.collect.shapes import inflated
from flicker_dagster.collect.walk import walk
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import FlickerError, RateLimited
from flicker_dagster.infer.rows import Rows
from flicker_dagster.transport.exchange import Request
from flicker_dagster.types import WalkState

#: So many requests are made at most, whatever is to be found out.
MOST_REQUESTS = 40


class Enough(FlickerError):
    """The vendor asks to wait, or has been asked often enough: what is known by now is what there is."""


class Asked(msgspec.Struct, frozen=True):
    """A request, and its answer."""

    request: Request
    answer: Answer


class Asker:
    """Asks with what is known. `env` stands for the environment in which references are looked up."""

    def __init__(self, *, env: Mapping[str, str], client: Callable[[SourceConfig], VendorClient] | None = None) -> None:
        self._env = env
        self._client_of = client or (lambda source: VendorClient(source, env=env))
        self.requests = 0

    def ask(self, raw: dict[str, Any], state: WalkState) -> Asked:
        """One request of a source. Raises FlickerError, Enough."""
        source = self._source(raw)
        client = self._opened(source)
        try:
            maker = RequestMaker(source.listing, client.endpoint, client.resolve)
            request = maker.request(state, now_ms=client.now_ms())
            answer = client.ask(request)
            body = inflated(answer.body, at_most_bytes=source.limits.page_bytes)
            answer.body = body.removeprefix(BYTE_ORDER_MARK)
            return Asked(request, answer)
        except RateLimited as error:
            raise Enough(str(error)) from None
        finally:
            self.requests += client.requests_made
            client.close()

    def page(self, raw: dict[str, Any], state: WalkState) -> Rows:
        """The events of one page, as a walk reads them. Raises FlickerError, Enough."""
        source = self._source(raw)
        client = self._opened(source)
        try:
            for page in walk(source.listing, client, state, seen_before=lambda: True):
                return [json.loads(bytes(event)) for event in page.decoded.events]
            return []
        except RateLimited as error:
            raise Enough(str(error)) from None
        finally:
            self.requests += client.requests_made
            client.close()

    def after(self, raw: dict[str, Any], first: Asked, state: WalkState, rows: Rows) -> WalkState | None:
        """The state of a walk behind its first page. Raises FlickerError."""
        paging = self._source(raw).listing.paging
        fields = fields_of(first.answer.body, paths_of(paging))
        last = msgspec.json.encode(rows[-1]) if rows else None
        answer = first.answer
        seen = Seen(len(rows), answer.links, fields, first.request.url, answer.headers, last)
        return next_state(paging, state, seen)

    def _opened(self, source: SourceConfig) -> VendorClient:
        if self.requests >= MOST_REQUESTS:
            raise Enough(f"{self.requests} requests were made")
        return self._client_of(source)

    def _source(self, raw: dict[str, Any]) -> SourceConfig:
        whole = {"timestamp_field": "timestamp", **raw}
        whole |= {"polling_frequency_ms": 60_000, "vendor": "generic", "destination": {"type": "stdout"}}
        return parse_config(json.dumps({"api_sources": [whole]}), path="the question", env=self._env).sources[0]
