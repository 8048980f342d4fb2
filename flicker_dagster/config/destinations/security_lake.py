"""`type: security_lake`: custom sources of Amazon Security Lake."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import Fix, Guide
from flicker_dagster.config.destinations.object_store import ObjectStore
from flicker_dagster.config.records import Count, Record, Template

#: Security Lake, "Collecting data from custom sources": a name's length.
LONGEST_SOURCE_NAME = 20

#: Classes of OCSF whose columns are fixed here, by the names in the configuration.
CLASS_UIDS = {
    "detection_finding": 2004,
    "account_change": 3001,
    "authentication": 3002,
    "authorize_session": 3003,
    "entity_management": 3004,
    "user_access": 3005,
    "group_management": 3006,
    "user_management": 3007,
    "role_management": 3008,
    "web_resources_activity": 6001,
    "application_lifecycle": 6002,
    "api_activity": 6003,
    "datastore_activity": 6005,
    "file_hosting": 6006,
}

#: Classes that came with OCSF 1.9.0.
NEW_IN_1_9 = frozenset({"user_management", "role_management"})

ClassName = Literal[
    "detection_finding",
    "account_change",
    "authentication",
    "authorize_session",
    "entity_management",
    "user_access",
    "group_management",
    "user_management",
    "role_management",
    "web_resources_activity",
    "application_lifecycle",
    "api_activity",
    "datastore_activity",
    "file_hosting",
]


class CustomSource(Record):
    """A custom source: one class of OCSF, with its folder and provider role."""

    name: Annotated[str, Field(description=f"name of the custom source, {LONGEST_SOURCE_NAME} characters at most")]
    location: str | None = Field(
        default=None, description="its folder in the bucket, as Security Lake shows it; default `ext/<name>/`"
    )
    role_arn: Template | None = Field(
        default=None, description="its provider role, `AmazonSecurityLake-Provider-<name>-<region>`"
    )
    external_id: Template | None = Field(default=None, description="the external id given when it was created")


class SecurityLakeDestination(ObjectStore):
    """OCSF in Parquet, one custom source for each class of events."""

    GUIDE = Guide(
        title="Amazon Security Lake",
        create=(
            "In Security Lake create a custom source for each class of OCSF that your vendors' events become, each with an "
            "external id of its own: `authentication`, `account_change`, `user_access`, `group_management`, "
            "`entity_management` and `api_activity`; from `ocsf_version` 1.9.0 on `user_management` in place of "
            "`account_change` and `user_access`.",
            "Let the identity Flicker runs under assume their provider roles "
            "(`AmazonSecurityLake-Provider-<source>-<region>`): name its account and the external id as the log provider.",
            "Name the lake's bucket, the account and the custom sources in the configuration.",
        ),
        rights="`sts:AssumeRole` on the provider roles, which Security Lake gives the right to write below their folders.",
        block="""security_lake:
  type: security_lake
  bucket: aws-security-data-lake-eu-central-1-example
  region: eu-central-1
  account_id: "111122223333"
  sources:
    authentication:
      name: okta-auth
      role_arn: arn:aws:iam::111122223333:role/AmazonSecurityLake-Provider-okta-auth-eu-central-1
      external_id: ${LAKE_EXTERNAL_ID}
    api_activity:
      name: okta-api
      role_arn: arn:aws:iam::111122223333:role/AmazonSecurityLake-Provider-okta-api-eu-central-1
      external_id: ${LAKE_EXTERNAL_ID}
