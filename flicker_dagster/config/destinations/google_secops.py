"""`type: google_secops`: Google Security Operations (Chronicle), by the Chronicle API's `logs:import`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.auth.fixed import BearerAuth
from flicker_dagster.config.auth.signed import GoogleServiceAccount
from flicker_dagster.config.destinations.base import Fix, Guide
from flicker_dagster.config.destinations.posted import SMALLEST_BODY_BYTES, PostedRecord
from flicker_dagster.config.records import Count, Template


class GoogleSecopsDestination(PostedRecord):
    """Raw logs of a Google SecOps instance."""

    GUIDE = Guide(
        title="Google Security Operations (Chronicle)",
        create=(
            "In the Google Cloud project of the instance make a service account, and a JSON key for it.",
            "Give it a role with `chronicle.logs.import`, such as a custom one with that permission alone.",
            "In SIEM Settings, Forwarders, make a forwarder (its id goes below), and note the instance's customer id and "
            "region under Profile.",
            "Choose the log type of the vendor's parser, such as `OKTA`, `GITHUB` or `SALESFORCE`: one destination has one.",
        ),
        rights="`chronicle.logs.import` on the project, and nothing else.",
        block="""secops:
  type: google_secops
  project: acme-security
  region: eu
  instance: 00000000-0000-0000-0000-000000000000
  forwarder: 11111111-1111-1111-1111-111111111111
  log_type: OKTA
  auth:
    type: google_service_account
    key_file: /etc/flicker/secops.json
""",
        guarantee="at least once, same ids",
        bound="Google leaves out a batch whose content it had before, for a time that it does not state; Flicker sends what "
        "was not answered again as the very same bytes, so that it is found. Each log has the label `event_uid`.",
        body="`inline_source.logs` with `data` (the event in base64), times and labels, as JSON",
        identity="the label `event_uid`",
        time="`log_entry_time`; `collection_time` beside it",
        find='raw = "{mark}"   (Raw Log Search), or the label event_uid = "{uid}"',
        tested="the simulated API, which the Python package `secops` was held against",
        notes=(
            "This is the new Chronicle API. The Ingestion API (`malachiteingestion-pa`) ends in July 2027 and is not spoken.",
            "`data` is the vendor's event byte for byte, in base64, which makes it a third larger: a request has some 700 KB "
            "of events. One event that is larger than a request becomes a dead letter.",
            "`collection_time` is never before `log_entry_time`, which Google would refuse.",
            "An unknown log type, a forwarder or instance that is not there, are the configuration's: everything waits.",
        ),
        answers=(
            ("200", "taken; a batch that Google had before is left out by it"),
            ("400 that says too large", "halved and sent again"),
            ("400 that names log type, forwarder or instance", "everything waits until the configuration is mended"),
            ("another 400", "halved down to the guilty log, which becomes a dead letter"),
            ("409, 429, 5xx", "tried again"),
        ),
        fixes=(
            Fix(
                "log type", "Correct `log_type`: it must be one of SIEM Settings, Available Log Types, such as `OKTA`."
            ),
            Fix("forwarder", "Correct `forwarder`: the id under SIEM Settings, Forwarders."),
            Fix(
                "chronicle.logs.import", "Give the service account a role with `chronicle.logs.import` on the project."
            ),
            Fix(
                "HTTP 404",
                "Check `project`, `region` and `instance` (the customer id), and that the Chronicle API is enabled in "
                "the project.",
            ),
            Fix("account not found", "The service account does not exist any more: make a new key."),
            Fix("Invalid JWT", "Check the key, and this machine's clock."),
            Fix("token endpoint", "Check the service account's key: it may be revoked; and this machine's clock."),
        ),
    )

    type: Literal["google_secops"]
    project: Template = Field(description="Google Cloud project of the instance; a template")
    region: str = Field(
        default="us", pattern="^[a-z0-9-]+$", description="region of the instance: `us`, `eu`, `europe-west2` …"
    )
    instance: Template = Field(description="customer id of the instance, a UUID; a template")
    forwarder: Template = Field(
        description="id of the forwarder, or its whole name `projects/…/forwarders/…`; a template"
    )
    log_type: str = Field(pattern="^[A-Z0-9_]+$", description="log type of the events, which chooses the parser")
    auth: Annotated[GoogleServiceAccount | BearerAuth, Field(discriminator="type")] = Field(
        description="a service account's key, or a token"
    )
    namespace: str | None = Field(default=None, description="environment namespace of the logs")
    labels: dict[str, str] = Field(
        default_factory=dict, description="ingestion labels of every log, beside `event_uid`"
    )
    api_version: Literal["v1", "v1beta", "v1alpha"] = Field(default="v1", description="version of the Chronicle API")
    endpoint: Template | None = Field(
        default=None,
        description="origin in place of `https://<region>-chronicle.googleapis.com`, such as "
        "`https://chronicle.<region>.rep.googleapis.com`",
    )
    compression: Literal["none", "gzip"] = Field(  # type: ignore[assignment]  # another default
        default="none", description="how a request's body is compressed; Google documents no compression"
    )
    max_batch_events: Count = Field(default=1_000, description="logs per request at most")
    max_batch_bytes: Count = Field(
        default=1_000_000, ge=SMALLEST_BODY_BYTES, description="bytes per request at most, in base64"
    )

    @property
    def parent(self) -> str:
        """The instance's resource name."""
        return f"projects/{self.project}/locations/{self.region}/instances/{self.instance}"

    @property
    def origin(self) -> str:
        return self.endpoint.rstrip("/") if self.endpoint else f"https://{self.region}-chronicle.googleapis.com"

    @property
    def import_url(self) -> str:
        return f"{self.origin}/{self.api_version}/{self.parent}/logTypes/{self.log_type}/logs:import"

    def addresses(self) -> tuple[str, ...]:
        return (self.origin,)

    def faults(self) -> list[tuple[str, str]]:
        found = [
            (f"labels.{name}", "is Flicker's own, expected another name") for name in self.labels if name == "event_uid"
        ]
        if (
            "/" in self.forwarder
            and "$" not in self.forwarder
            and not re.fullmatch(r"projects/.+/forwarders/[^/]+", self.forwarder)
        ):
            found.append(("forwarder", "is no forwarder's name, expected its id or projects/…/forwarders/…"))
        return found
