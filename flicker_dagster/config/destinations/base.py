"""What every destination's record has in common, and what a person has to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from flicker_dagster.config.auth.base import AuthRecord
from flicker_dagster.config.endpoints import endpoint_fault
from flicker_dagster.config.records import FieldPath, Record, Template, TimeoutMs, Tls


@dataclass(frozen=True)
class Fix:
    """What to `do` where a destination's refusal holds the words `said`, in whatever case."""

    said: str
    do: str


@dataclass(frozen=True)
class Guide:
    """What a person must know to set a destination up: source of `flicker destinations show` and of its page.

    `create` are steps at the destination, in order; `rights` the least ones; `block` a block to paste below
    `destinations:`; `guarantee` what is promised, `bound` where the promise ends; `extra` the pip extra it needs; `notes` what
    else one must know. `body` is what a request holds; `identity` and `time` say where an event's id and time stand there.
    `find` is what to search for to see an event again: `{uid}` stands for its id, `{mark}` for the mark of a test event,
    `{record.…}` for a key of the configuration. `answers` say what becomes of events by what is answered, `fixes` what to do
    about refusals; those that hold for all are in `flicker_dagster.config.destination_answers`, its `HTTP_ANSWERS` where
    `http_answers` is true. `tested` names what it was tried against. All in plain text with Markdown's backticks, but for
    `find`.
    """

    title: str
    create: tuple[str, ...]
    rights: str
    block: str
    guarantee: Literal["exactly once", "at least once, same ids", "best effort"]
    bound: str
    body: str
    identity: str
    time: str
    find: str
    tested: str
    extra: str | None = None
    notes: tuple[str, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()
    http_answers: bool = True
    fixes: tuple[Fix, ...] = ()


#: A path that leads somewhere: the root is no field.
EventField = Annotated[FieldPath, Field(min_length=1)]


class FieldRules(Record):
    """What of an event goes to this destination: paths lead through arrays, and are those of the vendor's event, before
    `normalise`. Declared here, counted in every run; the ledger and dead letters keep the vendor's own bytes."""

    keep: list[EventField] | None = Field(default=None, description="only these fields, and what lies below them")
    drop: list[EventField] = Field(default_factory=list, description="without these fields")
    mask: list[EventField] = Field(
        default_factory=list,
        description="values of these fields become `***` and a keyed digest (HMAC-SHA256, 16 hex digits) by which equal "
        "values can be joined and none can be guessed",
    )
    mask_key: Template | None = Field(
        default=None,
        description="key of the digests, 16 characters or more, the same wherever masked values are to be joined; default "
        "the environment variable FLICKER_MASK_KEY",
    )
    static: dict[EventField, str] = Field(
        default_factory=dict,
        description="fields of this text in every event, after `normalise`, in the place of what the vendor sent there",
    )


class DestinationRecord(Record):
    """Keys of every destination. A subclass names its `type` and its `GUIDE`."""

    GUIDE: ClassVar[Guide]

    type: str = Field(description="what kind of destination it is")
    name: str | None = Field(
        default=None, description="name of the lane, where a source has several destinations; default its type"
    )
    required: bool = Field(
        default=True,
        description="false: best effort. The position does not wait for it, and what it could not take is dropped, and "
        "counted, once the spool is half full",
    )
    start_from: str = Field(
        default="now",
        description="where this destination begins when it is added to a source that is collected already: now, an ISO time, "
        "or an age such as 24h; what lies before is delivered by a backfill",
    )
    fields: FieldRules | None = Field(default=None, description="what of an event goes there")
    normalise: Literal["ecs", "ocsf"] | None = Field(
        default=None, description="send events as ECS or OCSF, the untouched original beside"
    )
    ocsf_version: Literal["1.1.0", "1.3.0", "1.8.0", "1.9.0"] = Field(
        default="1.8.0", description="version of OCSF that the events are written in"
    )
    timeout_ms: TimeoutMs = Field(
        default=30_000, description="longest time for a whole request, from the connection to the end of the answer"
    )
    max_in_flight: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4, description="requests on the way at the same time; 1 keeps strict order"
    )

    @property
    def lane_name(self) -> str:
        """What its lane is called where a source has several."""
        return self.name or self.type

    @property
    def extra(self) -> str | None:
        """The extra of pip that it needs as it is configured."""
        return self.GUIDE.extra

    def search_for(self, uid: str, *, mark: str) -> str:
        """What to search for to see an event again; `mark` is what a test event has in its text."""
        return self.GUIDE.find.format(uid=uid, mark=mark, record=self)

    def addresses(self) -> tuple[str, ...]:
        """Templates of the addresses that it speaks to; what is secret in them is masked everywhere."""
        return ()

    def address_fault(self, address: str) -> str | None:
        """What is wrong with one of `addresses`, None for nothing: a URL of HTTP, where a type speaks nothing else."""
        return endpoint_fault(address)

    def faults(self) -> list[tuple[str, str]]:
        """Keys of this type that contradict each other, each with what is wrong and what was expected."""
        return []

    def all_faults(self) -> list[tuple[str, str]]:
        """The same of every key: those that several types have (addresses, `tls`, `auth`) are looked at here."""
        found = [
            (key, what)
            for address in self.addresses()
            if (key := self._key_of(address)) and (what := self.address_fault(address))
        ]
        tls, auth = (getattr(self, key) if key in type(self).model_fields else None for key in ("tls", "auth"))
        if isinstance(tls, Tls):
            found += [(f"tls.{key}", what) for key, what in tls.faults()]
        if isinstance(auth, AuthRecord):
            found += [(f"auth.{key}", what) for key, what in auth.faults()]
        return list(dict.fromkeys([*found, *self.faults()]))

    def _key_of(self, address: str) -> str | None:
        """The key that an address stands under; None for one that is made of others."""
        for key in type(self).model_fields:
            value = getattr(self, key)
            if value == address:
                return key
            if isinstance(value, list) and address in value:
                return f"{key}[{value.index(address)}]"
        return None
