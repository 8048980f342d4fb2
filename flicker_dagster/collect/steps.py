"""Steps of a walk beside its listing: the calls that prepare an API, the set that is walked over, the objects that hold the
events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Protocol
from urllib.parse import parse_qsl

from flicker_dagster.collect.answers import fits
from flicker_dagster.collect.client import Answer, VendorClient
from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.paging import Seen, next_state, paths_of
from flicker_dagster.collect.requests import RequestMaker, values_of
from flicker_dagster.collect.shapes import inflated
from flicker_dagster.collect.templates import Values
from flicker_dagster.config.listing import Listing, RowSpec
from flicker_dagster.config.vocabulary import Call, Each, Over
from flicker_dagster.errors import BadAnswer, NotSetUp
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_scan import read_value
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
        prepare = maker.call(call if call.method else call.model_copy(update={"method": "POST"}))
        client.ask(prepare)
    return ask()


def members_of(client: VendorClient, maker: RequestMaker, over: Over) -> list[tuple[str, Any]]:
    """Id and decoded object of each member of the set, by id. Raises CollectError."""
    if over.members is not None:
        return sorted((member, member) for member in dict.fromkeys(over.members))
    found: dict[str, Any] = {}
    lister = RequestMaker(
        Listing(endpoint=client.endpoint, query=over.query, paging=over.paging), client.endpoint, client.resolve
    )
    decoder = PageDecoder(RowSpec(fields=(over.results_field,)), paths_of(over.paging), mask=client.masker.mask)
    state: WalkState | None = WalkState()
    while state is not None:
        request = lister.request(state, now_ms=client.now_ms())
        if state.cursor is None and over.url is not None:
            request = maker.call(Call(url=over.url, query=_query_of(request)))
        answer = client.ask(request)
        try:
            page, fields = decoder.decode(answer.body, no_content=answer.no_content)
        except BadAnswer as error:
            raise BadAnswer(client.say(request, str(error))) from None
        rows = [read_value(bytes(event)) for event in page.events]
        for row in rows:
            member = lookup_any(row, readings(over.id)) if isinstance(row, dict) else row
            if isinstance(member, str | int) and not isinstance(member, bool):
                found.setdefault(str(member), row)
        if len(found) > MOST_MEMBERS:
            raise BadAnswer(client.say(request, f"the set that is walked over has more than {MOST_MEMBERS} members"))
        last = bytes(page.events[-1]) if rows else None
        seen = Seen(len(rows), answer.links, fields, request.url, answer.headers, last)
        state = next_state(over.paging, state, seen)
    return sorted(found.items())


def _query_of(request: Request) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(request.url.partition("?")[2], keep_blank_values=True):
        found.setdefault(name, []).append(value)  # type: ignore[union-attr]
    return found


def listed_in(body: bytes, path: str) -> list[Any]:
    """The objects that an answer lists at a path; one that stands there alone is a list of one. Raises BadAnswer."""
    try:
        answer = read_json(body)
    except (ValueError, RecursionError):
        raise BadAnswer(
            f"the answer is not the JSON that was expected: a list of objects; it has {len(body)} bytes"
        ) from None
    found = lookup_any(answer, readings(path)) if path else answer
    if found is None or isinstance(found, list):
        return found or []
    if isinstance(found, dict):
        return [found]
    raise BadAnswer(f"expected a list of objects at {path!r} of the answer, found something else")


class ObjectStep:
    """Fetches the events of listed objects."""

    def __init__(self, client: VendorClient, maker: RequestMaker, each: Each, spec: RowSpec) -> None:
        self._client = client
        self._maker = maker
        self._each = each
        self._decoder = PageDecoder(replace(spec, fields=(each.results_field,)), mask=client.masker.mask)
        self._call = Call(method=each.method, url=each.url, query=each.query, headers=each.headers, body=each.body)

    def id_of(self, listed: Any) -> bytes | None:
        """A digest of the object's id; None for what has none."""
        value = lookup_any(listed, readings(self._each.id)) if isinstance(listed, dict) else listed
        if not isinstance(value, str | int) or isinstance(value, bool):
            return None
        return blake2b(str(value).encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def at_ms(self, listed: Any) -> int | None:
        """When the object became available, where it says."""
        if self._each.time is None or not isinstance(listed, dict):
            return None
        return parse_time_ms(lookup_any(listed, readings(self._each.time)))

    def fetch(self, listed: Any) -> DecodedPage:
        """Its events. Raises CollectError."""
        values = values_of("object", listed)
        request = self._maker.call(self._call, values)
        answer = self._client.ask(request)
        if self._each.wait_until is not None:
            answer, request = self._finished(request, answer, values)
        body = inflated(answer.body, at_most_bytes=self._client.source.limits.page_bytes)
        try:
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
        request = self._maker.call(Call(url=self._each.then_url), {**values, **values_of("answer", said)})
        return self._client.ask(request), request
