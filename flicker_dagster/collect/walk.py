"""A walk: the pages of a stream from a start to the vendor's end, of one listing or of one for each member of a set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.collect.listing_walk import ListingWalk
from flicker_dagster.collect.members import members_of
from flicker_dagster.collect.objects import Objects
from flicker_dagster.config.listing import Listing
from flicker_dagster.types import DecodedPage, Page, WalkState


def walk(
    listing: Listing,
    client: VendorClient,
    state: WalkState,
    *,
    seen_before: Callable[[], bool] = lambda: False,
    windows: bool = False,
    objects: Objects | None = None,
) -> Iterator[Page]:
    """Pages from `state` on. Each carries the state of the next, which may be kept and walked from later.

    The last one says whether it may be taken for the end of the data (`Page.unproven`). `seen_before` is asked whether
    an earlier answer under the same configuration held what names the next page. `windows`: the requests are those for a
    window. Of `objects` that were fetched before none is fetched again.

    A kept cursor that the vendor refuses raises CursorRejected at the first page: start again by time. Other failures
    are CollectErrors; an error while finding the next page is one of them and never the end of the data.
    """
    one = ListingWalk(listing, client, seen_before=seen_before, windows=windows, objects=objects)
    if listing.over is None:
        yield from one.pages(state, kept=state.cursor is not None)
        return
    members = members_of(listing.over, client, one.maker)
    left = [each for each in members if state.member is None or each[0] >= state.member]
    if not left:
        yield Page(DecodedPage(list, [], [], 0), None, None, None, state.page + 1)
    for place, (name, member) in enumerate(left):
        first = state if name == state.member else _fresh(state, name)
        after = _fresh(state, left[place + 1][0]) if place + 1 < len(left) else None
        for page in one.pages(first, kept=False, member=member):
            if page.next is None and page.unproven is None:
                page.next = after
            yield page


def _fresh(state: WalkState, member: str) -> WalkState:
    """The beginning of a member's walk, over the same span."""
    return WalkState(state.start_ms, state.end_ms, newest_ms=state.newest_ms, began_ms=state.began_ms, member=member)
