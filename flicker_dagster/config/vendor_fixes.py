"""What a person does about words with which a vendor could not be read. For people only: nothing here decides anything."""

from __future__ import annotations

from flicker_dagster.config.destination_answers import NETWORK_FIXES, UNSET
from flicker_dagster.config.destinations.base import Fix
from flicker_dagster.config.vendors import Preset

#: From the particular to the general: the first that fits is told.
FIXES = (
    UNSET,
    Fix("the answer is HTML", "Something else answers at this address, such as a page to sign in: check it, and proxies "
        "between."),
    *NETWORK_FIXES,
    Fix("answered HTTP 429", "Nobody may ask for a token now: try again in some minutes; where others use the same account, "
        "poll less often (`polling_frequency_ms`)."),
    Fix("answered HTTP 5", "The token endpoint has a fault of its own: look at the vendor's status page, and try again."),
    Fix("cannot be signed", "No token could be had: check client id, secret, key and scopes, and what the message says of "
        "the token endpoint."),
    Fix("auth cannot be used", "Check the keys of `auth`: the message names what is wrong with them."),
    Fix("Too Many Requests", "Try again when the wait is over; where others use the same account, poll less often "
        "(`polling_frequency_ms`)."),
    Fix("with its limit reached", "Try again when the wait is over; where others use the same account, poll less often "
        "(`polling_frequency_ms`)."),
    Fix("HTTP 401", "The vendor does not know these credentials: check that the variable holds the whole of them, without "
        "quotes and blanks, that they have not ended, and that they are of this account."),
    Fix("HTTP 403", "The vendor knows these credentials and does not let them read this: give them the right to read the "
        "audit log, and see that the plan includes it."),
    Fix("HTTP 404", "Nothing is there: check the account's name in the address or in `params`, and that the plan includes the "
        "audit log. Some vendors answer 404 where a right is missing."),
    Fix("HTTP 400", "The vendor does not take the request: compare its words with its documentation."),
    Fix("HTTP 422", "The vendor does not take the request: compare its words with its documentation."),
    Fix("HTTP 5", "The vendor has a fault of its own: look at its status page, and try again."),
    Fix("redirected", "The address leads elsewhere, and credentials are not sent on: write the final address."),
    Fix("(expected an ", "The events stand elsewhere in the answer, which the message describes: correct `results_field`."),
    Fix("(the part ", "Mend the part, or its installation: `docs/parts.md` says what is asked of it."),
    Fix("it ends in the middle", "The answer was cut off on its way: try again; where it happens each time, ask for smaller "
        "pages, and look at what stands between."),
    Fix("not the JSON that was expected", "Something else answers at this address, such as a page to sign in: check it, and "
        "proxies between."),
    Fix("no answer", "Nothing came back: check host and port, firewalls and proxies (`HTTPS_PROXY`, `NO_PROXY`)."),
    Fix("within limits.total_timeout_ms", "It takes the vendor longer than that: ask for smaller pages, or raise "
        "`limits.total_timeout_ms`."),
    Fix("timestamp_field", "The time stands elsewhere, or is written otherwise: correct `timestamp_field` and "
        "`timestamp_format`."),
)  # fmt: skip

#: What is to be created at the vendor helps with these.
ABOUT_THE_ACCOUNT = ("cannot be signed", "HTTP 401", "HTTP 403", "HTTP 404")

#: A clock so wrong makes signatures and tokens invalid, and windows close too early or too late.
CLOCK_TOLERATED_MS = 30_000


def fix_for(preset: Preset | None, said: str) -> str | None:
    """What to do about a failure in these words; None where nothing is known."""
    words = said.lower()
    found = next((fix for fix in FIXES if fix.said.lower() in words), None)
    if found is None or preset is None or found.said not in ABOUT_THE_ACCOUNT:
        return None if found is None else found.do
    return f"{found.do} `flicker vendors show {preset.vendor}` says what to create there."


def rights_wanted(preset: Preset | None, said: str) -> list[str]:
    """The least rights of a vendor, where a refusal may be for want of one."""
    refused = ("http 401", "http 403", "http 404", "scope", "permission", "not authorized", "forbidden")
    return preset.rights if preset is not None and any(word in said.lower() for word in refused) else []
