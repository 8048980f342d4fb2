"""The vocabulary of collecting: how a vendor is asked, where it says what follows, and what its answers mean.

Texts of requests may hold placeholders: `{start}` and `{end}` (the span asked for, written as `time_filter_format` or as the
format behind a colon: `{start:%Y%m%d}`), `{limit}`, `{cursor}`, `{page}`, `{offset}`, `{member}` (with `over`) and
`{object}` (with `each`), the last two also with a path: `{object.contentUri}`. Other braces stay as they are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from flicker_dagster.config.records import Count, FieldPath, Record, Status, Template

Method = Literal["GET", "POST"]


class Place(Record):
    """Where a value goes in a request."""

    into: Literal["query", "header", "json", "form", "path"] = Field(
        default="query", description="what of the request holds it"
    )
    at: str = Field(
        description="name of the parameter, field or header; in a JSON body a dotted path (`data.0.from`), in a path the "
        "placeholder that it stands for"
    )
    type: Literal["text", "number", "json"] = Field(
        default="text", description="how a JSON body holds it: as text, as a number, or as the JSON that the text is"
    )


class Origin(Record):
    """Where a value comes from in an answer."""

    of: Literal["json", "header", "link", "row"] = Field(
        default="json",
        description="a field of the answer, a header, the Link header, or a field of the last event on the page",
    )
    at: str = Field(description="the field's path, the header's name, or the link's relation")
    gives: Literal["cursor", "url"] = Field(
        default="cursor", description="what it is: a cursor, or the whole address (absolute or relative) to ask next"
    )
    join: str | None = Field(default=None, description="an array there is joined with this into one cursor")
    #: The documented flat key that said it; set by `said_by`.
    _key: str = PrivateAttr(default="paging.following")

    @property
    def key(self) -> str:
        """The key of a source that says it, for messages."""
        return self._key

    def said_by(self, key: str) -> Origin:
        placed = self.model_copy()
        placed._key = key
        return placed


class Call(Record):
    """A request, or what in it is unlike the source's own: what is left out is taken from there."""

    method: Method | None = Field(default=None, description="how to ask")
    url: Template | None = Field(default=None, description="absolute, or relative to the endpoint")
    query: dict[str, Template | list[Template]] | None = Field(
        default=None, description="parameters; one with a list of values is sent several times"
    )
    headers: dict[str, Template] | None = Field(default=None, description="headers of that request; templates")
    body: Any = Field(default=None, description="sent as JSON")
    form: dict[str, Template] | None = Field(default=None, description="sent as a form")


class Paging(Record):
    """How a listing goes on. What is put nowhere is not sent."""

    page_size: Count = Field(default=100, description="events asked for per page")
    limit: Place | None = Field(default=None, description="where page_size goes")
    cursor: Place | None = Field(default=None, description="where the cursor goes")
    first_cursor: Template | None = Field(
        default=None, description="sent as the cursor by the first request; may hold {start}"
    )
    following: Origin | list[Origin] = Field(
        default_factory=list, description="where an answer names what follows; of several the first that is there"
    )
    more: Origin | None = Field(default=None, description="where an answer says whether there is more; false ends")
    page: Place | None = Field(default=None, description="where a counted page number goes")
    first_page: Annotated[int, Field(ge=0, le=2**53)] = Field(default=1, description="number of the first page")
    offset: Place | None = Field(default=None, description="where a counted offset goes")
    total: Origin | None = Field(default=None, description="where an answer says how many there are in all")
    size: Origin | None = Field(
        default=None, description="where an answer says how many it may hold at most, where that is not page_size"
    )
    next: Call | None = Field(default=None, description="what in later requests is unlike the first one")
    repeats: Literal["all", "limit", "none"] = Field(
        default="all",
        description="what of the first request is sent again beside the cursor: all of its parameters and body, page_size "
        "only, or nothing",
    )
    short_page_ends: bool = Field(default=False, description="a page that is not full is the last one")
    empty_page_ends: bool = Field(
        default=True,
        description="a page without events is the last one, whatever it names, unless `more` says that there is more",
    )
    ends_at_start: bool = Field(
        default=False,
        description="a listing newest first that knows no time filter: a page with nothing but events from before the span "
        "is the last one",
    )
    most: Count | None = Field(
        default=None,
        description="a listing oldest first that holds so many events of a span at most and is silent about the others: "
        "behind them a span is asked for that begins at the newest of them",
    )
    repeats_last: bool = Field(
        default=False,
        description="a page begins with the row that ended the one before it, which is no other event even where equal rows "
        "are",
    )
    durable: bool = Field(
        default=False, description="the cursor may be kept between polls and is where the next poll starts"
    )


