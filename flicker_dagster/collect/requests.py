"""The request of each page. Pure: from the listing, with its secrets in place, and the state of the walk."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from flicker_dagster.collect.bounds import sent_start_ms, until_bound_ms
from flicker_dagster.collect.templates import Values, filled, put
from flicker_dagster.config.listing import Listing, TimeFilter
from flicker_dagster.config.vocabulary import Call, Place
from flicker_dagster.errors import VendorRefused
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.times import format_time
from flicker_dagster.transport.addresses import BadAddress, follow, is_absolute
from flicker_dagster.transport.exchange import Request
from flicker_dagster.types import WalkState

JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"

#: From a template to its text, secrets in place.
Resolve = Callable[[str], str]


class RequestMaker:
    """Makes the requests of one listing. `windows`: those for a window, which may be unlike those of live polls."""

    def __init__(self, listing: Listing, endpoint: str, resolve: Resolve, *, windows: bool = False) -> None:
        self._listing = listing
        self._endpoint = endpoint
        self._resolve = resolve
        self._call = Call(method=listing.method, query=listing.query, body=listing.body, form=listing.form)
        if windows and listing.for_windows is not None:
            self._call = laid_over(self._call, listing.for_windows)
        self._texts: dict[str, str] = {}

    def request(self, state: WalkState, *, now_ms: int, member: Any = None) -> Request:
        """The request to make next. A cursor that is a URL is followed verbatim; it holds everything that the vendor wants
        to see again. `member` is the one of the set that is walked over.

        Raises VendorRefused where a value does not fit its place and for a URL that leads elsewhere, BadAnswer where a value
        of the address is missing.
        """
        paging = self._listing.paging
        call = self._call
        if state.paged and paging.next is not None:
            call = laid_over(call, paging.next)
        values = _values(self._listing.time, paging.page_size, paging.first_page, state, now_ms=now_ms, member=member)
        if state.cursor is not None and is_absolute(state.cursor):
            body, headers = self._body(call, values, [])
            return Request(call.method or "GET", state.cursor, headers, body)
        repeats = "all" if not state.paged else paging.repeats
        places = self._places(state, values, repeats=repeats, first=not state.paged)
        if repeats != "all":
            again = paging.next
            call = Call(
                method=call.method,
                url=call.url,
                headers=call.headers,
                query=again.query if again else None,
                body=again.body if again else None,
                form=again.form if again else None,
            )
        return self._made(call, values, places)

    def call(self, call: Call, values: Values | None = None) -> Request:
        """A request beside the listing: a set-up call, an object, a set that is walked over."""
        return self._made(call, values or {}, [])

    # -- parts

    def _places(self, state: WalkState, values: Values, *, repeats: str, first: bool) -> list[tuple[Place, str]]:
        asked, paging = self._listing.time, self._listing.paging
        found: list[tuple[Place | None, str | None]] = []
        if repeats == "all":
            if state.start_ms is not None:
                found.append((asked.start, values["start"](None)))
            if state.end_ms is not None:
                found.append((asked.end, values["end"](None)))
        if first and state.cursor is None and paging.first_cursor is not None:
            found.append((paging.cursor, filled(self._text(paging.first_cursor), values)))
        if state.cursor is not None:
            found.append((paging.cursor, state.cursor))
        if repeats != "none":
            found.append((paging.limit, str(paging.page_size)))
        if state.cursor is None or paging.cursor != paging.page:
            found.append((paging.page, values["page"](None)))
        found.append((paging.offset, str(state.offset)))
        return [(place, text) for place, text in found if place is not None and text is not None]

    def _made(self, call: Call, values: Values, places: list[tuple[Place, str]]) -> Request:
        path = {place.at: text for place, text in places if place.into == "path"}
        url = self._url(call.url, values, path)
        own, fixed = _split_query(url)
        params: dict[str, list[str]] = {}
        for name, text in (call.query or {}).items():
            params[name] = [filled(self._text(each), values) for each in (text if isinstance(text, list) else [text])]
        for place, text in places:
            if place.into == "query":
                params[place.at] = [text]
        pairs = [(name, value) for name, value in fixed if name not in params]
        pairs += [(name, value) for name, each in params.items() for value in each]
        body, headers = self._body(call, values, places)
        address = f"{own}?{'&'.join(_spelled(name, value) for name, value in pairs)}" if pairs else own
        return Request(call.method or "GET", address, headers, body)

    def _url(self, url: str | None, values: Values, path: dict[str, str]) -> str:
        address = self._endpoint if url is None else self._text(url)
        from_answers = url is not None and "{" in address
        if "{" in address:
            spell: Callable[[str], str] = str if address.startswith("{") else partial(quote, safe="")
            for name, text in path.items():
                address = address.replace(f"{{{name}}}", quote(text, safe=""))
            address = filled(address, values, spell=spell, whole=True)
        if is_absolute(address) and not from_answers:
            return address
        try:
            return follow(address, self._endpoint)
        except BadAddress as error:
            raise VendorRefused(
                f"the address {error}; refused, credentials are sent to the endpoint's own origin only"
            ) from None

    def _body(self, call: Call, values: Values, places: list[tuple[Place, str]]) -> tuple[bytes | None, dict[str, str]]:
        headers = {name: filled(self._text(text), values) for name, text in (call.headers or {}).items()}
        headers |= {place.at: text for place, text in places if place.into == "header"}
        form = [(place.at, text) for place, text in places if place.into == "form"]
        if call.form is not None or form:
            pairs = {name: filled(self._text(text), values) for name, text in (call.form or {}).items()} | dict(form)
            return urlencode(pairs).encode("ascii"), {"Content-Type": FORM_TYPE, **headers}
        inside = [(place, text) for place, text in places if place.into == "json"]
        if call.body is None and not inside:
            return None, headers
        body = filled(self._texts_in(call.body), values)
        for place, text in inside:
            body = put(body, place, text)
        return json.dumps(body, separators=(",", ":")).encode(), {"Content-Type": JSON_TYPE, **headers}

    def _text(self, template: str) -> str:
        if "$" not in template:
            return template
        if template not in self._texts:
            self._texts[template] = self._resolve(template)
        return self._texts[template]

    def _texts_in(self, body: Any) -> Any:
        if isinstance(body, str):
            return self._text(body)
        if isinstance(body, dict):
            return {key: self._texts_in(inner) for key, inner in body.items()}
        return [self._texts_in(inner) for inner in body] if isinstance(body, list) else body


def laid_over(below: Call, above: Call) -> Call:
    """A call with what another one says in place of its own; parameters and headers each for itself."""
    return Call(
        method=above.method or below.method,
        url=above.url if above.url is not None else below.url,
        query={**(below.query or {}), **(above.query or {})},
        headers={**(below.headers or {}), **(above.headers or {})},
        body=above.body if above.body is not None else below.body,
        form=above.form if above.form is not None else below.form,
    )


def values_of(name: str, value: Any) -> Values:
    """`{name}` and `{name.path}` of a decoded object; the whole of one that is no object."""

    def at(path: str | None) -> str | None:
        found = value if path is None else lookup_any(value, readings(path))
        if found is None or isinstance(found, bool):
            return None
        return found if isinstance(found, str) else json.dumps(found)

    return {name: at}


def _values(
    asked: TimeFilter, page_size: int, first_page: int, state: WalkState, *, now_ms: int, member: Any
) -> dict[str, Callable[[str | None], str | None]]:
    def start(fmt: str | None) -> str | None:
        if state.start_ms is None:
            return None
        return format_time(sent_start_ms(asked, state.start_ms), fmt or asked.format, asked.zone)

    def end(fmt: str | None) -> str | None:
        end_ms = until_bound_ms(asked, now_ms if state.end_ms is None else state.end_ms, now_ms=now_ms)
        return format_time(end_ms, fmt or asked.format, asked.zone)

    def one_member(path: str | None) -> str | None:
        return state.member if path is None else values_of("member", member)["member"](path)

    return {
        "start": start,
        "end": end,
        "limit": lambda _: str(page_size),
        "cursor": lambda _: state.cursor,
        "page": lambda _: str(first_page + state.page),
        "offset": lambda _: str(state.offset),
        **({} if member is None else {"member": one_member}),
    }


@lru_cache(1024)
def _spelled(name: str, value: str) -> str:
    """A pair of a query. From page to page most of them stay the same."""
    return f"{quote(name, safe='')}={quote(value, safe='')}"


@lru_cache(64)
def _split_query(endpoint: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The endpoint without its query, and the query's pairs: a name may come several times (`type=a&type=b`)."""
    own, _, fixed = endpoint.partition("#")[0].partition("?")
    return own, tuple(parse_qsl(fixed, keep_blank_values=True))
