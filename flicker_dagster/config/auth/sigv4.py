"""AWS Signature Version 4."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.auth.base import AuthRecord, Faults
from flicker_dagster.config.records import Template


class SigV4Auth(AuthRecord):
    """AWS Signature Version 4, with the given keys, or those that the environment of AWS names: variables, profile, web
    identity, container or machine role."""

    type: Literal["aws_sigv4"]
    region: Template = Field(description="region that requests are signed for; a template")
    service: Annotated[
        str, Field(description="`es` OpenSearch domains, `aoss` OpenSearch Serverless, `s3`, `execute-api` …")
    ]
    access_key_id: Template | None = Field(default=None, description="the access key; a template")
    secret_access_key: Template | None = Field(default=None, description="its secret; a template")
    session_token: Template | None = Field(default=None, description="token of temporary keys; a template")
    role_arn: Template | None = Field(default=None, description="role to assume with these keys")
    external_id: Template | None = Field(default=None, description="what the role's trust policy asks for")

    def faults(self) -> Faults:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            missing = "access_key_id" if self.access_key_id is None else "secret_access_key"
            return [(missing, "is missing, expected access_key_id and secret_access_key together")]
        if self.session_token is not None and self.access_key_id is None:
            return [("session_token", "stands without keys, expected access_key_id and secret_access_key beside it")]
        if self.external_id is not None and self.role_arn is None:
            return [("external_id", "stands without a role, expected role_arn beside it")]
        return []
