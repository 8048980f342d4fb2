"""Steps of a walk beside its listing: the calls that prepare an API, the set that is walked over, the objects that hold the
events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Protocol

from flicker_dagster.collect.answers import fits
from flicker_dagster.collect.circles import Guard
from flicker_dagster.collect.client import Answer, VendorClient
from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.ends import is_full, lookalike, must_be_named, names_paging, what_names
from flicker_dagster.collect.paging import Seen, next_state, paths_of
from flicker_dagster.collect.requests import RequestMaker, values_of
from flicker_dagster.collect.shapes import inflated
from flicker_dagster.collect.templates import Values
from flicker_dagster.config.listing import Listing, RowSpec
from flicker_dagster.config.vocabulary import Call, Each, Over, Paging
from flicker_dagster.errors import BadAnswer, CollectError, NotSetUp
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_scan import find, read_value
from flicker_dagster.json_text import read_json
from flicker_dagster.times import parse_time_ms
from flicker_dagster.transport.exchange import Request
from flicker_dagster.types import DecodedPage, Remembered, WalkState

#: A set that is walked over has no more members than this.
MOST_MEMBERS = 10_000

#: A job is asked after with pauses that double between these.
FIRST_LOOK_S, LONGEST_LOOK_S = 1.0, 30.0


class Objects(Protocol):
    """The objects whose events are in the spool or were delivered."""

    def get(self, digest: bytes) -> Remembered | None: ...


class NoObjects:
    """Nothing was fetched yet, or all of it is wanted again."""

    def get(self, digest: bytes) -> Remembered | None:
        return None


def ask_prepared(client: VendorClient, maker: RequestMaker, listing: Listing, ask: Callable[[], Answer]) -> Answer:
    """An answer for which the API was prepared first, where it says that it is not. Raises CollectError."""
    try:
        return ask()
    except NotSetUp:
        if not listing.setup:
            raise
    for call in listing.setup:
        client.ask(_called(client, maker, call if call.method else call.model_copy(update={"method": "POST"})))
    return ask()


def _called(client: VendorClient, maker: RequestMaker, call: Call, values: Values | None = None) -> Request:
    """The request of a call beside the listing. Raises CollectError."""
    try:
        return maker.call(call, values)
    except CollectError as error:
        raise type(error)(client.say(Request("GET", client.endpoint), str(error))) from None


def members_of(client: VendorClient, maker: RequestMaker, over: Over) -> list[tuple[str, Any]]:
    """Id and decoded object of each member of the set, by id. Raises CollectError, also for a set of which there may be
    more: what happens at a member that nobody names is never collected."""
    if over.members is not None:
        return sorted((member, member) for member in dict.fromkeys(over.members))
    found: dict[str, Any] = {}
    paging, where = over.paging, _called(client, maker, Call(url=over.url)).url
    decoder = PageDecoder(RowSpec(fields=(over.results_field,)), paths_of(paging), mask=client.masker.mask)
    guard, named = Guard(client.source.name, paging), False
    state: WalkState | None = WalkState()
    while state is not None:
        request, answer, events, digests, seen = _page_of_set(client, decoder, over, paging, where, state)
        try:
            for event in events:
                row = read_value(event)
                found.setdefault(_name_of(row, over.id), row)
            if len(found) > MOST_MEMBERS:
                raise BadAnswer(f"the set that is walked over has more than {MOST_MEMBERS} members")
            named = named or names_paging(paging, seen)
            after, doubt = guard.judge(state, next_state(paging, state, seen), digests, seen)
            if after is None and doubt is None and not named and must_be_named(paging) and seen.rows:
                doubt = lookalike(paging, seen, answer.body)
                if doubt is None and is_full(paging, seen):
                    smaller = paging.model_copy(update={"page_size": seen.rows - 1 or 2})
                    *_, other = _page_of_set(client, decoder, over, smaller, where, state)
                    doubt = None if names_paging(smaller, other) else f"no {what_names(paging)}"
            if doubt is not None:
                raise BadAnswer(f"the set that is walked over: there may be more members ({doubt}). Check over.paging")
        except CollectError as error:
            raise type(error)(client.say(request, str(error))) from None
        state = after
    return sorted(found.items())


def _page_of_set(
    client: VendorClient, decoder: PageDecoder, over: Over, paging: Paging, where: str, state: WalkState
) -> tuple[Request, Answer, list[bytes], list[bytes], Seen]:
    """A page of the set: its rows, their digests, and what it shows of paging. Raises CollectError."""
    lister = RequestMaker(Listing(endpoint=where, query=over.query, paging=paging), where, client.resolve)
    request = lister.request(state, now_ms=client.now_ms())
    answer = client.ask(request)
    try:
        page, fields = decoder.decode(answer.body, no_content=answer.no_content)
    except BadAnswer as error:
        raise BadAnswer(client.say(request, str(error))) from None
    events = [bytes(event) for event in page.events]
    last = events[-1] if events else None
    return (
        request,
        answer,
        events,
        page.digests,
        Seen(len(page), answer.links, fields, request.url, answer.headers, last),
    )


def _name_of(row: Any, path: str) -> str:
    """The id of a member. Raises BadAnswer."""
    name = lookup_any(row, readings(path)) if isinstance(row, dict) else row
    if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
        raise BadAnswer(f"a member of the set that is walked over has no id at {path!r}; check over.id")
    return str(name)


class ObjectStep:
    """Fetches the events of listed objects."""

    def __init__(
        self, client: VendorClient, maker: RequestMaker, each: Each, spec: RowSpec, paging_paths: list[str]
    ) -> None:
        self._client = client
        self._maker = maker
        self._each = each
        self._decoder = PageDecoder(replace(spec, fields=(each.results_field,)), mask=client.masker.mask)
        self._where = spec.fields[0] if each.objects is None else each.objects
        listed = RowSpec(
            fields=(self._where,),
            optional=spec.optional,
            error_field=spec.error_field,
            page_events=spec.page_events,
        )
        self._lister = PageDecoder(listed, paging_paths, mask=client.masker.mask)
        self._call = Call(method=each.method, url=each.url, query=each.query, headers=each.headers, body=each.body)

    def listed(self, answer: Answer) -> tuple[list[Any], dict[str, Any]]:
        """The objects that an answer lists, and the fields that paging rests on; one that stands there alone is a list of
        one. Raises BadAnswer for what is no such list, and for an object without an id."""
        body = answer.body.strip()
        alone = _object_at(body, self._where)
        if alone is not None and not answer.no_content:
            before, behind = body[: alone[0]] + b"[", b"]" + body[alone[1] :]
            body = before + body[alone[0] : alone[1]] + behind
        page, fields = self._lister.decode(body, no_content=answer.no_content)
        listed = [read_value(bytes(event)) for event in page.events]
        for each in listed:
            self.id_of(each)
        return listed, fields

    def id_of(self, listed: Any) -> bytes:
        """A digest of the object's id. Raises BadAnswer where it has none: it could not be told from another one."""
        value = lookup_any(listed, readings(self._each.id)) if isinstance(listed, dict) else listed
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            raise BadAnswer(f"a listed object has no id at {self._each.id!r}; check each.id and each.objects")
        return blake2b(str(value).encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def at_ms(self, listed: Any) -> int | None:
        """When the object became available, where it says."""
        if self._each.time is None or not isinstance(listed, dict):
            return None
        return parse_time_ms(lookup_any(listed, readings(self._each.time)))

    def fetch(self, listed: Any) -> DecodedPage:
        """Its events. Raises CollectError."""
        values = values_of("object", listed)
        request = _called(self._client, self._maker, self._call, values)
        answer = self._client.ask(request)
        if self._each.wait_until is not None:
            answer, request = self._finished(request, answer, values)
        self._decoder.begin(self.id_of(listed))
        try:
            body = inflated(answer.body, at_most_bytes=self._client.source.limits.page_bytes)
            page, _ = self._decoder.decode(body, no_content=answer.no_content)
        except BadAnswer as error:
            raise BadAnswer(self._client.say(request, str(error))) from None
        at_ms = self.at_ms(listed)
        if at_ms is not None:
            page.axis_ms = [at_ms for _ in page.digests]
        return page

    def _finished(self, request: Request, answer: Answer, values: Values) -> tuple[Answer, Request]:
        """The job's result: it is asked after until it is done, within the run's time. Raises CollectError."""
        rule, pause_s = self._each.wait_until, FIRST_LOOK_S
        assert rule is not None
        while not fits(rule, answer.status, answer.headers, answer.body):
            self._client.pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_LOOK_S)
            answer = self._client.ask(request)
        if self._each.then_url is None:
            return answer, request
        try:
            said = read_json(answer.body)
        except ValueError:
            said = None
        call = Call(url=self._each.then_url)
        request = _called(self._client, self._maker, call, {**values, **values_of("answer", said)})
        return self._client.ask(request), request


def _object_at(body: bytes, path: str) -> tuple[int, int] | None:
    """Where an object stands at a path; None where something else does, or nothing."""
    if not path:
        return (0, len(body)) if body[:1] == b"{" else None
    try:
        place = next((place for parts in readings(path) if (place := find(body, parts)) is not None), None)
    except ValueError:
        return None
    return place if place is not None and body[place[0] : place[0] + 1] == b"{" else None
