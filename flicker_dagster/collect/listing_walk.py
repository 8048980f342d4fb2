"""The walk of one listing: page after page from a start to the vendor's end, guarded against vendors that never end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import msgspec

from flicker_dagster.collect.bounds import from_bound_ms
from flicker_dagster.collect.circles import Guard
from flicker_dagster.collect.client import Answer, VendorClient
from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.ends import is_full, leads_nowhere, lookalike, must_be_named, names_paging, what_names
from flicker_dagster.collect.identity import digests_of_texts
from flicker_dagster.collect.objects import NoObjects, Objects, ObjectStep, called
from flicker_dagster.collect.paging import (
    Seen,
    begun_anew,
    is_behind_start,
    is_cut_off,
    next_cursor,
    next_state,
    origins_of,
    paths_of,
)
from flicker_dagster.collect.requests import RequestMaker
from flicker_dagster.collect.shapes import inflated
from flicker_dagster.config.listing import Listing
from flicker_dagster.errors import BadAnswer, CollectError, CursorRejected, NotSetUp, VendorRefused
from flicker_dagster.transport.addresses import BadAddress, follow, is_absolute
from flicker_dagster.transport.exchange import Request
from flicker_dagster.types import DecodedPage, Page, WalkState

log = logging.getLogger("flicker.collect")


class ListingWalk:
    """Walks of one listing: what they share is how requests are made and answers read. `endpoint` is the source's where no
    other is named; of `objects` that were fetched before none is fetched again."""

    def __init__(
        self,
        listing: Listing,
        client: VendorClient,
        *,
        endpoint: str | None = None,
        seen_before: Callable[[], bool] = lambda: False,
        windows: bool = False,
        objects: Objects | None = None,
    ) -> None:
        self.client = client
        self.listing = listing
        self.endpoint = client.endpoint if endpoint is None else endpoint
        self.maker = RequestMaker(listing, self.endpoint, client.resolve, windows=windows)
        self._name = client.source.name
        self._seen_before = seen_before
        self._windows = windows
        self._objects = objects or NoObjects()
        self._number = 0
        self._named = False
        paths = paths_of(listing.paging)
        each = listing.each
        self._step = None if each is None else ObjectStep(client, self.maker, each, listing.rows, paths)
        self._decoder = PageDecoder(listing.rows, paths, mask=client.masker.mask)

    def pages(self, state: WalkState, *, kept: bool, member: Any = None) -> Iterator[Page]:
        """The pages of one listing from a state on."""
        client, paging = self.client, self.listing.paging
        guard = Guard(self._name, paging)
        self._decoder.begin(b"" if state.member is None else digests_of_texts([state.member])[0])
        self._decoder.go_on(state.equal_rows)
        self._number = max(self._number, state.page)
        at: WalkState | None = state
        while at is not None:
            request = self._request(at, kept=kept, member=member)
            answer = self._ask(request, kept=kept, further=at.paged)
            kept = False
            try:
                decoded, listed, fields = self._decoded(answer)
            except BadAnswer as error:
                raise BadAnswer(client.say(request, str(error))) from None
            rows = len(decoded) if listed is None else len(listed)
            seen = self._seen(answer, decoded, rows, fields, request.url)
            self._named = self._named or names_paging(paging, seen)
            unproven: str | None = None
            refused: CollectError | None = None
            try:
                cursor = next_cursor(paging, seen) if paging.durable else None
                after = next_state(paging, at, seen)
            except CollectError as error:  # the events of this page are good, and it is where a later walk goes on
                refused, cursor, after = type(error)(client.say(request, str(error))), None, at
                log.warning("%s", refused)
            else:
                if after is not None and after.cursor is not None:
                    after = msgspec.structs.replace(after, cursor=client.masker.seal(after.cursor))
                if after is not None:
                    after = msgspec.structs.replace(after, equal_rows=self._decoder.equal_rows(decoded))
                after, unproven = guard.judge(at, after, decoded.digests if listed is None else self._ids(listed), seen)
                if is_behind_start(paging, at, decoded.times_ms):
                    after = unproven = None
                elif is_cut_off(paging, at, seen):
                    after, unproven = self._begun_anew(at, decoded)
                    guard = Guard(self._name, paging)  # the events of its first instant come again
                elif after is None and unproven is None and not self._named:
                    unproven = self._why_unproven(seen, answer.body)
                    if unproven is not None and (was_last := self._asked_otherwise(at, seen, member)) is not None:
                        self._named, unproven = was_last == "names", None
            kept_before = at.cursor if paging.durable else None  # sealed already
            resume = client.masker.seal(cursor) if cursor else kept_before
            for each in listed or ():
                yield from self._object(each, at, kept_before, answer)
            self._number += 1
            yield Page(decoded, after, resume, answer.vendor_now_ms, self._number, self._named, unproven)
            if refused is not None:
                raise refused
            at = after

    # -- one page

    def _request(self, state: WalkState, *, kept: bool, member: Any) -> Request:
        client = self.client
        if state.cursor is not None:
            cursor = client.masker.unseal(state.cursor)
            if is_absolute(cursor):
                try:
                    cursor = follow(cursor, self.endpoint)
                except BadAddress as error:
                    wrong = CursorRejected if kept else VendorRefused
                    which = f"the {'kept' if kept else 'next'} link {error}; it is not followed"
                    raise wrong(client.say(Request("GET", self.endpoint), which)) from None
            state = msgspec.structs.replace(state, cursor=cursor)
        try:
            return self.maker.request(state, now_ms=client.now_ms(), member=member)
        except CollectError as error:
            raise type(error)(client.say(Request("GET", self.endpoint), str(error))) from None

    def _ask(self, request: Request, *, kept: bool, further: bool) -> Answer:
        """An answer for which the API was prepared first, where it says that it is not."""
        try:
            return self.client.ask(request, kept=kept, further=further)
        except NotSetUp:
            if not self.listing.setup:
                raise
        for call in self.listing.setup:
            prepares = call if call.method else call.model_copy(update={"method": "POST"})
            self.client.ask(called(self.client, self.maker, prepares))
        return self.client.ask(request, kept=kept, further=further)

    def _decoded(self, answer: Answer) -> tuple[DecodedPage, list[Any] | None, dict[str, Any]]:
        """The events of an answer, or none and the objects that it lists; and the fields that paging rests on."""
        if self._step is None:
            body = inflated(answer.body, at_most_bytes=self.client.source.limits.page_bytes)
            decoded, fields = self._decoder.decode(body, no_content=answer.no_content)
            return decoded, None, fields
        listed, fields = self._step.listed(answer)
        return DecodedPage(list, [], [], len(answer.body)), listed, fields

    def _seen(self, answer: Answer, decoded: DecodedPage, rows: int, fields: dict[str, Any], url: str) -> Seen:
        rests_on_rows = any(origin.of == "row" for origin in origins_of(self.listing.paging))
        last = bytes(decoded.events[-1]) if rests_on_rows and len(decoded) else None
        return Seen(rows, answer.links, fields, url, answer.headers, last)

    def _object(self, listed: Any, at: WalkState, kept_cursor: str | None, answer: Answer) -> Iterator[Page]:
        """The events of an object, or what is remembered of it."""
        assert self._step is not None
        digest, at_ms = self._step.id_of(listed), self._step.at_ms(listed)
        known = self._objects.get(digest)
        self._number += 1
        if known is not None:
            page = Page(DecodedPage(list, [], [], 0), at, kept_cursor, answer.vendor_now_ms, self._number, self._named)
            page.already = known
        else:
            decoded = self._step.fetch(listed)
            page = Page(decoded, at, kept_cursor, answer.vendor_now_ms, self._number, self._named)
            page.object = digest
        page.object_ms = at_ms
        yield page

    def _ids(self, listed: list[Any]) -> list[bytes]:
        assert self._step is not None
        return [self._step.id_of(each) for each in listed]

    # -- ends

    def _begun_anew(self, at: WalkState, decoded: DecodedPage) -> tuple[WalkState | None, str | None]:
        """The walk over the rest of a span of which the vendor gives no more events, or why there is none."""
        newest_ms = max((ms for ms in decoded.times_ms if ms is not None), default=None)
        bound_ms = None if newest_ms is None else from_bound_ms(self.listing.time, newest_ms)
        after = begun_anew(at, bound_ms)
        if after is not None:
            return after, None
        what = f"the vendor gives no more than {self.listing.paging.most} events of a span (paging.most)"
        return None, f"{what}, and so many have one time: there may be more"

    def _why_unproven(self, seen: Seen, body: bytes) -> str | None:
        """Why a page that names no next one may not be the end of the data; None where it is."""
        paging = self.listing.paging
        if leads_nowhere(paging) and is_full(paging, seen):
            what = f"the answer holds {seen.rows} events, as many as paging.limit asks for"
            return f"{what}, and nothing is configured that leads to more: there may be more. Set paging, or a larger page_size"
        if not must_be_named(paging) or not seen.rows:
            return None
        meant = lookalike(paging, seen, body)
        if (meant is None and not is_full(paging, seen)) or self._seen_before():
            return None
        what = f"the last page has {seen.rows} events (page_size {paging.page_size}) and no {what_names(paging)}"
        why = "which no answer has held so far" if meant is None else f"but it has {meant!r}"
        return f"{what}, {why}: there may be more. Check the pagination of this source"

    def _asked_otherwise(self, at: WalkState, seen: Seen, member: Any) -> Literal["names", "no second"] | None:
        """What shows that a full page was the last one; None where nothing does.

        Asked for one event less than it just gave, a vendor has to name a next page, if it heeds the page size and names
        next pages the way the source says. Of one event there is no less: asked for two, it must have no second.
        """
        paging = self.listing.paging
        if paging.limit is None or not is_full(paging, seen) or (at.cursor is not None and is_absolute(at.cursor)):
            return None
        if leads_nowhere(paging) and seen.rows > 1:  # it can name none
            return None
        smaller = paging.model_copy(update={"page_size": seen.rows - 1 or 2})
        other = replace(self.listing, paging=smaller)
        maker = RequestMaker(other, self.endpoint, self.client.resolve, windows=self._windows)
        try:
            cursor = None if at.cursor is None else self.client.masker.unseal(at.cursor)
            state = msgspec.structs.replace(at, cursor=cursor)
            request = maker.request(state, now_ms=self.client.now_ms(), member=member)
            answer = self.client.ask(request)
            decoded, listed, fields = self._decoded(answer)
        except CollectError as error:
            log.debug("%s: whether a full page was the last one cannot be told: %s", self._name, error)
            return None
        rows = len(decoded) if listed is None else len(listed)
        if names_paging(smaller, self._seen(answer, decoded, rows, fields, request.url)):
            return "names"
        return "no second" if seen.rows == 1 == rows else None