Meaning = Literal[
    "refused", "wait", "cursor_expired", "unavailable", "none_left", "ignore", "not_set_up", "unauthorized"
]


class AnswerRule(Record):
    """What an answer means that says so in its status or body. The first rule that fits counts, before what is usual."""

    status: Status | list[Status] | None = Field(default=None, description="fits these only; any where it is left out")
    at: FieldPath | None = Field(default=None, description="path in a JSON body; empty for the whole text of any body")
    header: str | None = Field(default=None, description="name of a header, where the rule is about that")
    matches: str | None = Field(
        default=None,
        description="regular expression (RE2) found in what stands there; without one anything fits but null, false, 0 and "
        "nothing",
    )
    means: Meaning = Field(
        description="what such an answer means (`unauthorized`: what a 401 means, whatever its status is: the credentials are "
        "renewed once, and it is asked again)"
    )
    wait_s: Annotated[float, Field(ge=0, le=86_400)] | None = Field(default=None, description="with `wait`: how long")
    advice: str | None = Field(default=None, description="what to do, told with the error")


class RequestKeys(Record):
    """How the listing is asked for, beside `endpoint`, `headers` and `query_params`."""

    method: Method = Field(default="GET", description="how to ask")
    body: Any = Field(default=None, description="sent as JSON")
    form: dict[str, Template] | None = Field(default=None, description="sent as a form")
    start: Place | None = Field(default=None, description="where the start of the span goes")
    end: Place | None = Field(default=None, description="where its end goes")
    start_exclusive: bool = Field(
        default=False,
        description="the vendor lists what came after the start, and not what came at it: the start that is sent is one step "
        "of time_filter_format earlier. (Windows do not hold their end, so that an end needs no such thing)",
    )
    for_windows: Call | None = Field(
        default=None, description="what in the requests for a window is unlike those of live polls"
    )
    setup: list[Call] = Field(
        default_factory=list,
        description="calls that prepare the API, made when a rule of `answers` says `not_set_up`; what is prepared already is "
        "`ignore`d by a rule",
    )


class RowKeys(Record):
    """How an answer holds its events, where it is no plain array of objects."""

    shape: Literal["array", "map", "csv", "ndjson", "one"] = Field(
        default="array",
        description="an array; an object whose values are the events; CSV with a header line; one JSON value per line; or one "
        "object that is the event",
    )
    array_as: str | None = Field(
        default=None,
        description="a member that is put in front of each event and holds the path of results_field it was found at, where "
        "only that tells what it is: blocked or delivered",
    )
    part: str | None = Field(
        default=None,
        description="reads the answer in place of a shape: a part that an installed package registers as an entry point of "
        "`flicker.parts`, called with the body, which gives the events' JSON",
    )
    split: FieldPath | None = Field(
        default=None, description="path of an array in each row: every element of it is an event, made of its row"
    )
    split_as: str | None = Field(
        default=None,
        description="the member of the event that holds the element, in place of the array; default: its name",
    )
    split_index: str | None = Field(
        default=None, description="a member behind it that holds the element's place in the array, from 0"
    )


class Each(Record):
    """The listing is of objects, and the events are in what is fetched for each of them, once."""

    objects: FieldPath | None = Field(
        default=None, description="path of the objects in the listing; default: results_field"
    )
    id: FieldPath = Field(description="path of an object's id; what was fetched under it is not fetched again")
    time: FieldPath | None = Field(
        default=None, description="when the object became available; the arrival of its events"
    )
    url: Template = Field(description="absolute or relative, such as {object.contentUri}")
    method: Method = Field(default="GET", description="how to ask")
    query: dict[str, Template | list[Template]] = Field(default_factory=dict, description="query parameters; templates")
    headers: dict[str, Template] = Field(default_factory=dict, description="headers beside the source's; templates")
    body: Any = Field(default=None, description="sent as JSON")
    results_field: FieldPath = Field(default="", description="path of the events in what is fetched")
    wait_until: AnswerRule | None = Field(
        default=None, description="the object is a job: it is asked again until this rule fits what `url` answers"
    )
    then_url: Template | None = Field(
        default=None, description="where the result of the finished job is; may hold {answer.path} of its last answer"
    )


class Over(Record):
    """The listing is walked once for each member of a set: groups, projects, accounts."""

    members: list[str] | None = Field(default=None, description="the set, where it is known")
    url: Template | None = Field(default=None, description="where the set is listed")
    query: dict[str, Template | list[Template]] = Field(default_factory=dict, description="query parameters; templates")
    results_field: FieldPath = Field(default="", description="path of the members in an answer")
    id: FieldPath = Field(default="id", description="what {member} stands for")
    paging: Paging = Field(default_factory=Paging, description="how the list of the set goes on")
