"""`type: http`: any HTTP endpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flicker_dagster.config.auth import Auth, authorization_headers, two_ways_to_authenticate
from flicker_dagster.config.auth.fixed import BasicCredentials, BearerAuth
from flicker_dagster.config.destinations.base import DestinationRecord, Fix, Guide
from flicker_dagster.config.records import BasicAuth, Count, FieldPath, Record, Status, Template, Tls


class BodyHash(Record):
    """A keyed hash of the body, exactly as it is sent (after compression), in a header beside `auth`."""

    header: str = Field(description="header that carries the hash, such as `X-Signature`")
    secret: Template = Field(description="key of the hash; a template")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field(default="sha256", description="the hash")
    prefix: str = Field(default="", description="stands before the hash, such as `sha256=`")
    encoding: Literal["hex", "base64"] = Field(default="hex", description="how the hash is written")


class AcceptedWhen(Record):
    """What an answer must hold, beside a good status, for its events to count as taken."""

    field: FieldPath = Field(description="path into the answer, which is JSON")
    equals: str | int | bool = Field(default=True, description="the value there that stands for success")


class HttpDestination(DestinationRecord):
    """POST to any HTTP endpoint: a JSON array of the vendor's events, byte for byte, unless `format` says otherwise."""

    GUIDE = Guide(
        title="Any HTTP endpoint",
        create=("Have an endpoint that takes a `POST` of JSON and answers 2xx once the events are safe.",),
        rights="To write, and nothing else.",
        block="""siem:
  type: http
  endpoint: https://siem.example.com/ingest
  auth:
    type: bearer
    token: ${SIEM_TOKEN}
""",
        guarantee="at least once, same ids",
        bound="exactly once where the endpoint heeds `Idempotency-Key`",
        body="a JSON array of events (`format: json`), lines (`ndjson`), or envelopes with `id`, `time`, `source` and "
        "`event` (`envelope`); `wrapper_key` puts an object around the array",
        identity="`id` of each envelope; in the other formats the event's own id. `Idempotency-Key` names the request",
        time="`time` of each envelope; in the other formats the event's own",
        find='"{mark}" in whatever stands behind the endpoint',
        tested="the simulated SIEM; nginx in front of it, with client certificates, accounts and limits of its own",
        answers=(
            (
                "200, 201, 202, 204 (`success_status`)",
                "taken, unless `accepted_when` is given and the answer does not hold it: then it is tried again",
            ),
        ),
        fixes=(
            Fix(
                "the answer's",
                "The endpoint answered a good status without what `accepted_when` asks for: look at what it says, or "
                "correct `accepted_when`.",
            ),
            Fix("require_auth", "Give the destination an `auth`."),
        ),
    )

    type: Literal["http"]
    endpoint: Template = Field(
        description="where events are posted to; a template", examples=["https://siem.example.com/ingest"]
    )
    auth: Auth | None = Field(default=None, description="how requests are signed, such as `{type: bearer, token}`")
    api_key: Template | None = Field(default=None, description="original spelling of auth.type bearer")
    basic: BasicAuth | None = Field(default=None, description="original spelling of auth.type basic")
    require_auth: bool = Field(default=False, description="refuse to start without auth")
    headers: dict[str, Template] = Field(default_factory=dict, description="more request headers; templates")
    compression: bool | Literal["gzip", "none"] = Field(default=False, description="`true` or `gzip` sends gzip")
    format: Literal["json", "ndjson", "envelope"] = Field(
        default="json", description="a JSON array of the vendor's events byte for byte, one per line, or in envelopes"
    )
    wrapper_key: str | None = Field(
        default=None, description='the array is sent as the value of this key of an object: `{"records": […]}`'
    )
    hmac: BodyHash | None = Field(default=None, description="a keyed hash of the body in a header")
    accepted_when: AcceptedWhen | None = Field(
        default=None, description="what the answer must hold for the events to count as taken"
    )
    key_header: str = Field(
        default="Idempotency-Key",
        description="header that names a request: the same events come under the same name again",
    )
    tls: Tls | None = Field(default=None, description="client certificate and authorities")
    max_batch_bytes: Count = Field(default=1_000_000, description="uncompressed bytes per request at most")
    success_status: list[Status] = Field(
        default_factory=lambda: [200, 201, 202, 204], description="answers that acknowledge a request"
    )

    @property
    def signs(self) -> Auth | None:
        """How its requests are signed, whichever way it is spelt."""
        if self.auth is not None:
            return self.auth
        if self.api_key is not None:
            return BearerAuth(type="bearer", token=self.api_key)
        if self.basic is not None:
            return BasicCredentials(type="basic", username=self.basic.username, password=self.basic.password)
        return None

    def faults(self) -> list[tuple[str, str]]:
        schemes = [name for name in ("auth", "api_key", "basic") if getattr(self, name) is not None]
        schemes += authorization_headers(self.headers)
        found = two_ways_to_authenticate(schemes)
        if self.require_auth and not schemes:
            found.append(("require_auth", "is true and no auth is configured, expected auth beside it"))
        if self.wrapper_key is not None and self.format == "ndjson":
            found.append(("wrapper_key", "is given beside format: ndjson, expected format: json or envelope"))
        return found

    def addresses(self) -> tuple[str, ...]:
        return (self.endpoint,)
