"""Every walk ends: a vendor that goes round in circles is found out, and whoever walks is told whether there may be more."""

from __future__ import annotations

import logging
from hashlib import blake2b

from flicker_dagster.collect.ends import is_full
from flicker_dagster.collect.paging import Seen, says_more
from flicker_dagster.config.vocabulary import Paging
from flicker_dagster.types import WalkState

log = logging.getLogger("flicker.collect")

#: Pages in a row without a new event after which a vendor is taken to go round in circles.
STALE_PAGES = 3


class Guard:
    """Every walk ends: a repeated cursor, or pages seen before, mean that the vendor goes round in circles.

    One page without news proves nothing: where events arrive while a listing is read, whole pages come again. A few in
    a row do. Pages without any event count only where we do the counting; a filtering vendor may send many of them, each
    with a cursor of its own.
    """

    def __init__(self, name: str, paging: Paging) -> None:
        self._name = name
        self._paging = paging
        self._cursors: set[bytes] = set()  # digests: a vendor chooses how long its cursors are
        self._pages: set[bytes] = set()
        self._last: list[bytes] = []
        self._stale = 0

    def judge(
        self, at: WalkState, after: WalkState | None, digests: list[bytes], seen: Seen
    ) -> tuple[WalkState | None, str | None]:
        """`after`, or None where going on would bring nothing; and why that may not be the end of the data."""
        if after is None:
            return None, None
        if at.cursor is not None:
            self._cursors.add(_digest(at.cursor))
        if digests or after.cursor is None:
            self._stale = self._stale + 1 if self._is_stale(digests) else 0
        if self._stale >= STALE_PAGES:  # an API that ignores its paging parameter sends the same page for ever
            log.info("%s: %d pages in a row without a new event; the walk ends there", self._name, STALE_PAGES)
            return None, self._unproven(seen, f"{STALE_PAGES} pages in a row brought no new event")
        if after.cursor is not None and _digest(after.cursor) in self._cursors:
            log.info("%s: the vendor repeats a cursor; the walk ends there", self._name)
            if after.cursor != at.cursor:  # the same cursor again is how some say that nothing follows; a circle is not
                return None, "the next page that the vendor names is one that was read before: there may be more"
            return None, self._unproven(seen, "the vendor names a page that was read before")
        return after, None

    def _unproven(self, seen: Seen, why: str) -> str | None:
        """A page that comes again and is full, or of which the vendor says that there is more: it may not heed the parameter
        that asks for the next one."""
        more = bool(seen.rows and says_more(self._paging, seen))
        if not more and not is_full(self._paging, seen):
            return None
        place = self._paging.cursor or self._paging.page or self._paging.offset
        named = f" (does the vendor take {place.at}?)" if place is not None else ""
        said = f"{self._paging.more.at} says that there is more" if more and self._paging.more else "the pages are full"
        return f"{why}, and {said}: there may be more. Check the pagination of this source{named}"

    def _is_stale(self, digests: list[bytes]) -> bool:
        """Did this page, as a whole or within the last one, come before?"""
        page = blake2b(b"".join(digests), digest_size=16).digest()
        stale = not digests or page in self._pages or (digests[0] in self._last and set(digests) <= set(self._last))
        self._pages.add(page)
        self._last = digests
        return stale


def _digest(cursor: str) -> bytes:
    return blake2b(cursor.encode("utf-8", "surrogatepass"), digest_size=16).digest()
