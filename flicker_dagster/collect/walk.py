"""A walk: page after page from a start to the vendor's end, guarded against vendors that never end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from flicker_dagster.addresses import BadAddress, follow, is_absolute
from flicker_dagster.collect.client import VendorClient
from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.paging import Seen, next_cursor, next_state
from flicker_dagster.collect.requests import url_of
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import resolve
from flicker_dagster.errors import BadAnswer, CollectError, CursorRejected, VendorRefused
from flicker_dagster.types import DecodedPage, Page, WalkState

log = logging.getLogger("flicker.collect")

#: Pages in a row without a new event after which a vendor is taken to go round in circles.
STALE_PAGES = 3


def walk(source: SourceConfig, client: VendorClient, state: WalkState) -> Iterator[Page]:
    """Pages from `state` on. Each carries the state of the next, which may be kept and walked from later.

    A kept cursor that the vendor refuses raises CursorRejected at the first page: start again by time. Other failures
    are CollectErrors; an error while finding the next page is one of them and never the end of the data.
    """
    decoder = PageDecoder(source, mask=client.masker.mask)
    guard = _Guard(source)
    query = {name: resolve(template, env=client.env) for name, template in source.query_params.items()}
    kept = state.cursor is not None
    number = state.page
    at: WalkState | None = state
    while at is not None:
        url = _url(source, client, query, at, kept=kept)
        answer = client.get(url, with_cursor=kept)
        kept = False
        try:
            decoded, fields = decoder.decode(answer.body, no_content=answer.no_content)
        except BadAnswer as error:
            raise BadAnswer(f"{source.name}: {client.masker.mask(f'GET {url}: {error}')}") from None
        seen = Seen(rows=len(decoded), links=answer.links, fields=fields, url=url)
        refused: CollectError | None = None
        try:
            cursor = _cursor(source, at, seen)
            after = next_state(source, at, seen)
        except CollectError as error:  # the events of this page are good, and it is where a later walk goes on
            log.warning("%s", error)
            refused, cursor, after = error, None, at
        else:
            if after is not None and after.cursor is not None:
                after = msgspec.structs.replace(after, cursor=client.masker.seal(after.cursor))
            after = guard.judge(at, after, decoded)
        number += 1
        resume = cursor or (at.cursor if source.pagination.durable_cursor else None)
        yield Page(decoded, after, client.masker.seal(resume) if resume else None, answer.vendor_now_ms, number)
        if refused is not None:
            raise refused
        at = after


def _url(source: SourceConfig, client: VendorClient, query: dict[str, str], state: WalkState, *, kept: bool) -> str:
    if state.cursor is None:
        return url_of(source, client.endpoint, query, state, now_ms=client.now_ms())
    cursor = client.masker.unseal(state.cursor)
    if is_absolute(cursor):
        try:
            cursor = follow(cursor, client.endpoint)
        except BadAddress as error:
            wrong = CursorRejected if kept else VendorRefused
            raise wrong(f"{source.name}: the {'kept' if kept else 'next'} link {error}; it is not followed") from None
    return url_of(source, client.endpoint, query, msgspec.structs.replace(state, cursor=cursor), now_ms=client.now_ms())


def _cursor(source: SourceConfig, state: WalkState, seen: Seen) -> str | None:
    """A durable cursor to start the next poll from: the vendor's next one, even if this page was the last."""
    return next_cursor(source, state, seen) if source.pagination.durable_cursor else None


class _Guard:
    """Every walk ends: a repeated cursor, or pages seen before, mean that the vendor goes round in circles.

    One page without news proves nothing: where events arrive while a listing is read, whole pages come again. A few in
    a row do. Pages without any event count only where we do the counting; a filtering vendor may send many of them, each
    with a cursor of its own.
    """

    def __init__(self, source: SourceConfig) -> None:
        self._source = source
        self._cursors: set[bytes] = set()  # digests: a vendor chooses how long its cursors are
        self._pages: set[bytes] = set()
        self._last: list[bytes] = []
        self._stale = 0

    def judge(self, at: WalkState, after: WalkState | None, decoded: DecodedPage) -> WalkState | None:
        """`after`, or None where going on would bring nothing."""
        if after is None:
            return None
        if at.cursor is not None:
            self._cursors.add(_digest(at.cursor))
        if decoded.digests or after.cursor is None:
            self._stale = self._stale + 1 if self._is_stale(decoded.digests) else 0
        if self._stale >= STALE_PAGES:  # an API that ignores its paging parameter sends the same page for ever
            log.info("%s: %d pages in a row without a new event; the walk ends there", self._source.name, STALE_PAGES)
            return None
        if after.cursor is not None and _digest(after.cursor) in self._cursors:
            log.info("%s: the vendor repeats a cursor; the walk ends there", self._source.name)
            return None
        return after

    def _is_stale(self, digests: list[bytes]) -> bool:
        """Did this page, as a whole or within the last one, come before?"""
        page = blake2b(b"".join(digests), digest_size=16).digest()
        stale = not digests or page in self._pages or (digests[0] in self._last and set(digests) <= set(self._last))
        self._pages.add(page)
        self._last = digests
        return stale


def _digest(cursor: str) -> bytes:
    return blake2b(cursor.encode("utf-8", "surrogatepass"), digest_size=16).digest()
