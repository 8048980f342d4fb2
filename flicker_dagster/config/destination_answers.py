"""What becomes of events by what a destination answers, and what a person does about a refusal: the rules that hold for all
destinations. Each guide has its own before them."""

from __future__ import annotations

from flicker_dagster.config.destinations.base import DestinationRecord, Fix

#: What stands in a test's report where an acknowledgement did not come in time.
NOT_ACKNOWLEDGED = "taken, and not yet acknowledged"

#: What HTTP answers stand for where a destination has no rule of its own.
HTTP_ANSWERS = (
    ("400, 422, not named above", "halved and sent again, down to the guilty event, which becomes a dead letter"),
    ("413", "halved and sent again; what was taken of it is remembered as its limit"),
    (
        "401, 403, 404 and other 4xx, redirects",
        "everything waits until somebody mends credentials, permission or address",
    ),
    ("408, 425, 429, 5xx", "tried again, after `Retry-After` where it says so"),
)

#: What holds whatever the protocol is.
ANSWERS = (
    ("no connection", "tried again with a growing pause: within the run, then by the next ones"),
    ("sent, and no answer", "the same bytes go again under the same ids"),
    ("TLS that cannot be trusted", "everything waits until somebody mends certificates or names"),
    ("credentials that are not set", "everything of this source waits; the message names variable, file and line"),
)

#: What to do about a reference that stands for nothing.
UNSET = Fix("is not set", "Set the variable in the environment of `flicker` (here, and where it runs), or make the file "
    "readable.")  # fmt: skip

#: What to do where there is no connection, whoever it is to. From the particular to the general: the first that fits.
NETWORK_FIXES = (
    Fix("NameResolution", "The host's name is not known to DNS: check it for typing errors."),
    Fix("not known to DNS", "The host's name is not known to DNS: check it for typing errors."),
    Fix("Connection refused", "Nothing listens there: check host and port, and that the service runs."),
    Fix("CERTIFICATE_VERIFY_FAILED", "The server's certificate is of an authority that is not known here, or of another "
        "name: name the authority in `tls.ca_cert_path`, or correct the host."),
    Fix("WRONG_VERSION_NUMBER", "The port does not speak TLS: write `http://`, or choose its TLS port."),
    Fix("TLS", "Check `tls`: the authority (`ca_cert_path`), our certificate (`cert_path`, `key_path`), and the host's name."),
    Fix("refused by the proxy", "Check the proxy's address, user and password (`HTTPS_PROXY`), and whether it lets this host "
        "through."),
    Fix("proxy", "Check the proxy (`HTTPS_PROXY`, `NO_PROXY`)."),
    Fix("timed out", "Nobody answers there: check host and port, and firewalls between."),
    Fix("cannot connect", "Check host and port, and firewalls between."),
)  # fmt: skip

#: The same for all that a destination may say.
FIXES = (
    *NETWORK_FIXES,
    Fix("within destination.timeout_ms", "It was sent and nothing came back in time: look there whether it arrived, and at "
        "how busy it is; raise `timeout_ms` if it is always so slow."),
    Fix(NOT_ACKNOWLEDGED, "Wait longer (`--wait`), and look at how busy the destination is."),
    Fix("no answer after sending", "The connection broke: look there whether it arrived, and at proxies between."),
    Fix("not installed", "Install the package that the message names."),
    Fix("mask_key", "Set `FLICKER_MASK_KEY` (16 characters or more), or `fields.mask_key`."),
    Fix("token endpoint", "Check client id, secret and `token_url`."),
    Fix("HTTP 401", "The credentials are wrong, or have ended: check them, and that the variable holds them without quotes "
        "and blanks."),
    Fix("HTTP 403", "The credentials are known and may not do this: give them the rights that `flicker destinations show` "
        "names."),
    Fix("HTTP 404", "The address is not there: check host and path, index or stream."),
    Fix("HTTP 405", "Something else answers at this address: check it."),
    Fix("HTTP 407", "The proxy wants credentials: `HTTPS_PROXY=http://user:password@host:port`."),
    Fix("HTTP 408", "The destination is busy: try again."),
    Fix("HTTP 413", "Even one small event is too large for what stands there: look for a limit of a proxy."),
    Fix("HTTP 415", "The destination does not take this content type or compression: check `format` and `compression`."),
    Fix("HTTP 429", "The destination is busy, or its quota is used up: try again later."),
    Fix("HTTP 400", "The destination refuses the event itself: look at its words, and at `format`, `fields` and "
        "`normalise`."),
    Fix("HTTP 422", "The destination refuses the event itself: look at its words, and at `format`, `fields` and "
        "`normalise`."),
    Fix("HTTP 3", "The address leads elsewhere, and credentials are not sent on: write the final address."),
    Fix("HTTP 5", "The destination has a fault of its own: look at its health, and try again."),
    Fix("never sent", "The event cannot be held by this destination as it is configured: see the reason."),
)  # fmt: skip


def fix_for(record: type[DestinationRecord], said: str) -> str | None:
    """What to do about words with which a destination refused, or None where nothing is known. For people only: nothing
    here decides over events."""
    words = said.lower()
    return next((fix.do for fix in (*record.GUIDE.fixes, *FIXES) if fix.said.lower() in words), None)