""",
        guarantee="exactly once",
        bound="an object's name comes from the events it holds, and it is written with `If-None-Match: *`: what was stored "
        "before an answer got lost is found again, not written again. After a change of bucket, account, sources or "
        "`ocsf_version` (or of Flicker itself, where it writes events otherwise), a request whose answer got lost at that "
        "moment may leave a second object under the new name",
        body="objects of Parquet in OCSF, one class and one day each; zstd",
        identity="`metadata.uid`; the object's name comes from its events",
        time="`time`, in milliseconds, and the folder of the event's day",
        find="SELECT * FROM <table of the custom source> WHERE metadata.uid = '{uid}'; its object lies below "
        "s3://{record.bucket}/ext/",
        tested="the simulated store; Parquet read by DuckDB and pyarrow; every record checked against OCSF's schema",
        extra="parquet",
        notes=(
            "Events are normalised to OCSF. Columns are fixed for each class and version and the same in every object; what "
            "has no column is kept in `unmapped`, as JSON text, and the untouched event in `raw_data`.",
            "Records lie in the order of `time` (milliseconds since the epoch), in zstd, below the day of the event.",
            "Events of a class without a custom source wait, and stop the lane, which says so, until one is configured; those "
            "of other classes that came with them are not sent again.",
            "Security Lake asks for an object every 5 minutes at most, for cost and speed of queries: collect that often, not "
            "more often (`polling_frequency_ms`).",
            "`ocsf_version` must be one your subscribers read. From 1.9.0 on, account changes are class 3007.",
        ),
        answers=(
            ("200", "stored"),
            ("412", "an object of that name is there: with the same events it counts as delivered"),
            ("403, 404 and what else somebody can mend", "everything waits"),
            (
                "a class without custom source",
                "its events wait, and the lane says so; those of other classes that came with them are not sent again",
            ),
        ),
        http_answers=False,
        fixes=(
            Fix(
                "no custom source",
                "Create a custom source of that class in Security Lake and name it under `sources`. (The event of "
                "`flicker test-destination` is of the class `api_activity`.)",
            ),
            Fix(
                "AssumeRole",
                "Let Flicker's identity assume the provider role: name its account and the external id as the source's "
                "log provider.",
            ),
            Fix("AccessDenied", "Use the custom source's own provider role (`role_arn`), and its folder (`location`)."),
            Fix("InvalidAccessKeyId", "Check `access_key_id`: it is unknown, or deactivated."),
            Fix("SignatureDoesNotMatch", "Check `secret_access_key`."),
            Fix("NoSuchBucket", "Correct `bucket`: the lake's is `aws-security-data-lake-<region>-…`."),
            Fix("region", "Set `region` to the lake's bucket's."),
            Fix("package", "`pip install 'flicker-dagster[parquet]'`"),
        ),
    )

    type: Literal["security_lake"]
    normalise: Literal["ocsf"] = Field(default="ocsf", description="always OCSF")
    account_id: Annotated[
        Template, Field(description="account of the `accountId=` folder: the one the events belong to, or `external`")
    ]
    sources: dict[ClassName, CustomSource] = Field(description="the custom source of each class of OCSF")
    max_object_bytes: Count = Field(
        default=8_000_000, description="bytes of events in one object at most, as JSON before compression"
    )

    def faults(self) -> list[tuple[str, str]]:
        found = super().faults()
        if not self.sources:
            found.append(("sources", f"is empty, expected a custom source for one of {', '.join(CLASS_UIDS)} at least"))
        by_name: dict[str, str] = {}
        for name, source in self.sources.items():
            path = f"sources.{name}"
            if not re.fullmatch(rf"[A-Za-z0-9_.-]{{1,{LONGEST_SOURCE_NAME}}}", source.name):
                what = f"1 to {LONGEST_SOURCE_NAME} letters, digits, hyphens, underscores and dots"
                found.append((f"{path}.name", f"found {source.name[:60]!r}, expected {what}"))
            if name in NEW_IN_1_9 and self.ocsf_version != "1.9.0":
                found.append((path, f"is no class of OCSF {self.ocsf_version}, expected ocsf_version 1.9.0 beside it"))
            other = by_name.setdefault(source.name, name)
            if other != name:
                found.append((f"{path}.name", f"is that of {other} too, expected one class in each custom source"))
            if source.location is not None and (source.location.startswith("/") or "://" in source.location):
                found.append((f"{path}.location", "expected a folder of the bucket such as ext/okta-auth/"))
        return found
