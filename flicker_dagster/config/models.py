"""The grammar of a source in `config.yaml`: what a user may write, with types, defaults and meanings.

These models are also the resolved configuration: a vendor preset is merged beneath the user's mapping *before*
validation, so a `SourceConfig` holds everything that collecting needs. Strings that may hold `${VAR}`,
`${VAR:-default}` or `${file:path}` are typed `Template` and stay unresolved; secrets are resolved only when used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.destinations import Destinations
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.grid import Grid
from flicker_dagster.config.groups import (
    FieldFilter,
    Limits,
    Pagination,
    RetryConfig,
    SweepConfig,
    WindowConfig,
)
from flicker_dagster.config.listing import Listing, listing_of
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.config.records import (
    CENTURY_MS,
    BasicAuth,
    Count,
    FieldPath,
    Milliseconds,
    Record,
    Template,
    Tls,
)
from flicker_dagster.config.vocabulary import AnswerRule, Each, Over, Paging, RequestKeys, RowKeys
from flicker_dagster.times import zone_of
from flicker_dagster.types import StreamName


def asset_name(name: str) -> str:
    """A source's name as Dagster spells it: `okta-audit-logs` → `okta_audit_logs`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


class SourceConfig(Record):
    """One entry of `api_sources`."""

    #: The configuration's, set by `within`; no key of a source.
    _namespace: str = PrivateAttr(default="")
    #: What the source is called of which this is a stream, and was before, and the stream; set by `as_stream`.
    _parent: str = PrivateAttr(default="")
    _former_parent: str | None = PrivateAttr(default=None)
    _stream: str = PrivateAttr(default="")
    _listing: Listing | None = PrivateAttr(default=None)
    #: File, and line of each of its paths there; set by `written`.
    _written: tuple[str, dict[str, int]] = PrivateAttr(default_factory=lambda: ("", {}))
    #: Which parameter of the preset holds a reference such as `${TOKEN}`; set by `written`.
    _parameters: dict[str, str] = PrivateAttr(default_factory=dict)

    name: Annotated[str, Field(min_length=1)] = Field(
        description="the source's name in Dagster, the registry and the logs", examples=["okta-audit-logs"]
    )
    renamed_from: str | None = Field(
        default=None,
        description="the name this source had before: its position, ledger, dead letters and waiting events go on here",
    )
    account: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="the account at the vendor, by a name of your own: sources that give the same one mint its tokens once "
        "and have its quota together. Default: the source's name, which another source of that account may give here",
    )
    endpoint: Template = Field(
        description="the API's address; a template", examples=["https://company.okta.com/api/v1/logs"]
    )
    vendor: str | None = Field(
        default=None, description="name of a preset, or `generic` for none; default: by the endpoint's host"
    )
    description: str | None = Field(default=None, description="shown on the asset's page")
    owners: list[str] = Field(default_factory=list, description="owners of the asset, such as `team:secops`")
    polling_frequency_ms: Annotated[int, Field(ge=1, le=CENTURY_MS)] = Field(
        description="milliseconds from one poll to the next; Dagster reaches no less than 5 s", examples=[30_000]
    )
    live: bool = Field(
        default=True, description="`false` leaves the live tail out: each window is collected once it has closed"
    )

    headers: dict[str, Template] = Field(default_factory=dict, description="request headers; templates")
    api_key: Template | None = Field(default=None, description="sent as `Authorization: Bearer …`")
    api_key_header: str | None = Field(
        default=None, description="header that carries api_key; default Authorization: Bearer"
    )
    basic: BasicAuth | None = Field(default=None, description="`{username, password}` for HTTP basic authentication")
    auth: Auth | None = Field(default=None, description="how requests are signed, in place of api_key and basic")
    connect_to: dict[str, Template] = Field(
        default_factory=dict,
        description="where a host of this API is really reached, `*` for all: a gateway in front of it, or a simulator",
    )
    tls: Tls | None = Field(default=None, description="client certificate and authorities towards the vendor")
    query_params: dict[str, Template | list[Template]] = Field(
        default_factory=dict, description="sent with the first request; {start} and {end} stand for the span asked for"
    )
    request: RequestKeys = Field(
        default_factory=RequestKeys, description="how the listing is asked for, where it is no plain GET of `endpoint`"
    )
    over: Over | None = Field(
        default=None, description="a set (groups, projects) over whose members the listing is walked"
    )
    each: Each | None = Field(
        default=None, description="what is listed are objects, which hold the events: each is fetched once"
    )
    answers: list[AnswerRule] = Field(
        default_factory=list, description="what answers mean, where that is not usual; the first that fits"
    )

    results_field: FieldPath | list[FieldPath] = Field(
        default="",
        description="path of the array of events in an answer, such as `data.items`; empty where the array is the "
        "answer. In every path a key that holds the dots itself (`@odata.nextLink`) is found first, and `\\.` "
        "is always a dot of the key",
    )
    rows: RowKeys = Field(
        default_factory=RowKeys, description="how an answer holds its events, where it is no plain array of them"
    )
    results_optional: bool = Field(
        default=False,
        description="the vendor leaves results_field out where there are no events; otherwise its absence is an error",
    )
    error_field: FieldPath | None = Field(default=None, description="a non-empty value here in a 200 is an error")
    id_field: FieldPath | list[FieldPath] | None = Field(
        default=None, description="path (or paths, together) of an event's id; without one its content identifies it"
    )
    equal_rows: Literal["same", "distinct"] = Field(
        default="same", description="where events have no id: are byte-identical rows one event, or several?"
    )
    timestamp_field: FieldPath | list[FieldPath] = Field(
        description="the path of an event's time; of several the first that can be read", examples=["published"]
    )
    timestamp_format: str = Field(
        default="auto", description="auto, iso8601, rfc3339, unix, unix_ms, unix_us, unix_ns or strptime"
    )
    time_zone: str | None = Field(
        default=None,
        description="what a time without an offset means, as an IANA name such as Asia/Tokyo or an offset such as '+09:00' "
        "(in quotes): for the event's time, and for the time filter in a strftime pattern; default UTC. A local hour that "
        "comes twice is taken for the first, and asked for from both sides",
    )
    message_field: FieldPath | None = Field(
        default=None,
        description="sent as `message` beside the event in `format: envelope`; the event itself is never cut down",
    )
    axis: Literal["event", "arrival"] = Field(
        default="event",
        description="what the listing is ordered and filtered by: the time of an event, or the time it became available",
    )
    axis_field: FieldPath | None = Field(
        default=None, description="with `axis: arrival`: path of the time at which an event became available"
    )

    time_filter_param: str | None = Field(
        default=None, description="query parameter for the start of the span asked for"
    )
    time_filter_until_param: str | None = Field(default=None, description="query parameter for its end")
    time_filter_format: str = Field(
        default="rfc3339", description="iso8601, rfc3339, unix, unix_ms or a strftime pattern"
    )
    time_filter_bounded_live: bool = Field(
        default=True, description="send the upper bound on live polls too, not only on windows"
    )

    time_filter_until_future: bool = Field(
        default=False,
        description="the vendor takes an upper bound in the future, as rounding up to a coarse time_filter_format gives",
    )

    pagination: Pagination = Field(default_factory=Pagination, description="how the vendor pages")
    paging: Paging | None = Field(default=None, description="how the listing goes on, in place of `pagination`")
    order: Literal["ascending", "descending", "unordered"] = Field(
        default="unordered", description="how the vendor lists; collecting relies on no order"
    )
    lookback_ms: Milliseconds = Field(
        default=120_000, description="overlap with what was read before; what is known by its id is not sent again"
    )
    delay_ms: Milliseconds = Field(default=0, description="stay this far behind the vendor's clock")
    slice_ms: Milliseconds | None = Field(
        default=None, description="longest span asked for in one request, lookback included"
    )
    retention_ms: Milliseconds | None = Field(default=None, description="how far back the vendor keeps events")
    start_from: str = Field(default="now", description="now, an ISO time, or an age such as 24h or 7d")

    window: WindowConfig = Field(default_factory=WindowConfig, description="the windows that are certified one by one")
    sweep: SweepConfig = Field(default_factory=SweepConfig, description="how closed windows are read again")
    match_on: list[FieldFilter] = Field(default_factory=list, description="keep only events that match one of these")
    exclude_on: list[FieldFilter] = Field(default_factory=list, description="then drop events that match one of these")

    buffer_size: Count = Field(default=100, description="events per request to the SIEM")
    flush_interval_ms: Milliseconds = Field(
        default=30_000, description="how long a fetched event may wait for its lot to fill"
    )
    destination: Destinations = Field(
        description="where the events go; a mapping, a name under the top-level `destinations`, or a list of either",
        examples=[{"type": "http", "endpoint": "https://siem.example.com/ingest"}],
    )
    retry: RetryConfig = Field(default_factory=RetryConfig, description="how what failed is tried again")
    rate_limit: RateLimit = Field(
        default_factory=RateLimit, description="how the vendor tells its quota, and what of it is left to others"
    )
    limits: Limits = Field(default_factory=Limits, description="sizes and times that bound answers and runs")

    @property
    def lanes(self) -> dict[str, DestinationRecord]:
        """The destinations by their lanes' names; the lane of a single one has none."""
        if isinstance(self.destination, list):
            return {record.lane_name: record for record in self.destination}
        return {"": self.destination}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> SourceConfig:
        """A copy, which is translated for itself: other keys make another listing."""
        copied = super().model_copy(update=update, deep=deep)
        copied._listing = None
        return copied

    @property
    def listing(self) -> Listing:
        """What walking it needs to know of the vendor's API."""
        if self._listing is None:
            self._listing = listing_of(self)
        return self._listing

    @property
    def grid(self) -> Grid:
        """What decides its windows."""
        return Grid(self.name, self.renamed_from, self.window, self.retention_ms, self.start_from)

    @property
    def zone(self) -> tzinfo | None:
        """What a time of the vendor's without an offset means; None for UTC."""
        return None if self.time_zone is None else zone_of(self.time_zone)

    @property
    def full_name(self) -> StreamName:
        """By this Dagster knows it."""
        return StreamName(self.source_name, self.stream, self.namespace)

    @property
    def namespace(self) -> str:
        """The prefix of everything that Dagster calls this source; empty for none."""
        return self._namespace

    @property
    def source_name(self) -> str:
        """What the source is called of which this is a stream; a source that is its only stream is itself."""
        return self._parent or self.name

    @property
    def stream(self) -> str:
        """The stream within the source; empty for a source that is its only stream."""
        return self._stream

    @property
    def vendor_key(self) -> str:
        """The account at the vendor: what its tokens and its quota belong to."""
        return self.account or self.source_name

    @property
    def earlier_vendor_keys(self) -> tuple[str, ...]:
        """What the account may have been called before: the source's own name, and the name that this had earlier."""
        names = (self.source_name, self._former_parent or self.renamed_from)
        return tuple(name for name in names if name and name != self.vendor_key)

    def as_stream(self, stream: str, *, former: str | None = None) -> SourceConfig:
        """The same as a stream of the source of its name: it is called `source/stream` from now on. `former` is what the
        whole source was called before; what a stream says for itself stays."""
        names: dict[str, Any] = {"name": f"{self.name}/{stream}"}
        if former and self.renamed_from == former:
            names["renamed_from"] = f"{former}/{stream}"
        placed = self.model_copy(update=names)
        placed._parent, placed._stream, placed._former_parent = self.name, stream, former
        return placed

    def written(self, file: str, lines: dict[str, int], parameters: dict[str, str] | None = None) -> SourceConfig:
        """The same source, knowing where it is written: the line of each path within it, and its own at ``""``; and the path
        of each reference that stands in its parameters."""
        placed = self.model_copy()
        placed._written = (file, lines)
        placed._parameters = parameters or {}
        return placed

    def path_of(self, path: str, reference: str) -> str:
        """Where the user wrote the reference that stands at a path: there, or in a parameter that the preset put there."""
        return self._parameters.get(reference, path)

    def line_of(self, path: str) -> str:
        """`config.yaml:8`, where a path such as `headers.Authorization` is written; empty where nobody knows."""
        file, lines = self._written
        return f"{file}:{nearest_line(lines, path)}" if file else ""

    def within(self, namespace: str) -> SourceConfig:
        """The same source in a namespace."""
        placed = self.model_copy()
        placed._namespace = namespace
        return placed


def nearest_line(lines: dict[str, int], path: str) -> int:
    """The line of a path, or of the innermost path around it that the file holds."""
    while path not in lines and path:
        path = path[: max(path.rfind("."), path.rfind("["))] if max(path.rfind("."), path.rfind("[")) > 0 else ""
    return lines.get(path, 1)
