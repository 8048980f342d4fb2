"""What a destination must offer, and what it is opened with."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.outcomes import Outcome, Receipt
from flicker_dagster.lots import Lot
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.tokens import MemoryTokens, Tokens


@dataclass(frozen=True)
class LotLimits:
    """What one request to a destination may hold, and how many requests may be under way."""

    events: int = 1_000
    bytes: int = 1_000_000
    in_flight: int = 4


class Destination(Protocol):
    """Where a lane's events go. `send` may be called from several threads at once, `confirm` and `close` from one.

    A destination connects to nothing and resolves no secret before it first sends.
    """

    @property
    def limits(self) -> LotLimits: ...

    #: When everything it waits for has to be over, beside the time-out of each request. A run sets it.
    deadline: Deadline | None

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        """Events that this destination can never hold, by index, each with the reason. They are not sent."""
        ...

    def send(self, lot: Lot) -> Outcome | Receipt:
        """One attempt. Never raises for the network; SecretUnset and DestinationBlocked for the configuration."""
        ...

    def confirm(self, receipts: Sequence[Receipt]) -> Mapping[str, Outcome]:
        """What has become of earlier requests, by the receipt's token; those still under way are left out."""
        ...

    def describe(self) -> str:
        """Where it goes, without secrets."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class LaneContext:
    """What a destination needs to know beside its own record.

    `stream` names the stream of events, `vendor` its preset or None, `lane` the lane. `credentials` finds where in
    the file the destination's credentials stand, for messages. `env` stands for the process environment where templates are
    resolved, `clock` gives seconds since the epoch. `tokens` keeps what must outlive a run, under `token_key`.
    """

    stream: str
    lane: str = ""
    vendor: str | None = None
    message_field: str | None = None
    event_fields: frozenset[str] = frozenset()
    credentials: Callable[[], str] = lambda: "its credentials"
    masker: Masker = field(default_factory=lambda: Masker([]))
    env: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)  # it holds secrets
    clock: Callable[[], float] = time.time
    tokens: Tokens = field(default_factory=MemoryTokens)

    @property
    def token_key(self) -> str:
        return f"{self.stream}@{self.lane}"

    def now_ms(self) -> int:
        return int(self.clock() * 1000)


class DestinationBase:
    """The parts of the protocol that most destinations have in common."""

    limits = LotLimits()
    deadline: Deadline | None = None

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return {}

    def confirm(self, receipts: Sequence[Receipt]) -> Mapping[str, Outcome]:
        return {}

    def close(self) -> None:
        """Nothing is held open."""


def open_destination(config: Any, context: LaneContext) -> Destination:
    """The destination of a record: `flicker_dagster.deliver.destinations.<type>` holds a class named `OPENS`. It gets events
    as the record's `fields` and `normalise` want them."""
    from flicker_dagster.deliver.shaped import shaped  # which is made of what is defined here

    if config.normalise is not None:  # both schemas have the message there
        context = replace(context, message_field="message")
    module = importlib.import_module(f"flicker_dagster.deliver.destinations.{config.type}")
    return shaped(module.OPENS(config, context), config, context)
