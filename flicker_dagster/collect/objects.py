"""Objects that a listing lists and that hold the events: each is fetched once."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any, Protocol

from flicker_dagster.collect.answers import fits
from flicker_dagster.collect.client import Answer, VendorClient
from flicker_dagster.collect.decode import PageDecoder
from flicker_dagster.collect.requests import RequestMaker, values_of
from flicker_dagster.collect.shapes import inflated
from flicker_dagster.collect.templates import Values
from flicker_dagster.config.listing import RowSpec
from flicker_dagster.config.vocabulary import Call, Each
from flicker_dagster.errors import BadAnswer, CollectError
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_scan import find, read_value
from flicker_dagster.json_text import read_json
from flicker_dagster.times import parse_time_ms
from flicker_dagster.transport.exchange import Request
from flicker_dagster.types import DecodedPage, Remembered

#: A job is asked after with pauses that double between these.
FIRST_LOOK_S, LONGEST_LOOK_S = 1.0, 30.0


class Objects(Protocol):
    """The objects whose events are in the spool or were delivered."""

    def get(self, digest: bytes) -> Remembered | None: ...


class NoObjects:
    """Nothing was fetched yet, or all of it is wanted again."""

    def get(self, digest: bytes) -> Remembered | None:
        return None


def called(client: VendorClient, maker: RequestMaker, call: Call, values: Values | None = None) -> Request:
    """The request of a call beside the listing. Raises CollectError."""
    try:
        return maker.call(call, values)
    except CollectError as error:
        raise type(error)(client.say(Request("GET", client.endpoint), str(error))) from None


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
        request = called(self._client, self._maker, self._call, values)
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
        request = called(self._client, self._maker, call, {**values, **values_of("answer", said)})
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
