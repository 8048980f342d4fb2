"""Secrets that AWS keeps: read when used, remembered for minutes, read again after a refusal, and told without a value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from flicker_dagster.config import aws_secrets
from flicker_dagster.config.aws_secrets import FRESH_S, REFUSED_S, REMEMBERED_S
from flicker_dagster.config.masking import Masker
from flicker_dagster.config.secrets import references, resolve
from flicker_dagster.errors import SecretUnset
from flicker_dagster_tests.builders import a_source

REGION = "eu-west-1"


class Steady:
    """Seconds of a clock that is moved by hand."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Steady:
    """Nothing was read yet."""
    found = Steady()
    entries = aws_secrets._Entries(aws_secrets._read, found)
    monkeypatch.setattr(aws_secrets, "_entries", lambda: entries)
    aws_secrets._client.cache_clear()
    return found


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, clock: Steady) -> Iterator[Any]:
    for name, value in (("ACCESS_KEY_ID", "testing"), ("SECRET_ACCESS_KEY", "testing"), ("REGION", REGION)):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with mock_aws():
        yield boto3.client("secretsmanager", region_name=REGION)
    aws_secrets._client.cache_clear()


def test_a_secret_is_read_by_name_and_by_arn(aws: Any) -> None:
    arn = aws.create_secret(Name="siem/okta", SecretString="t0ken-value")["ARN"]
    assert resolve("SSWS ${aws_secret:siem/okta}", env={}) == "SSWS t0ken-value"
    assert resolve(f"${{aws_secret:{arn}}}", env={}) == "t0ken-value"


def test_a_secret_of_another_region_is_named_by_its_arn(aws: Any) -> None:
    there = boto3.client("secretsmanager", region_name="us-east-2")
    arn = there.create_secret(Name="far", SecretString="far-value")["ARN"]
    assert resolve(f"${{aws_secret:{arn}}}", env={}) == "far-value"


def test_a_member_of_a_secrets_json_is_read_by_its_path(aws: Any) -> None:
    aws.create_secret(Name="all", SecretString=json.dumps({"okta": {"token": "t0ken"}, "a.b": "dotted", "n": 7}))
    assert resolve("${aws_secret:all#okta.token} ${aws_secret:all#a.b} ${aws_secret:all#n}", env={}) == "t0ken dotted 7"


def test_a_secret_may_be_bytes_of_text(aws: Any) -> None:
    aws.create_secret(Name="pem", SecretBinary=b"-----BEGIN")
    assert resolve("${aws_secret:pem}", env={}) == "-----BEGIN"
    aws.create_secret(Name="der", SecretBinary=b"\xff\xfe")
    with pytest.raises(SecretUnset, match="it is binary, expected text"):
        resolve("${aws_secret:der}", env={})


def test_a_parameter_is_read_decrypted(aws: Any) -> None:
    boto3.client("ssm", region_name=REGION).put_parameter(Name="/siem/token", Value="of-ssm", Type="SecureString")
    assert resolve("${aws_ssm:/siem/token}", env={}) == "of-ssm"


def test_it_is_a_reference_like_the_others(aws: Any) -> None:
    (one, two) = references("${aws_secret:a/b#c} $$ ${aws_ssm:/x}")
    assert (str(one), str(two)) == ("${aws_secret:a/b#c}", "${aws_ssm:/x}")


# -- how long it is good


def test_it_is_remembered_and_read_again_where_it_was_refused(aws: Any, clock: Steady) -> None:
    aws.create_secret(Name="x", SecretString="first")
    assert resolve("${aws_secret:x}", env={}) == "first"
    aws.put_secret_value(SecretId="x", SecretString="second")
    clock.now_s += REMEMBERED_S - 1
    assert resolve("${aws_secret:x}", env={}) == "first"
    assert resolve("${aws_secret:x}", env={}, fresh=True) == "second"
    aws.put_secret_value(SecretId="x", SecretString="third")
    assert resolve("${aws_secret:x}", env={}, fresh=True) == "second", "it was read a moment ago"
    clock.now_s += FRESH_S
    assert resolve("${aws_secret:x}", env={}, fresh=True) == "third"
    aws.put_secret_value(SecretId="x", SecretString="fourth")
    clock.now_s += REMEMBERED_S
    assert resolve("${aws_secret:x}", env={}) == "fourth"


