"""What an answer that is no listing stands for: an error of the kind that fits, in words that hold no secret and no event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flicker_dagster.collect.quota import UNTOLD_WAIT_S, told_wait_s, wait_asked_for_s
from flicker_dagster.config.vocabulary import AnswerRule
from flicker_dagster.config.written import vendor_credentials
from flicker_dagster.errors import (
    CollectError,
    CredentialsRefused,
    CursorRejected,
    NotSetUp,
    RateLimited,
    VendorRefused,
    VendorUnavailable,
)
from flicker_dagster.transport.exchange import Request
from flicker_dagster.transport.reasons import said_in, shape_of

if TYPE_CHECKING:
    from flicker_dagster.collect.client import VendorClient

SHOWN_REASON_CHARS = 300

ADVICE = {
    202: "the vendor has accepted the request and has no answer yet: this API has to be asked in another way",
    206: "the vendor says that its answer is incomplete, so nothing of it is taken for an answer: ask for smaller pages "
    "(pagination.page_size) or spans (slice_ms), and see that headers asks for no Range",
    401: "the token is wrong, expired or revoked: check the credentials of this source",
    403: "the token may not read this: check its permissions and scopes",
    404: "nothing is there: check endpoint, organisation name and whether the plan includes the audit log",
}

NO_LISTING = (
    "only 200, and 204 for nothing, are answers to a listing: check the endpoint against the vendor's documentation"
)


class Refusals:
    """Reads the refusals of one client's vendor."""

    def __init__(self, client: VendorClient) -> None:
        self._client = client
        self._source = client.source

    def usual(
        self,
        request: Request,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now_ms: int | None,
        kept: bool,
    ) -> CollectError:
        """What a status means with most vendors. `kept`: the request rests on a cursor from an earlier poll."""
        say = self._client.say
        now_ms = now_ms or self._client.now_ms()
        wait_s = wait_asked_for_s(status, headers, self._source.rate_limit, now_ms=now_ms)
        if status < 300:  # its body may hold events, which belong in no message
            return VendorRefused(say(request, f"HTTP {status} with {shape_of(body)}. {ADVICE.get(status, NO_LISTING)}"))
        said = self._said(body)
        if status in (401, 403):
            said += self._client.explained(status, headers, body)
        if wait_s is not None:
            return self._limited(request, status, wait_s)
        if status >= 500 or status in (408, 425):
            return VendorUnavailable(say(request, f"HTTP {status}: {said}"))
        if kept and status in self._source.listing.expired_status:
            return CursorRejected(say(request, f"the kept cursor is no longer accepted (HTTP {status}: {said})"))
        advice = ADVICE.get(status, "check the configuration of this source against the vendor's documentation")
        if status in (401, 403):
            advice += f": {vendor_credentials(self._source)}"
        return _refused(status)(say(request, f"HTTP {status}: {said}. {advice}"))

    def by_rule(
        self,
        rule: AnswerRule,
        request: Request,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now_ms: int | None,
        further: bool,
    ) -> CollectError:
        """What one of the source's own rules takes it for. `further`: the request rests on an earlier answer."""
        say = self._client.say
        said = f"HTTP {status}: {self._said(body)}{f'. {rule.advice}' if rule.advice else ''}"
        if rule.means == "wait":
            told_s = told_wait_s(headers, self._source.rate_limit, now_ms=now_ms or self._client.now_ms())
            wait_s = told_s if rule.wait_s is None else rule.wait_s
            return self._limited(request, status, UNTOLD_WAIT_S if wait_s is None else wait_s)
        if rule.means == "not_set_up":
            return NotSetUp(say(request, said))
        if rule.means == "unauthorized":
            return self._unauthorized(rule, request, status, headers, body)
        if rule.means == "cursor_expired" and further:
            return CursorRejected(say(request, f"the cursor is no longer accepted ({said})"))
        if rule.means == "unavailable":
            return VendorUnavailable(say(request, said))
        if status in (401, 403) and not rule.advice:
            said += f". {ADVICE[status]}: {vendor_credentials(self._source)}"
        return _refused(status)(say(request, said))

    def _unauthorized(
        self, rule: AnswerRule, request: Request, status: int, headers: Mapping[str, str], body: bytes
    ) -> CollectError:
        """A 401 by the vendor's own word."""
        as_401 = "" if status == 401 else ", which means HTTP 401 here"
        said = f"HTTP {status}{as_401}: {self._said(body)}{self._client.explained(401, headers, body)}"
        advice = f"{rule.advice or ADVICE[401]}: {vendor_credentials(self._source)}"
        return CredentialsRefused(self._client.say(request, f"{said}. {advice}"))

    def _said(self, body: bytes) -> str:
        told = said_in(body, event_fields=self._source.listing.rows.event_members)
        return self._client.masker.shown(told, at_most=SHOWN_REASON_CHARS)

    def _limited(self, request: Request, status: int, wait_s: float) -> RateLimited:
        what = "Too Many Requests" if status == 429 else "with its limit reached"
        words = f"API returned {status} {what}, asks to wait {wait_s:.0f} s"
        advice = "Increase polling_frequency_ms (poll less frequently)"
        return RateLimited(self._client.say(request, f"{words}. {advice}"), retry_after_s=wait_s)


def _refused(status: int) -> type[VendorRefused]:
    return CredentialsRefused if status == 401 else VendorRefused
