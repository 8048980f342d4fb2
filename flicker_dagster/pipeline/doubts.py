"""Doubts: why what was read of a vendor may not be all there is, or cannot be placed in time. Nothing is green beside one."""

from __future__ import annotations

from flicker_dagster.config.listing import Listing
from flicker_dagster.pipeline.tally import Tally


def doubt_of(listing: Listing, tally: Tally) -> str | None:
    """In one line, naming the stream; None where there is no doubt."""
    doubt = tally.unproven or tally.unread(listing.rows)
    return None if doubt is None else f"{listing.name}: {doubt}"


def all_untimed(tally: Tally) -> bool:
    """Were there events, and none with a time that can be read? Then no window can be told from its neighbours."""
    return bool(tally.untimed) and tally.untimed >= tally.seen + tally.outside
