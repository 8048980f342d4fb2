"""A bucket that objects are put into, each once: by a name of its own and `If-None-Match: *`."""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from flicker_dagster.config.auth.sigv4 import SigV4Auth
from flicker_dagster.config.destinations.object_store import ObjectStore
from flicker_dagster.config.masking import shown_endpoint
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.http_destination import HttpDestinationBase
from flicker_dagster.deliver.object_answers import EXPIRED, outcome_of_refusal, said_by
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, Outcome, Retry, status_name
from flicker_dagster.lots import Lot
from flicker_dagster.transport.exchange import Answer, Transport

log = logging.getLogger("flicker.deliver")

#: Written below the prefix of a store that is not AWS, to see whether it heeds conditions. Readers pass over such names.
TEST_OBJECT = "_flicker_conditional_writes"

#: Names the events of an object: two objects with the same one hold the same events.
EVENTS_HEADER = "x-amz-meta-flicker-events"


class Bucket(HttpDestinationBase):
    """Puts objects into one bucket under one identity. Thread-safe. Connects when first used.

    `prefix` is where a test of the store may leave its object.
    """

    config: ObjectStore
    refused_status = (400, 401, 403)  # 400: ExpiredToken

    def __init__(self, config: ObjectStore, context: LaneContext, *, auth: SigV4Auth, prefix: str) -> None:
        super().__init__(config, context, endpoint=config.endpoint or "", auth=auth, tls=config.tls)
        self._prefix = prefix
        self._headers: Mapping[str, str] = {}
        #: Does the store heed `If-None-Match`? None until it was seen. AWS does, for every bucket.
        self._is_conditional: bool | None = True if config.endpoint is None else None
        self._testing = threading.Lock()

    def put_once(self, key: str, body: bytes, *, content_type: str, lot: Lot) -> Outcome:
        """Store the events of a lot as one object. Raises SecretUnset and DestinationBlocked."""
        self._opened()
        headers = {"Content-Type": content_type, **self._headers, EVENTS_HEADER: _name_of_events(lot)}
        headers |= self._checksum_of(body)
        if self._heeds_conditions():
            headers["If-None-Match"] = "*"
        answer = self.exchange("PUT", self._url_of(key), headers=headers, body=body)
        if not isinstance(answer, Answer):
            return answer
        if answer.status == 200:
            if "etag" in answer.headers:
                return Delivered(status_name(200))
            return Ambiguous(f"HTTP 200 without an ETag ({self.reason(answer)}): no answer of S3; check endpoint")
        if answer.status == 412:
            return self._compared(key, headers[EVENTS_HEADER])
        return self._refusal(answer)

    def describe(self) -> str:
        at = f" at {shown_endpoint(self.config.endpoint)}" if self.config.endpoint else ""
        return f"s3://{self.config.bucket}/{self._prefix}{at}"

    # -- inside

    def _compared(self, key: str, events: str) -> Outcome:
        """An object of this name is there. Ours, unless it says otherwise: its name is a hash of what it holds."""
        answer = self.exchange("HEAD", self._url_of(key), headers={})
        if not isinstance(answer, Answer):
            why = getattr(answer, "why", "")
            return answer if isinstance(answer, Blocked) else Retry(f"it is there, and could not be compared: {why}")
        there = "HTTP 412 Precondition Failed: it is there"
        if answer.status == 200:
            found = answer.headers.get(EVENTS_HEADER, events)  # some stores keep no metadata
            if found == events:
                return Duplicate(there)
            return Blocked(
                self.mask(f"another object lies at {self._url_of(key)}; move it away, or choose another prefix")
            )
        if answer.status == 404:
            return Retry("it was there, and is gone")
        if answer.status in (401, 403, 405):  # it may be written and not be looked at
            return Duplicate(there)
        return Retry(f"{there}, and could not be compared: {status_name(answer.status)}")

    def _refusal(self, answer: Answer) -> Outcome:
        said = said_by(answer.body)
        outcome = outcome_of_refusal(answer.status, answer.headers, said, now_ms=self.context.now_ms(), shown=self.mask)
        if not said.code and (told := self.reason(answer)):
            outcome = _with_words(outcome, told)
        if isinstance(outcome, Blocked) and (answer.status in (401, 403) or said.code in EXPIRED):
            return Blocked(f"{outcome.why} (credentials: {self.context.credentials()})")
        return outcome

    def _heeds_conditions(self) -> bool:
        """May the condition be sent? Found out by writing an empty object twice, the first time that it matters."""
        if self._is_conditional is None:
            with self._testing:
                if self._is_conditional is None:
                    self._is_conditional = self._tested()
        return self._is_conditional is not False

    def _tested(self) -> bool | None:
        """None where the store did not tell: the object itself meets with the same answer, and tells it better."""
        url = self._url_of(self.resolve(self._prefix) + TEST_OBJECT)
        headers = {"Content-Type": "application/octet-stream", **self._headers, **self._checksum_of(b"")}
        for _ in range(2):  # the first time it may not have been there
            answer = self.exchange("PUT", url, headers={**headers, "If-None-Match": "*"}, body=b"")
            if not isinstance(answer, Answer):
                return None
            if answer.status == 412:
                return True
            if answer.status == 501:
                return self._tell_unconditional("does not know If-None-Match")
            if answer.status != 200:
                return None
        return self._tell_unconditional("ignores If-None-Match")

    def _tell_unconditional(self, fault: str) -> bool:
        log.warning(
            "%s: %s %s: what is sent again after a lost answer replaces the same object with the same events; a bucket "
            "with versions keeps both",
            self.context.stream,
            self.describe(),
            fault,
        )
        return False

    def _checksum_of(self, body: bytes) -> dict[str, str]:
        """Beside the signature, which covers the body: buckets with Object Lock ask for one of these."""
        if self.config.checksum == "sha256":
            return {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(body).digest()).decode()}
        if self.config.checksum == "md5":
            digest = hashlib.md5(body, usedforsecurity=False).digest()
            return {"Content-MD5": base64.b64encode(digest).decode()}
        return {}

    def _url_of(self, key: str) -> str:
        return f"{self._url}/{quote(key, safe='/-_.~')}"

    def _open(self) -> Transport:
        config = self.config
        bucket, region = self.resolve(config.bucket), self.resolve(config.region)
        address = self.resolve(config.endpoint).rstrip("/") if config.endpoint else _address_of_aws(region)
        if config.in_path:
            self._endpoint = f"{address}/{bucket}"
        else:
            parts = urlsplit(address)
            self._endpoint = f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}"
        self._headers = self._headers_of_every_object()
        return super()._open()

    def _headers_of_every_object(self) -> dict[str, str]:
        config = self.config
        wanted = {
            "x-amz-server-side-encryption": config.server_side_encryption,
            "x-amz-server-side-encryption-aws-kms-key-id": config.kms_key_id and self.resolve(config.kms_key_id),
            "x-amz-storage-class": config.storage_class,
            "x-amz-acl": config.acl,
            "x-amz-expected-bucket-owner": config.expected_bucket_owner and self.resolve(config.expected_bucket_owner),
            "x-amz-tagging": urlencode(config.tags, quote_via=quote) or None,
        }
        named = {f"x-amz-meta-{name.lower()}": value for name, value in config.metadata.items()}
        return named | {name: value for name, value in wanted.items() if value}


def _address_of_aws(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _name_of_events(lot: Lot) -> str:
    return f"{len(lot)}-{hashlib.sha256(b''.join(lot.digests)).hexdigest()}"


def _with_words(outcome: Outcome, told: str) -> Outcome:
    """The outcome with what an answer that is none of S3's said."""
    if isinstance(outcome, Retry):
        return Retry(f"{outcome.why}: {told}", outcome.after_s)
    if isinstance(outcome, Blocked | Ambiguous):
        return type(outcome)(f"{outcome.why}: {told}")
    return outcome
