"""`type: stdout`: lines on standard output."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import DestinationRecord, Fix, Guide
from flicker_dagster.config.records import Count


class StdoutDestination(DestinationRecord):
    """One line for each event on the standard output of the command, for `kubectl logs`, a pipe, or a look at what comes."""

    GUIDE = Guide(
        title="Standard output",
        create=("Have something read the standard output of `flicker`: the container's log collector, or a pipe.",),
        rights="None.",
        block="""lines:
  type: stdout
  format: envelope
""",
        guarantee="best effort",
        bound="a line counts once the reader's pipe has taken it: what the reader does with it nobody can tell, and what was "
        "written by a process that was killed in the middle comes again. For audit events that count use `file`",
        body="lines: the events alone (`ndjson`), or envelopes with id, time and source (`envelope`)",
        identity="the event's own id; `id` of an envelope",
        time="the event's own; `time` of an envelope",
        find="the line with {mark} on this command's standard output",
        tested="real pipes, files and terminals, slow and closed readers included",
        notes=(
            "Events only go to standard output, Flicker's own log lines only to standard error. `2>/dev/null` or the "
            "collector's `stream` field tells them apart.",
            "With `flicker` every run is a process of its own, whose output is taken for its log; events reach the command's "
            "standard output because Flicker hands it down to its runs. Where Dagster starts runs by another launcher, that is "
            "not so: this destination then blocks, and says so. Without `flicker` (`dagster dev`, a code location of your own, "
            "Kubernetes jobs) lines go to the standard output of the run's own process.",
            "`flicker --once` prints its table there, too, behind the events.",
            "A reader that is gone (a closed pipe) blocks this destination, and keeps everything; one that is slow is waited "
            "for, up to `timeout_ms`.",
            "Lines of several processes never mix. A process that is killed while it writes can leave half a line.",
            "`format: ndjson` is the vendor's own bytes; `envelope` puts id, time and source around them, by which repeats and "
            "streams can be told apart.",
        ),
        answers=(
            ("written", "taken"),
            ("the reader is slow", "waited for, up to `timeout_ms`, and tried again"),
            ("the reader is gone, no standard output", "everything waits until Flicker is started with a reader again"),
        ),
        http_answers=False,
        fixes=(
            Fix("broken pipe", "Start the command with a reader behind it."),
            Fix("use `file`", "Runs are not started by Flicker's own launcher: use `type: file`."),
        ),
    )

    type: Literal["stdout"]
    format: Literal["ndjson", "envelope"] = Field(
        default="ndjson", description="the vendor's bytes line by line, or in envelopes with id, time and source"
    )
    max_batch_bytes: Count = Field(default=1_000_000, description="bytes that are written at a time at most")
    max_in_flight: Annotated[int, Field(ge=1, le=1)] = Field(
        default=1, description="always 1: lines are written one behind the other"
    )
