"""How a vendor tells its quota, and what may be asked of one that tells nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.records import DAY_MS, Count, Milliseconds, Record

PeriodMs = Annotated[int, Field(ge=1, le=366 * DAY_MS)]

#: `auto` takes whatever can be told apart: a number too small for a time is seconds to wait.
ResetFormat = Literal["auto", "unix", "unix_ms", "seconds", "iso8601", "http_date"]


class RequestBudget(Record):
    """So many requests in any span of `per_ms`, of the whole account."""

    requests: Count = Field(description="requests that the vendor allows in per_ms")
    per_ms: PeriodMs = Field(description="in any span of that length")


class RateLimit(Record):
    """How the vendor tells its quota. Header names are matched without regard to case.

    Without any key the usual headers are understood; what no header tells is declared by `requests` and `per_ms`, or
    where there are several limits at once, by `budgets`.
    """

    limit_header: str | None = Field(default=None, description="header with the quota; default: the usual names")
    remaining_header: str | None = Field(
        default=None, description="header with what remains of it; default: the usual names"
    )
    reset_header: str | None = Field(
        default=None, description="header with the time it is filled again; default: the usual names"
    )
    reset_format: ResetFormat = Field(default="auto", description="how that time is written")
    info_header: str | None = Field(
        default=None,
        description="header that tells all of it in one text, such as `total=100; remaining=7; resets=30` or "
        "`api-usage=18/5000`; default: the usual names",
    )
    retry_after_header: str | None = Field(
        default=None, description="header of a refusal that says when to come back; default Retry-After"
    )
    requests: Count | None = Field(
        default=None, description="requests that the vendor allows in per_ms, for one that tells no quota in headers"
    )
    per_ms: PeriodMs | None = Field(default=None, description="the span in which the vendor allows so many requests")
    budgets: list[RequestBudget] = Field(
        default_factory=list, description="several of them, such as `[{requests: 600, per_ms: 60000}, …]`"
    )
    reserve: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.2, description="share of the quota, told or declared, that is left to others"
    )
    min_interval_ms: Milliseconds = Field(default=0, description="least time between two requests of a run")

    @property
    def declared(self) -> list[RequestBudget]:
        """All budgets that are declared."""
        if self.requests is None or self.per_ms is None:
            return self.budgets
        return [RequestBudget(requests=self.requests, per_ms=self.per_ms), *self.budgets]

    def faults(self) -> list[tuple[str, str]]:
        """Keys that lack each other, each with what is wrong and what was expected."""
        if (self.requests is None) == (self.per_ms is None):
            return []
        missing = "per_ms" if self.per_ms is None else "requests"
        return [(missing, "is missing, expected requests and per_ms together")]