def test_where_aws_is_away_what_was_read_serves_on(
    aws: Any, clock: Steady, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    aws.create_secret(Name="x", SecretString="first")
    resolve("${aws_secret:x}", env={})
    _away(monkeypatch)
    clock.now_s += REMEMBERED_S
    assert resolve("${aws_secret:x}", env={}) == "first"
    assert "what was read before is used" in caplog.text
    assert "first" not in caplog.text
    with pytest.raises(
        SecretUnset, match=r"AWS in eu-west-1 did not answer: EndpointConnectionError; check the network"
    ):
        resolve("${aws_secret:never-read}", env={})


def _away(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import EndpointConnectionError

    def fails(*_: Any, **__: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://secretsmanager")

    monkeypatch.setattr(aws_secrets._client("aws_secret", None), "get_secret_value", fails)


def test_what_is_refused_is_not_asked_for_at_once_again(aws: Any, clock: Steady) -> None:
    with pytest.raises(SecretUnset):
        resolve("${aws_secret:x}", env={})
    aws.create_secret(Name="x", SecretString="late")
    with pytest.raises(SecretUnset):
        resolve("${aws_secret:x}", env={})
    clock.now_s += REFUSED_S
    assert resolve("${aws_secret:x}", env={}) == "late"


# -- what is told


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("${aws_secret:gone}", r"\$\{aws_secret:gone\} cannot be read: AWS in eu-west-1 answered ResourceNotFoundException"
         r".*correct it, or the region \(AWS_REGION\)"),
        ("${aws_ssm:/gone}", r"\$\{aws_ssm:/gone\} cannot be read: AWS in eu-west-1 answered ParameterNotFound"),
        ("${aws_secret:text#a}", r"\$\{aws_secret:text#a\}: the secret is no JSON, leave #a out"),
        ("${aws_secret:json#b}", r"the secret's JSON holds no text at b, but a"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_read_is_told_by_name(aws: Any, template: str, told: str) -> None:
    aws.create_secret(Name="text", SecretString="secret-word")
    aws.create_secret(Name="json", SecretString='{"a": "secret-word"}')
    with pytest.raises(SecretUnset, match=told) as failed:
        resolve(template, env={})
    assert failed.value.reference == template
    assert "secret-word" not in str(failed.value)


def test_what_to_grant_is_told(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    def denied(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue")

    monkeypatch.setattr(aws_secrets._client("aws_secret", None), "get_secret_value", denied)
    with pytest.raises(SecretUnset, match=r"grant secretsmanager:GetSecretValue on it, and kms:Decrypt on its key"):
        resolve("${aws_secret:x}", env={})


def test_no_credentials_are_told(monkeypatch: pytest.MonkeyPatch, clock: Steady) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(SecretUnset, match="no AWS region is set; set AWS_REGION"):
        resolve("${aws_secret:x}", env={})
    aws_secrets._client.cache_clear()
    monkeypatch.setenv("AWS_REGION", REGION)
    with pytest.raises(SecretUnset, match="no AWS credentials are found"):
        resolve("${aws_secret:y}", env={})
    aws_secrets._client.cache_clear()


def test_its_value_is_masked_as_others_are(aws: Any) -> None:
    aws.create_secret(Name="okta", SecretString="t0ken-of-okta")
    source = a_source(headers={"Authorization": "SSWS ${aws_secret:okta}"})
    assert Masker.for_source(source, {}).mask("it said t0ken-of-okta") == "it said ***"
