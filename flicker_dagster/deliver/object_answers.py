"""What S3's answers to a PutObject stand for: by the code in the answer, which says more than its status.

S3 looks at no object's content: whatever it refuses can be mended by somebody (rights, names, keys, clock), or passes. So
nothing here is ever a reason to set an event aside. From "Error responses" of the S3 API, and destination-apis.md, 12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from flicker_dagster.deliver.outcomes import (
    MAX_RETRY_AFTER_S,
    Blocked,
    Outcome,
    Retry,
    Split,
    classify_http,
    status_name,
)
from flicker_dagster.times import parse_retry_after_s

#: Passes by itself. What was damaged on its way is sent again.
_RETRY = frozenset(
    {
        "SlowDown",
        "Slow Down",
        "ServiceUnavailable",
        "InternalError",
        "RequestTimeout",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "TooManyRequests",
        "ConditionalRequestConflict",
        "OperationAborted",
        "BadDigest",
        "IncompleteBody",
        "XAmzContentSHA256Mismatch",
        "TemporaryRedirect",
        "KMS.ThrottlingException",
        "KMS.KMSInternalException",
    }
)
_SPLIT = frozenset({"EntityTooLarge", "MaxMessageLengthExceeded", "RequestEntityTooLarge"})

#: The credentials have come to their end: asked for anew once.
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})

_OF_REGION = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"})

#: What somebody has to do.
_ADVICE = {
    "AccessDenied": "allow s3:PutObject there, and kms:GenerateDataKey where a KMS key encrypts the bucket",
    "AllAccessDisabled": "the bucket is disabled; ask its owner",
    "AuthorizationHeaderMalformed": "region is not the bucket's; correct it",
    "PermanentRedirect": "the bucket is in another region; correct region",
    "IllegalLocationConstraintException": "the bucket is in another region; correct region",
    "NoSuchBucket": "create the bucket, or correct its name",
    "InvalidBucketName": "correct bucket",
    "InvalidAccessKeyId": "the access key is unknown; correct access_key_id",
    "SignatureDoesNotMatch": "the secret key does not fit; correct secret_access_key",
    "InvalidToken": "the session token does not fit the keys; renew the credentials",
    "RequestTimeTooSkewed": "this machine's clock is wrong; synchronise it",
    "InvalidStorageClass": "correct storage_class",
    "AccessControlListNotSupported": "the bucket takes no ACLs; leave acl out",
    "InvalidTag": "correct tags",
    "KeyTooLongError": "shorten prefix or layout: a key holds 1,024 bytes",
    "MetadataTooLarge": "shorten metadata",
    "NotImplemented": "the store does not know a header that was sent; leave acl, tags, storage_class, "
    "server_side_encryption or checksum out",
    "QuotaExceeded": "the store is full",
    "XMinioStorageFull": "the store is full",
}

_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9 ._:-]{1,80})\s*</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{1,600})</Message>")


class Said(msgspec.Struct, frozen=True):
    """What an error document says. `code` is empty where the answer is none of S3's."""

    code: str = ""
    message: str = ""


def said_by(body: bytes) -> Said:
    """Code and message of an error document, found without an XML parser: what is sent by a stranger is not worth one."""
    code, message = _CODE.search(body), _MESSAGE.search(body)
    if code is None:
        return Said()
    return Said(code[1].decode(), message[1].decode("utf-8", "replace").strip() if message else "")


def outcome_of_refusal(
    status: int, headers: Mapping[str, str], said: Said, *, now_ms: int, shown: Callable[[str], str]
) -> Outcome:
    """What a refusal (anything but 200 and 412) stands for. `headers` are in lower case; `shown` makes a text from outside
    fit for a log."""
    words = status_name(status)
    if said.code:
        words += f", {said.code}" + (f": {shown(said.message)}" if said.message else "")
    if said.code in _SPLIT or status == 413:
        return Split(words, teaches=False)  # the object is compressed
    if said.code in _RETRY or status in (307, 409):
        asked_s = parse_retry_after_s(headers.get("retry-after"), now_ms=now_ms)
        return Retry(words, None if asked_s is None else min(asked_s, MAX_RETRY_AFTER_S))
    advice = _ADVICE.get(said.code, "")
    region = headers.get("x-amz-bucket-region", "")
    if region and (300 <= status < 400 or said.code in _OF_REGION):
        advice = f"the bucket is in the region {shown(region)}; correct region"
    if advice or (300 <= status < 500 and status not in (408, 425, 429)):
        return Blocked(f"{words}; {advice}" if advice else words)
    return classify_http(
        status,
        {"Retry-After": headers.get("retry-after", "")},
        words.partition(", ")[2],
        success_status=(),
        now_ms=now_ms,
    )
