"""The S3 receiver, as AWS's own client meets it, and as S3 documents it where that client never errs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from flicker_dagster.simulator.receivers.s3 import REGION, S3Receiver

KEYS = {"AKIAEXAMPLE": "a-secret-of-forty-characters-in-all-here"}


@pytest.fixture
def store() -> Iterator[S3Receiver]:
    receiver = S3Receiver(keys=KEYS)
    yield receiver
    receiver.close()


def client(store: S3Receiver, *, secret: str = KEYS["AKIAEXAMPLE"], token: str | None = None, **more: Any) -> Any:
    given = {
        "aws_access_key_id": "AKIAEXAMPLE",
        "aws_secret_access_key": secret,
        "aws_session_token": token,
        "region_name": REGION,
        "endpoint_url": store.url,
        "config": Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    } | more
    return boto3.client("s3", **given)


def refused(call: Any, **keys: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**keys)
    said = caught.value.response
    return said["ResponseMetadata"]["HTTPStatusCode"], said["Error"]["Code"]


def test_an_object_is_put_looked_at_and_got_by_boto3(store: S3Receiver) -> None:
    s3 = client(store)
    key = "audit/source=okta/day=2026-11-23/a b+c=ü.gz"
    put = s3.put_object(Bucket="logs", Key=key, Body=b"text", ContentType="text/plain", Metadata={"owner": "secops"})
    head = s3.head_object(Bucket="logs", Key=key)
    got = s3.get_object(Bucket="logs", Key=key)
    assert put["ETag"] == head["ETag"] == got["ETag"]
    assert (head["ContentLength"], head["Metadata"], head["ContentType"]) == (4, {"owner": "secops"}, "text/plain")
    assert got["Body"].read() == b"text"
    assert list(store.objects()) == [key]


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32"])
def test_a_checksum_of_boto3_is_taken(store: S3Receiver, algorithm: str) -> None:
    client(store).put_object(Bucket="logs", Key="k", Body=b"text", ChecksumAlgorithm=algorithm)
    assert store.objects()["k"].body == b"text"


def test_the_second_of_two_writers_under_a_condition_is_refused(store: S3Receiver) -> None:
    s3 = client(store)
    s3.put_object(Bucket="logs", Key="k", Body=b"first", IfNoneMatch="*")
    assert refused(s3.put_object, Bucket="logs", Key="k", Body=b"second", IfNoneMatch="*") == (
        412,
        "PreconditionFailed",
    )
    assert store.objects()["k"].body == b"first"
    store.heeds_conditions = False
    s3.put_object(Bucket="logs", Key="k", Body=b"second", IfNoneMatch="*")
    assert store.objects()["k"].writes == 2
    store.knows_conditions = False
    assert refused(s3.put_object, Bucket="logs", Key="k", Body=b"x", IfNoneMatch="*") == (501, "NotImplemented")


def test_what_is_not_there_is_not_found(store: S3Receiver) -> None:
    s3 = client(store)
    assert refused(s3.get_object, Bucket="logs", Key="k") == (404, "NoSuchKey")
    assert refused(s3.head_object, Bucket="logs", Key="k") == (404, "404")
    assert refused(s3.put_object, Bucket="other", Key="k", Body=b"") == (404, "NoSuchBucket")


def test_keys_and_tokens_are_checked_as_aws_checks_them(store: S3Receiver) -> None:
    def put(**more: Any) -> tuple[int, str]:
        return refused(client(store, **more).put_object, Bucket="logs", Key="k", Body=b"text")

    assert put(secret="another") == (403, "SignatureDoesNotMatch")
    assert put(aws_access_key_id="AKIAOTHER") == (403, "InvalidAccessKeyId")
    assert put(token="never given") == (400, "InvalidToken")
    assert put(region_name="us-east-2") == (400, "AuthorizationHeaderMalformed")
    store.tokens["AKIAEXAMPLE"] = "given"
    client(store, token="given").put_object(Bucket="logs", Key="k", Body=b"text")
    assert store.objects()["k"].body == b"text"


def test_a_clock_that_is_a_quarter_of_an_hour_off_is_refused() -> None:
    store = S3Receiver(keys=KEYS, clock=lambda: 1_700_000_000.0)
    try:
        # boto3 sets its clock right by the answer, and asks again only where it may
        assert refused(client(store).put_object, Bucket="logs", Key="k", Body=b"") == (403, "RequestTimeTooSkewed")
    finally:
        store.close()


def signed(store: S3Receiver, body: bytes, **headers: str) -> dict[str, str]:
    request = AWSRequest("PUT", f"{store.url}/logs/k", data=body, headers=headers)
    S3SigV4Auth(Credentials("AKIAEXAMPLE", KEYS["AKIAEXAMPLE"]), "s3", REGION).add_auth(request)
    return dict(request.headers.items())


@pytest.mark.parametrize(
    ("more", "body", "status", "code"),
    [
        ({}, b"text", 200, ""),
        ({}, b"other", 400, "XAmzContentSHA256Mismatch"),
        ({"x-amz-acl": "public-read"}, b"text", 403, "AccessDenied"),  # added behind the signature
        ({"x-amz-date": "yesterday"}, b"text", 403, "AccessDenied"),
        ({"Authorization": "Bearer x"}, b"text", 403, "AccessDenied"),
        ({"Host": "elsewhere"}, b"text", 403, "SignatureDoesNotMatch"),
    ],
)
def test_what_was_changed_after_signing_is_refused(
    store: S3Receiver, more: dict[str, str], body: bytes, status: int, code: str
) -> None:
    answer = requests.put(f"{store.url}/logs/k", data=body, headers=signed(store, b"text") | more, timeout=5)
    assert answer.status_code == status
    assert (f"<Code>{code}</Code>" in answer.text) == bool(code)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, "BadDigest"),
        ({"x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}, "BadDigest"),
    ],
)
def test_a_digest_of_another_body_is_refused(store: S3Receiver, headers: dict[str, str], code: str) -> None:
    answer = requests.put(f"{store.url}/logs/k", data=b"text", headers=signed(store, b"text", **headers), timeout=5)
    assert answer.status_code == 400
    assert f"<Code>{code}</Code>" in answer.text
    assert store.objects() == {}


def test_too_large_and_too_long_are_refused(store: S3Receiver) -> None:
    store.max_bytes = 10
    s3 = client(store)
    assert refused(s3.put_object, Bucket="logs", Key="k", Body=b"x" * 11) == (400, "EntityTooLarge")
    assert refused(s3.put_object, Bucket="logs", Key="k" * 1_025, Body=b"") == (400, "KeyTooLongError")


def test_keys_that_may_only_write_may_not_look(store: S3Receiver) -> None:
    store.may_read = False
    s3 = client(store)
    s3.put_object(Bucket="logs", Key="k", Body=b"text")
    assert refused(s3.get_object, Bucket="logs", Key="k") == (403, "AccessDenied")
    assert refused(s3.head_object, Bucket="logs", Key="k") == (403, "403")


@pytest.mark.parametrize(
    ("plan", "answer"),
    [
        ({"kind": "503"}, (503, "SlowDown")),
        ({"kind": "409"}, (409, "ConditionalRequestConflict")),
        ({"kind": "400", "says": "ExpiredToken"}, (400, "ExpiredToken")),
    ],
)
def test_faults_are_answered_in_s3_s_words(store: S3Receiver, plan: dict[str, str], answer: tuple[int, str]) -> None:
    store.faults.plan(**plan)
    s3 = client(store)
    assert refused(s3.put_object, Bucket="logs", Key="k", Body=b"text") == answer
    s3.put_object(Bucket="logs", Key="k", Body=b"text")


@pytest.mark.parametrize(("kind", "stored"), [("commit_then_cut", 1), ("cut_before_commit", 0)])
def test_a_connection_that_is_cut_has_stored_or_not(store: S3Receiver, kind: str, stored: int) -> None:
    store.faults.plan(kind)
    with pytest.raises(requests.ConnectionError):
        requests.put(f"{store.url}/logs/k", data=b"text", headers=signed(store, b"text"), timeout=5)
    assert len(store.objects()) == stored
