"""A walk: page after page from a start to the vendor's end, guarded against vendors that never end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Literal

import msgspec

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.ends import is_full, lookalike, must_be_named, names_paging, what_names
from flicker_dagster.collect.paging import Seen, next_cursor, next_state
from flicker_dagster.collect.requests import url_of
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import resolve
from flicker_dagster.errors import BadAnswer, CollectError, CursorRejected, VendorRefused
from flicker_dagster.transport.addresses import BadAddress, follow, is_absolute
from flicker_dagster.types import DecodedPage, Page, WalkState

log = logging.getLogger("flicker.collect")

#: Pages in a row without a new event after which a vendor is taken to go round in circles.
STALE_PAGES = 3


def walk(
    source: SourceConfig, client: VendorClient, state: WalkState, *, seen_before: Callable[[], bool] = lambda: False
) -> Iterator[Page]:
    """Pages from `state` on. Each carries the state of the next, which may be kept and walked from later.

    The last one says whether it may be taken for the end of the data (`Page.unproven`). `seen_before` is asked whether
    an earlier answer under the same configuration held what names the next page.

    A kept cursor that the vendor refuses raises CursorRejected at the first page: start again by time. Other failures
    are CollectErrors; an error while finding the next page is one of them and never the end of the data.
    """
    decoder = PageDecoder(source, mask=client.masker.mask)
    guard = _Guard(source)
    query = {name: resolve(template, env=client.env) for name, template in source.query_params.items()}
    kept = state.cursor is not None
    number = state.page
    named = False
    at: WalkState | None = state
    while at is not None:
        url = _url(source, client, query, at, kept=kept)
        answer = client.get(url, with_cursor=kept)
        kept = False
        try:
            decoded, fields = decoder.decode(answer.body, no_content=answer.no_content)
        except BadAnswer as error:
            raise BadAnswer(client.say(url, str(error))) from None
        seen = Seen(rows=len(decoded), links=answer.links, fields=fields, url=url)
        named = named or names_paging(source, seen)
        unproven: str | None = None
        refused: CollectError | None = None
        try:
            cursor = _cursor(source, at, seen)
            after = next_state(source, at, seen)
        except CollectError as error:  # the events of this page are good, and it is where a later walk goes on
            refused, cursor, after = type(error)(client.say(url, str(error))), None, at
            log.warning("%s", refused)
        else:
            if after is not None and after.cursor is not None:
                after = msgspec.structs.replace(after, cursor=client.masker.seal(after.cursor))
            after, unproven = guard.judge(at, after, decoded)
            if after is None and unproven is None and not named:
                unproven = _why_unproven(source, seen, answer.body, seen_before)
                if unproven is not None and (was_last := _asked_otherwise(source, client, query, at, seen)) is not None:
                    named, unproven = was_last == "names", None
        number += 1
        kept_before = at.cursor if source.pagination.durable_cursor else None  # sealed already
        resume = client.masker.seal(cursor) if cursor else kept_before
        yield Page(decoded, after, resume, answer.vendor_now_ms, number, named, unproven)
        if refused is not None:
            raise refused
        at = after


def _why_unproven(source: SourceConfig, seen: Seen, body: bytes, seen_before: Callable[[], bool]) -> str | None:
    """Why a page that names no next one may not be the end of the data; None where it is."""
    if not must_be_named(source) or not seen.rows:
        return None
    meant = lookalike(source, seen, body)
    if (meant is None and not is_full(source, seen.rows)) or seen_before():
        return None
    what = f"the last page has {seen.rows} events (page_size {source.pagination.page_size}) and no {what_names(source)}"
    why = "which no answer has held so far" if meant is None else f"but it has {meant!r}"
    return f"{what}, {why}: there may be more. Check the pagination of this source"


def _asked_otherwise(
    source: SourceConfig, client: VendorClient, query: dict[str, str], at: WalkState, seen: Seen
) -> Literal["names", "no second"] | None:
    """What shows that a full page was the last one; None where nothing does.

    Asked for one event less than it just gave, a vendor has to name a next page, if it heeds the page size and names next
    pages the way the source says. Of one event there is no less: asked for two, it must have no second.
    """
    paging = source.pagination
    if not paging.limit_param or not is_full(source, seen.rows) or (at.cursor is not None and is_absolute(at.cursor)):
        return None
    size = seen.rows - 1 or 2
    other = source.model_copy(update={"pagination": paging.model_copy(update={"page_size": size})})
    try:
        url = _url(other, client, query, at, kept=False)
        answer = client.get(url)
        decoded, fields = PageDecoder(other).decode(answer.body)
    except CollectError as error:
        log.debug("%s: whether a full page was the last one cannot be told: %s", source.name, error)
        return None
    if names_paging(other, Seen(rows=len(decoded), links=answer.links, fields=fields, url=url)):
        return "names"
    return "no second" if seen.rows == 1 == len(decoded) else None


def _url(source: SourceConfig, client: VendorClient, query: dict[str, str], state: WalkState, *, kept: bool) -> str:
    if state.cursor is None:
        return url_of(source, client.endpoint, query, state, now_ms=client.now_ms())
    cursor = client.masker.unseal(state.cursor)
    if is_absolute(cursor):
        try:
            cursor = follow(cursor, client.endpoint)
        except BadAddress as error:
            wrong = CursorRejected if kept else VendorRefused
            which = f"the {'kept' if kept else 'next'} link {error}; it is not followed"
            raise wrong(client.say(client.endpoint, which)) from None
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

    def judge(
        self, at: WalkState, after: WalkState | None, decoded: DecodedPage
    ) -> tuple[WalkState | None, str | None]:
        """`after`, or None where going on would bring nothing; and why that may not be the end of the data."""
        if after is None:
            return None, None
        if at.cursor is not None:
            self._cursors.add(_digest(at.cursor))
        if decoded.digests or after.cursor is None:
            self._stale = self._stale + 1 if self._is_stale(decoded.digests) else 0
        if self._stale >= STALE_PAGES:  # an API that ignores its paging parameter sends the same page for ever
            log.info("%s: %d pages in a row without a new event; the walk ends there", self._source.name, STALE_PAGES)
            return None, self._unproven(decoded, f"{STALE_PAGES} pages in a row brought no new event")
        if after.cursor is not None and _digest(after.cursor) in self._cursors:
            log.info("%s: the vendor repeats a cursor; the walk ends there", self._source.name)
            if after.cursor != at.cursor:  # the same cursor again is how some say that nothing follows; a circle is not
                return None, "the next page that the vendor names is one that was read before: there may be more"
            return None, self._unproven(decoded, "the vendor names a page that was read before")
        return after, None

    def _unproven(self, decoded: DecodedPage, why: str) -> str | None:
        """A full page that comes again: the vendor may not heed the parameter that asks for the next one."""
        paging = self._source.pagination
        if not is_full(self._source, len(decoded)):
            return None
        param = paging.cursor_param or paging.page_param or paging.offset_param
        named = f" (does the vendor take {param}?)" if param else ""
        return f"{why}, and the pages are full: there may be more. Check the pagination of this source{named}"

    def _is_stale(self, digests: list[bytes]) -> bool:
        """Did this page, as a whole or within the last one, come before?"""
        page = blake2b(b"".join(digests), digest_size=16).digest()
        stale = not digests or page in self._pages or (digests[0] in self._last and set(digests) <= set(self._last))
        self._pages.add(page)
        self._last = digests
        return stale


def _digest(cursor: str) -> bytes:
    return blake2b(cursor.encode("utf-8", "surrogatepass"), digest_size=16).digest()
