"""Every error Flicker raises on purpose: what happened, to which source, and what to do.

Messages are shown to users as they stand. They never hold a resolved secret: whoever builds one masks it first
(`flicker_dagster.config.masking.Masker`).
"""

from __future__ import annotations

from flicker_dagster.printable import visible


class FlickerError(Exception):
    """Root of all errors of this package. Its message is one line, whatever from outside stands in it."""

    def __init__(self, message: str = "") -> None:
        super().__init__(visible(message))

    def one_line(self, source: str) -> str:
        """The message on one line, with the name of the source (or of one of its lanes) it is about in front, once."""
        text = "; ".join(line.strip() for line in str(self).splitlines() if line.strip())
        return text if text.startswith((f"{source}: ", f"{source}@")) else f"{source}: {text}"


# -- configuration -----------------------------------------------------------------------------------------------


class ConfigError(FlickerError):
    """The configuration cannot be used. `problems` holds one printable line per fault, in file order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__()
        self.problems = [visible(problem) for problem in problems]
        self.args = ("\n".join(self.problems),)


class SecretUnset(FlickerError):
    """A `${VAR}` or `${file:…}` that a source needs has no value. Breaks that source only."""

    def __init__(self, message: str, *, reference: str | None = None) -> None:
        super().__init__(message)
        self.reference = reference


# -- collecting --------------------------------------------------------------------------------------------------


class CollectError(FlickerError):
    """The vendor could not be read. Nothing was lost: the position has not moved."""

    #: Worth asking again without anybody changing anything?
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class VendorUnavailable(CollectError):
    """No answer, a cut connection, a time-out or a 5xx."""


class RateLimited(CollectError):
    """The vendor asked us to wait (429, 403 with nothing remaining, 503 with Retry-After)."""


class VendorRefused(CollectError):
    """401, 403, 404 or another 4xx: somebody has to change a token, a permission or the configuration."""

    retryable = False


class CredentialsRefused(VendorRefused):
    """401, or no token for them: whatever else is asked with the same credentials is refused as well."""


class CursorRejected(CollectError):
    """The vendor no longer knows the cursor; the walk starts again from the position's time."""


class NotSetUp(CollectError):
    """The vendor's API has to be prepared first, by the calls that the source names."""


class NotRetained(CollectError):
    """The vendor no longer keeps what was asked for: a gap, to be reported and never to be taken for verified."""

    retryable = False


class NotClosed(CollectError):
    """A window that is over by our clock and not by the vendor's: nobody can certify it yet."""

    retryable = False


class EndUnproven(CollectError):
    """A walk that may have ended before the data did: what was read is delivered, and nothing is certified by it."""

    retryable = False


class BadAnswer(CollectError):
    """A 200 that is not the promised answer: HTML, truncated JSON, an error object, a page over the size cap."""


# -- delivering --------------------------------------------------------------------------------------------------


class DeliverError(FlickerError):
    """The SIEM did not take the events. They wait in the spool."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DestinationUnavailable(DeliverError):
    """No answer, a 5xx, 408 or 429."""


class DestinationBlocked(DeliverError):
    """401, 403, 404 …: credentials, permission or address. Everything waits until somebody fixes it."""

    retryable = False


# -- state -------------------------------------------------------------------------------------------------------


class StateError(FlickerError):
    """Positions, ledger, spool or dead letters cannot be read or written."""


class LocationError(StateError):
    """What was given as a place for state cannot be one: a mistake of the command line or the environment."""


class StoreAway(StateError):
    """The store did not answer, or asked to wait. It is tried again."""


class StoreRefused(StateError):
    """The store cannot keep state: it ignores conditions, or lacks what they need. Somebody has to choose another."""


class RegistryUnreadable(StateError):
    """The registry exists but cannot be read. Collection stops: starting fresh would lose or repeat events."""


class WriteConflict(StateError):
    """Somebody else wrote the object since we read it (a conditional write was refused)."""


class TokenUnreadable(StateError):
    """A stored token is damaged, or encrypted with a key that is not here."""


class SpoolFull(StateError):
    """The spool has reached its cap or the disk is full; fetching pauses until the SIEM takes events."""


class SourceBusy(StateError):
    """Another run of the same source is at work, here or on another machine."""


class LeaseLost(StateError):
    """This run was not heard of for so long that another one took over. It writes nothing more."""


# -- processes ---------------------------------------------------------------------------------------------------


class StartRefused(FlickerError):
    """Flicker cannot start here now: another one runs on the work directory, or the port is taken."""


class ReloadRefused(FlickerError):
    """The web UI's "reload" changes nothing: the configuration's file has a fault, or is not taken over."""
