"""The destinations: what each must offer, and one line per type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.deliver.formats import Buffer
from flicker_dagster.deliver.http import HttpSender
from flicker_dagster.deliver.outcomes import Outcome
from flicker_dagster.types import Batch


class Destination(Protocol):
    """Where a source's events go. `send` may be called from several threads."""

    max_in_flight: int
    max_batch_bytes: int

    @property
    def content_type(self) -> str: ...

    def encode(self, events: Sequence[Buffer], digests: Sequence[bytes], times_ms: Sequence[int | None]) -> bytes:
        """The body of a batch; frozen in the spool from then on."""
        ...

    def split(self, body: bytes, count: int | None = None) -> list[bytes]:
        """The records of a body, `count` of them where that is known."""
        ...

    def join(self, records: Sequence[bytes]) -> bytes: ...

    def event_of(self, record: bytes) -> bytes:
        """The vendor's bytes in a record."""
        ...

    def send(self, batch: Batch) -> Outcome: ...

    def describe(self) -> str:
        """Where it goes, without secrets."""
        ...

    def close(self) -> None: ...


_TYPES: dict[str, Callable[..., Destination]] = {
    "http": HttpSender,
}


def open_destination(source: SourceConfig, *, env: Mapping[str, str] | None = None) -> Destination:
    """The destination of a source. Connects to nothing yet and resolves no secret."""
    return _TYPES[source.destination.type](source, env=env)
