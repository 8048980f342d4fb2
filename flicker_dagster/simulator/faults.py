"""Faults on demand: for the next so many requests, or for a share of them."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from flicker_dagster.errors import FlickerError

KINDS = (
    "429",  # rate limited; retry_after: seconds, or "date", or "none"
    "500",
    "503",
    "401",
    "403",
    "404",
    "400",
    "413",
    "cut",  # half of the body, then the connection closes
    "truncated",  # JSON that stops in the middle, with a fitting Content-Length
    "html",  # a login page with status 200
    "slow",  # seconds: answers after a pause
    "expired",  # a kept cursor is refused
    "empty",  # a page without events that names a next one, where the API has such
    "wrong_host",  # the next link leads elsewhere
    "commit_then_cut",  # SIEM: stores the batch and hangs up without an answer
    "cut_before_commit",  # SIEM: hangs up without storing
    "endless",  # SIEM: stores the batch, and its answer never ends
)


class Planned(Protocol):
    """`count` requests get it (None: for ever), each with probability `share`, once `after` requests were let through."""

    count: int | None
    share: float
    after: int


AnyFault = TypeVar("AnyFault", bound=Planned)


def take_due(
    plan: list[AnyFault], chance: random.Random, *, fits: Callable[[AnyFault], bool] = bool
) -> AnyFault | None:
    """The first fault of a plan whose turn it is, of those that fit this request; one that is used up leaves the plan."""
    for fault in filter(fits, plan):
        if fault.after > 0:
            fault.after -= 1
            continue
        if chance.random() >= fault.share:
            continue
        if fault.count is not None:
            fault.count -= 1
            if fault.count <= 0:
                plan.remove(fault)
        return fault
    return None


@dataclass
class Fault:
    """`count` requests get it (None: for ever), each with probability `share`. Any status is a kind; `says` is the
    service's own code in its answer."""

    kind: str
    count: int | None = 1
    share: float = 1.0
    seconds: float = 1.0
    retry_after: str = ""
    after: int = 0  # requests let through first
    says: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS and not re.fullmatch("[1-5][0-9][0-9]", self.kind):
            raise FlickerError(f"{self.kind!r} is no fault; expected a status or one of {', '.join(KINDS)}")


class Faults:
    """A plan of faults, consulted once per request."""

    def __init__(self, *, seed: int = 0) -> None:
        self._plan: list[Fault] = []
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def plan(self, kind: str, **how: Any) -> None:
        """Plan a fault; `how` are the fields of `Fault`. Raises FlickerError for an unknown kind."""
        with self._lock:
            self._plan.append(Fault(kind, **how))

    def clear(self) -> None:
        with self._lock:
            self._plan.clear()

    def take(self) -> Fault | None:
        """The fault of this request, if it has one."""
        with self._lock:
            return take_due(self._plan, self._random)
