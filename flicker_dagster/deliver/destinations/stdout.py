"""`type: stdout`: one line for each event on the command's standard output."""

from __future__ import annotations

import errno
import threading
from collections.abc import Mapping

from flicker_dagster.config.destinations.stdout import StdoutDestination
from flicker_dagster.deliver.destination import DestinationBase, LaneContext, LotLimits
from flicker_dagster.deliver.encoders.envelope import EnvelopeLines
from flicker_dagster.deliver.encoders.ndjson import NdJson
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Outcome, Rejected, Retry
from flicker_dagster.deliver.standard_output import NotReachable, TookTooLong, descriptor, write_lines
from flicker_dagster.lots import Lot
from flicker_dagster.transport.deadlines import Deadline

WRITTEN = "written to standard output"


class Lines(DestinationBase):
    """Standard output, shared with the runs of other streams line by line."""

    def __init__(self, config: StdoutDestination, context: LaneContext) -> None:
        self.config = config
        self.context = context
        self.limits = LotLimits(events=10_000, bytes=config.max_batch_bytes, in_flight=1)
        self._encoder = EnvelopeLines(context.message_field) if config.format == "envelope" else NdJson()
        self._guard = threading.Lock()
        self._torn = False  # the last line that we began has no end

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return self._encoder.unfit(lot)

    def send(self, lot: Lot) -> Outcome:
        try:
            lines = self._encoder.encode(lot)
        except ValueError as error:
            return Rejected(str(error))
        timeout_s = self.config.timeout_ms / 1000
        deadline = Deadline.after(timeout_s, f"destination.timeout_ms ({timeout_s:g} s)").or_earlier(self.deadline)
        with self._guard:
            try:
                write_lines(descriptor(self.context.env), b"\n" + lines if self._torn else lines, deadline=deadline)
            except NotReachable as error:
                return Blocked(f"{error}; use `file`, or start Flicker with its own launcher and a standard output")
            except TookTooLong as error:
                self._torn = self._torn or error.written > 0
                words = (
                    f"whoever reads standard output took {error.written} of {len(lines)} bytes within {deadline.limit}"
                )
                return Ambiguous(words) if error.written else Retry(words)
            except OSError as error:
                return self._outcome_of(error)
            self._torn = False
        return Delivered(WRITTEN)

    def describe(self) -> str:
        return "standard output"

    def _outcome_of(self, error: OSError) -> Outcome:
        if error.errno == errno.EPIPE:
            return Blocked("nobody reads standard output any more (broken pipe); start Flicker with a reader again")
        words = f"cannot write to standard output: {error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Retry(f"{words}; free some space")
        return Blocked(f"{words}; check where it leads")


OPENS = Lines
