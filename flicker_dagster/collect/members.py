"""The set whose members a listing is walked over: groups, projects, accounts."""

from __future__ import annotations

from typing import Any

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.collect.listing_walk import ListingWalk
from flicker_dagster.collect.objects import called
from flicker_dagster.collect.requests import RequestMaker
from flicker_dagster.config.listing import Listing, RowSpec
from flicker_dagster.config.vocabulary import Call, Over
from flicker_dagster.errors import BadAnswer
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_scan import read_value
from flicker_dagster.types import WalkState

#: A set has no more members than this.
MOST_MEMBERS = 10_000


def members_of(over: Over, client: VendorClient, maker: RequestMaker) -> list[tuple[str, Any]]:
    """Id and decoded object of each member of the set, by id. Raises CollectError, also for a set of which there may be
    more: what happens at a member that nobody names is never collected."""
    if over.members is not None:
        return sorted((member, member) for member in dict.fromkeys(over.members))
    request = called(client, maker, Call(url=over.url))
    listing = Listing(
        endpoint=request.url, query=over.query, paging=over.paging, rows=RowSpec(fields=(over.results_field,))
    )
    found: dict[str, Any] = {}
    try:
        for page in ListingWalk(listing, client, endpoint=request.url).pages(WalkState(), kept=False):
            for event in page.decoded.events:
                row = read_value(bytes(event))
                found.setdefault(_name_of(row, over.id), row)
            if len(found) > MOST_MEMBERS:
                raise _NoSet(f"has more than {MOST_MEMBERS} members")
            if page.unproven is not None:
                raise _NoSet(f"may have more members: {page.unproven} (over.paging)")
    except _NoSet as error:
        raise BadAnswer(client.say(request, f"the set that is walked over {error}")) from None
    return sorted(found.items())


class _NoSet(Exception):
    """Why the answers do not give the set."""


def _name_of(row: Any, path: str) -> str:
    """The id of a member."""
    name = lookup_any(row, readings(path)) if isinstance(row, dict) else row
    if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
        raise _NoSet(f"has a member without an id at {path!r}; check over.id")
    return str(name)
