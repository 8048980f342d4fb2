"""Keys of the destinations that put objects into S3, or into a store that speaks its API."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.auth.sigv4 import SigV4Auth
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.endpoints import endpoint_fault
from flicker_dagster.config.records import Count, Template, TimeoutMs, Tls
from flicker_dagster.config.secrets import without_references
from flicker_dagster.config.shown import shown

#: S3, "Object tags" and "User-defined object metadata".
MOST_TAGS, METADATA_BYTES = 10, 2_048

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_METADATA_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class ObjectStore(DestinationRecord):
    """Where objects go, who puts them there, and how they lie there."""

    bucket: Template = Field(description="the bucket's name; a template")
    region: Annotated[Template, Field(description="region of the bucket, which requests are signed for")]
    endpoint: Template | None = Field(
        default=None, description="address of another store that speaks S3, or of an endpoint of one's own; default AWS"
    )
    path_style: bool | None = Field(
        default=None, description="the bucket in the path, not in the host's name; default true beside `endpoint`"
    )
    access_key_id: Template | None = Field(
        default=None,
        description="default: what the environment of AWS names (variables, profile, web identity, container or machine role)",
    )
    secret_access_key: Template | None = Field(default=None, description="its secret; a template")
    session_token: Template | None = Field(default=None, description="token of temporary keys; a template")
    role_arn: Template | None = Field(default=None, description="role to assume with these keys")
    external_id: Template | None = Field(default=None, description="what the role's trust policy asks for")
    expected_bucket_owner: Template | None = Field(
        default=None, description="account that must own the bucket; else nothing is written"
    )
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        default=None, description="default: as the bucket is set"
    )
    kms_key_id: Template | None = Field(default=None, description="key or its ARN, for `aws:kms` and `aws:kms:dsse`")
    storage_class: str | None = Field(default=None, description="such as STANDARD_IA or INTELLIGENT_TIERING")
    acl: str | None = Field(
        default=None, description="canned ACL, such as bucket-owner-full-control; default: none is sent"
    )
    tags: dict[str, str] = Field(default_factory=dict, description="tags of every object")
    metadata: dict[str, str] = Field(default_factory=dict, description="`x-amz-meta-…` of every object")
    checksum: Literal["sha256", "md5", "none"] = Field(
        default="sha256",
        description="sent beside the signature, which covers the body as well: a bucket with Object Lock asks for one. "
        "`md5` and `none` for stores that refuse it",
    )
    tls: Tls | None = Field(default=None, description="client certificate and authorities")
    timeout_ms: TimeoutMs = Field(
        default=60_000, description="longest time for one object, from the connection to the end of the answer"
    )
    max_object_bytes: Count = Field(
        default=8_000_000, description="bytes of events in one object at most, before compression"
    )
    max_object_events: Count = Field(default=50_000, description="events in one object at most")

    @property
    def in_path(self) -> bool:
        """Does the bucket stand in the path? A name with dots fits no certificate of AWS."""
        if self.path_style is not None:
            return self.path_style
        return self.endpoint is not None or "." in self.bucket

    def credentials(self, *, role_arn: str | None = None, external_id: str | None = None) -> SigV4Auth:
        """How requests are signed, by another role where one is given."""
        return SigV4Auth(
            type="aws_sigv4",
            region=self.region,
            service="s3",
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            session_token=self.session_token,
            role_arn=role_arn or self.role_arn,
            external_id=external_id or self.external_id,
        )

    def addresses(self) -> tuple[str, ...]:
        return () if self.endpoint is None else (self.endpoint,)

    def faults(self) -> list[tuple[str, str]]:
        found = [*super().faults(), *self._faults_of_place(), *self.credentials().faults()]
        if self.kms_key_id is not None and self.server_side_encryption not in ("aws:kms", "aws:kms:dsse"):
            found.append(("kms_key_id", "needs server_side_encryption beside it, expected aws:kms or aws:kms:dsse"))
        if len(self.tags) > MOST_TAGS:
            found.append(("tags", f"holds {len(self.tags)} tags, expected {MOST_TAGS} at most"))
        for name, value in self.metadata.items():
            if not _METADATA_NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
                found.append(
                    (f"metadata.{name}", "cannot be a header, expected a name and printable characters of ASCII")
                )
        if sum(len(name) + len(value) for name, value in self.metadata.items()) > METADATA_BYTES:
            found.append(("metadata", f"is too large, expected {METADATA_BYTES:,} bytes at most, names included"))
        return found

    def _faults_of_place(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        bucket = without_references(self.bucket, instead="bucket")
        if not _BUCKET.fullmatch(bucket):
            what = "a name of 3 to 63 lower-case letters, digits, dots and hyphens, without s3:// and path"
            found.append(("bucket", f"found {shown(self.bucket)}, expected {what}"))
        if self.endpoint is not None and (fault := endpoint_fault(self.endpoint)) is not None:
            found.append(("endpoint", fault))
        return found
