"""What `type: elasticsearch` and `type: opensearch` have in common: the `_bulk` API, and where documents go."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.destinations.base import DestinationRecord, Fix
from flicker_dagster.config.records import Count, Record, Template, Tls

#: What no name of an index, dataset or namespace may hold (data stream naming scheme of ECS, index names of both servers).
_FORBIDDEN = re.compile(r"[A-Z\\/*?\"<>|\s,#:]")
_DIRECTIVE = re.compile(r"%(.?)")
#: Numbers only: they read the same everywhere.
_DIRECTIVES = frozenset("YmdHjGV")
_LONGEST_PART_CHARS, _LONGEST_NAME_BYTES = 100, 255

#: For the guides of both.
BOUND = (
    "within a backing index: an id is known to the index that is written to, and a request whose answer was lost just before "
    "a rollover may be taken again after it. With `index: audit-%Y.%m.%d` (the event's own day, or that of its collection "
    "where it has no time) it holds for as long as the index is there"
)
NOTES = (
    "The event is in `event.original`, byte for byte, as a string, so that no mapping changes or refuses it; its id is `_id` "
    "and `event.id`, its time `@timestamp`. Have a pipeline parse it, or set `normalise: ecs` or `object_field`.",
    "A document that the mapping refuses becomes a dead letter with the server's reason. A missing pipeline or index, missing "
    "rights and a cluster that blocks writes cost no event: everything waits, and the reason is said.",
)

BODY = (
    "`_bulk` with `create`: an action line with the event's id and a document with `@timestamp`, `event.original` "
    "and `message`; gzip"
)
IDENTITY = "`_id` and `event.id`"
TIME = "`@timestamp`"
FIND = '_id : "{uid}"   (in Discover), or GET /_all/_search?q=_id:{uid}'
ANSWERS = (
    ("201 of a document", "taken"),
    ("409 of a document", "it is there already: nothing is repeated"),
    ("400 of a document that the mapping refuses", "a dead letter with the server's reason; its neighbours were taken"),
    (
        "404 of a document, 400 that names a pipeline or index, 401, 403",
        "everything waits until rights, template, index or pipeline are mended",
    ),
    ("429 of a document (queue full, disk full)", "tried again, that document only"),
    ("413", "halved and sent again, down to the one guilty event"),
    ("400, 401, 403, 404 of the request", "everything waits until address, parameters or rights are mended"),
    ("429, 5xx of the request", "tried again"),
)
FIXES = (
    Fix("HTTP 401", "Check the API key (its `encoded` form), or user and password."),
    Fix(
        "security_exception",
        "Give the key or user the rights below `Least rights`, on the very name that is written to.",
    ),
    Fix("HTTP 403", "Give the key or user the rights below `Least rights`, on the very name that is written to."),
    Fix(
        "index_not_found",
        "Create the index or data stream, or an index template for its name; or correct `index` or `data_stream`.",
    ),
    Fix(
        "no matching index template",
        "Create an index template with a `data_stream` section whose pattern takes this name.",
    ),
    Fix("require_data_stream", "The server does not know this parameter: set `require_data_stream: false`."),
    Fix("pipeline with id", "Create the pipeline, or correct `pipeline`."),
    Fix("invalid_index_name", "Correct `index` or `data_stream`: names are in lower case."),
    Fix("cluster blocks writes", "Free disk space: the cluster is above its flood stage."),
    Fix("no answer of _bulk", "Something else answers at this address, such as Kibana or a proxy: check `endpoint`."),
    Fix(
        "failure store",
        "A mapping or pipeline refuses the event: see the failure store of the data stream for the reason.",
    ),
    Fix(
        "_parsing_exception",
        "The mapping refuses the event: leave `object_field` out, or map it as `flattened` or `flat_object`.",
    ),
)


class DataStream(Record):
    """The parts of a data stream's name, `<type>-<dataset>-<namespace>`; they are sent as `data_stream.*`, too."""

    type: str = Field(default="logs", description="first part of the name")
    dataset: str | None = Field(
        default=None,
        description="second part, such as `okta.system`, without `-`; default the stream's name in lower case, with `.` for "
        "`/` and `_` for what may not be there",
    )
    namespace: str = Field(default="default", description="third part, such as an environment, without `-`")


