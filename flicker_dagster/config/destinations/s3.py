"""`type: s3`: objects in S3, or in a store that speaks its API."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import Fix, Guide
from flicker_dagster.config.destinations.object_store import ObjectStore
from flicker_dagster.config.records import Template

#: What a layout may name: of the stream, and of an event's time in UTC.
PLACEHOLDERS = ("source", "vendor", "year", "month", "day", "hour", "day_of_month")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class S3Destination(ObjectStore):
    """Objects of compressed lines or Parquet, laid out by the events' day or hour, each written once."""

    GUIDE = Guide(
        title="Amazon S3 and stores that speak its API",
        create=(
            "Create a bucket, with versioning or Object Lock as your rules ask for it.",
            "Create a role or user that may write below the prefix, and let Flicker have it: by the environment of AWS "
            "(instance, container or web identity), by `role_arn`, or by keys.",
            "Where the bucket is encrypted by KMS, allow `kms:GenerateDataKey` for its key (and `kms:Decrypt` for comparing).",
        ),
        rights="`s3:PutObject` on `arn:aws:s3:::BUCKET/PREFIX*`; with `tags` also `s3:PutObjectTagging`, with `acl` "
        "`s3:PutObjectAcl`. `s3:GetObject` is of use, not needed: an object that is there already is then compared.",
        block="""lake:
  type: s3
  bucket: example-audit-logs
  region: eu-central-1
  prefix: audit/
""",
        guarantee="exactly once",
        bound="an object's name comes from the events it holds, and it is written with `If-None-Match: *`: what was stored "
        "before an answer got lost is found again, not written again. A store that ignores the condition (one test at the "
        "first write finds out, and says so) gets the same object again in place of itself. After a change of bucket, "
        "prefix, layout or format (or of Flicker itself, where it writes events otherwise), a request whose answer got lost "
        "at that moment may leave a second object under the new name",
        body="objects of lines with `event_uid`, `time`, `source`, `event` (`format: envelope`), of events alone "
        "(`ndjson`), or of Parquet; gzip, zstd in Parquet",
        identity="`event_uid` of the line or column; the object's name comes from its events",
        time="`time` of the line or column, and the folder of the event's day",
        find="below s3://{record.bucket}/{record.prefix} in the folder of its day; in SQL over it: SELECT * FROM audit "
        "WHERE event_uid = '{uid}'",
        tested="a real SeaweedFS (conditional writes, signatures), moto, and the simulated store, which boto3 was held "
        "against; Parquet read by DuckDB and pyarrow",
        extra="parquet",
        notes=(
            "The extra is needed for `format: parquet` only.",
            "`format: envelope` is a line of `event_uid`, `time`, `source`, `message` (where the vendor has one) and the "
            "untouched `event`; `ndjson` is the vendor's events alone, as ingestion rules made for the vendor expect it; both "
            "are gzip files without `Content-Encoding`, so that nobody inflates them by the way.",
            "`format: parquet` has the columns `event_uid`, `time`, `source`, `collected`, `message` and `raw`, the untouched "
            "event as text, always of the same types.",
            "Events of several days in one request become one object for each; days and hours are those of the event, in UTC.",
            "How large objects become is a matter of how often events are collected: 5 MB to 128 MB suit most readers.",
            "A store other than AWS that lacks conditional writes gets one small object more, `_flicker_conditional_writes` "
            "below the prefix, which readers pass over.",
        ),
        answers=(
            ("200", "stored"),
            ("412", "an object of that name is there: with the same events it counts as delivered"),
            (
                "403, 404 and what else somebody can mend (region, clock, keys)",
                "everything waits; nothing is ever set aside: S3 looks at no content",
            ),
            ("409, 503 `SlowDown`, 5xx", "tried again"),
        ),
        http_answers=False,
        fixes=(
            Fix(
                "AccessDenied",
                "Allow `s3:PutObject` on the bucket and prefix, and `kms:GenerateDataKey` where a KMS key encrypts the "
                "bucket; look for a bucket policy that denies.",
            ),
            Fix("InvalidAccessKeyId", "Check `access_key_id`: it is unknown, or deactivated."),
            Fix("SignatureDoesNotMatch", "Check `secret_access_key`."),
            Fix("NoSuchBucket", "Create the bucket, or correct `bucket`."),
            Fix("region", "Set `region` to the bucket's."),
            Fix("RequestTimeTooSkewed", "Synchronise this machine's clock."),
            Fix("ExpiredToken", "Renew the temporary credentials, or let the environment of AWS give them."),
            Fix("another object lies", "Somebody else writes below this prefix: choose another one."),
            Fix("package", "`pip install 'flicker-dagster[parquet]'`, or another `format`."),
        ),
    )

    type: Literal["s3"]
    prefix: Template = Field(default="", description="what every object's key begins with, such as `audit/`")
    layout: str = Field(
        default="source={source}/day={day}/",
        description="folders below the prefix, of {source}, {vendor}, {day} (2026-11-23), {hour} (20), {year}, {month}, "
        "{day_of_month}: times are the event's, in UTC",
    )
    format: Literal["envelope", "ndjson", "parquet"] = Field(
        default="envelope",
        description="envelope: lines of id, time, source and event; ndjson: the events alone; parquet: fixed columns",
    )

    @property
    def extra(self) -> str | None:
        return self.GUIDE.extra if self.format == "parquet" else None

    def faults(self) -> list[tuple[str, str]]:
        found = super().faults()
        if self.prefix.startswith("/"):
            found.append(("prefix", "begins with a slash, expected a key such as audit/"))
        unknown = [name for name in PLACEHOLDER.findall(self.layout) if name not in PLACEHOLDERS]
        unknown += ["{"] if re.search(r"[{}]", PLACEHOLDER.sub("", self.layout)) else []
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            found.append(("layout", f"names {unknown[0]!r}, expected only {known}"))
        if self.layout.startswith("/") or "//" in self.layout or ".." in self.layout.split("/"):
            found.append(
                ("layout", "holds an empty folder or `..`, expected folders such as source={source}/day={day}/")
            )
        return found