class BulkRecord(DestinationRecord):
    """Keys of both servers."""

    type: str
    endpoint: Template = Field(
        description="address of the cluster, without the path of an API, such as https://host:9200"
    )
    auth: Auth | None = Field(default=None, description="how requests are signed")
    headers: dict[str, Template] = Field(default_factory=dict, description="sent with every request")
    data_stream: DataStream | None = Field(
        default=None, description="the data stream that is written to; this is the default"
    )
    index: str | None = Field(
        default=None,
        description="a plain index instead of a data stream. `%Y`, `%m`, `%d`, `%H`, `%j`, `%G` and `%V` stand for parts of "
        "the event's own time in UTC, so that the same event always goes to the same index, such as `audit-%Y.%m.%d`",
    )
    pipeline: str | None = Field(
        default=None, description="ingest pipeline that documents go through; `_none` leaves out the index's own"
    )
    object_field: str | None = Field(
        default=None,
        description="the event goes here as an object, too, such as `okta`; map it as one field (`flattened`, `flat_object`), "
        "or it brings a field for each key. Not with `normalise`",
    )
    compression: Literal["gzip", "none"] = Field(default="gzip", description="of request bodies")
    tls: Tls | None = Field(default=None, description="client certificate and CA")
    max_batch_events: Count = Field(default=1_000, description="documents in a request at most")
    max_batch_bytes: Count = Field(
        default=10_000_000,
        description="bytes of a request at most, before compression; below the server's `http.max_content_length`",
    )

    def addresses(self) -> tuple[str, ...]:
        return (self.endpoint,)

    def faults(self) -> list[tuple[str, str]]:
        found = super().faults()
        if "?" in self.endpoint or "#" in self.endpoint:
            found.append(("endpoint", "it has a query or fragment, expected the cluster's address alone"))
        if self.index is not None and self.data_stream is not None:
            found.append(("index", "both index and data_stream are given, expected one of them"))
        if self.index is not None and (wrong := _wrong_index(self.index)):
            found.append(("index", wrong))
        for name in ("type", "dataset", "namespace"):
            part = None if self.data_stream is None else getattr(self.data_stream, name)
            if part is not None and (wrong := _wrong_part(part)):
                found.append((f"data_stream.{name}", wrong))
        if self.object_field is not None and self.normalise is not None:
            found.append(("object_field", "both object_field and normalise are given, expected one of them"))
        return found


def _wrong_part(part: str) -> str | None:
    if not part or _FORBIDDEN.search(part) or "-" in part or len(part) > _LONGEST_PART_CHARS:
        return (
            f"{part[:_LONGEST_PART_CHARS]!r} is no part of a data stream's name, expected up to {_LONGEST_PART_CHARS} "
            'characters in lower case without `-`, blanks and any of \\ / * ? " < > | , # :'
        )
    return None


def _wrong_index(pattern: str) -> str | None:
    for found in _DIRECTIVE.finditer(pattern):
        if found[1] not in _DIRECTIVES:
            return f"{found[0]!r} is no part of a time, expected one of {', '.join(f'%{each}' for each in sorted(_DIRECTIVES))}"
    name = _DIRECTIVE.sub("0000", pattern)
    if not name or _FORBIDDEN.search(name) or name[0] in "-_+." or len(name.encode()) > _LONGEST_NAME_BYTES:
        return (
            f"{pattern[:_LONGEST_PART_CHARS]!r} is no index, expected a name in lower case of up to {_LONGEST_NAME_BYTES} "
            'bytes that begins with a letter or digit, without blanks and any of \\ / * ? " < > | , # :'
        )
    return None


def dataset_of(stream: str) -> str:
    """The dataset of a stream that has none in the configuration: `okta-prod/system` becomes `okta_prod.system`."""
    name = re.sub(r"[^a-z0-9._]", "_", stream.lower().replace("/", "."))
    return name[:_LONGEST_PART_CHARS] or "audit"
