"""S3 as far as a destination speaks it: PutObject, HeadObject, GetObject, conditions, checksums, signatures, its errors."""

from __future__ import annotations

import base64
import gzip
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote
from xml.sax.saxutils import escape

import msgspec

from flicker_dagster.simulator.faults import Fault, Faults
from flicker_dagster.simulator.receivers.sigv4 import fault_of_signature
from flicker_dagster.simulator.server import Request, Response, Server

REGION = "eu-central-1"
#: Longest key, and most that one PutObject takes.
KEY_BYTES, OBJECT_BYTES = 1_024, 5 * 1024**3

_MESSAGES = {
    "AccessDenied": "Access Denied",
    "InvalidAccessKeyId": "The AWS Access Key Id you provided does not exist in our records.",
    "SignatureDoesNotMatch": "The request signature we calculated does not match the signature you provided.",
    "RequestTimeTooSkewed": "The difference between the request time and the current time is too large.",
    "ExpiredToken": "The provided token has expired.",
    "NoSuchBucket": "The specified bucket does not exist",
    "NoSuchKey": "The specified key does not exist.",
    "PreconditionFailed": "At least one of the pre-conditions you specified did not hold",
    "SlowDown": "Please reduce your request rate.",
    "EntityTooLarge": "Your proposed upload exceeds the maximum allowed size",
}
#: Faults that are carried out after the object was stored.
_AFTER = ("commit_then_cut", "cut", "slow", "endless")
#: The code of a status that is planned without one.
_USUAL = {"503": "SlowDown", "500": "InternalError", "403": "AccessDenied", "409": "ConditionalRequestConflict"}
_USUAL |= {"404": "NoSuchBucket", "413": "EntityTooLarge", "400": "RequestTimeout", "501": "NotImplemented"}


@dataclass
class Stored:
    """An object: what it holds, and how often it was written."""

    body: bytes
    headers: dict[str, str]
    writes: int = 1
    bodies: set[str] = field(default_factory=set)  # digests of everything that was ever written here

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class S3Receiver:
    """Buckets in memory at path-style addresses.

    `keys` are secrets by access key id; without any, nothing is checked. `heeds_conditions` false: a store that ignores
    `If-None-Match`; `knows_conditions` false: one that answers 501 to it. `may_read` false: keys that may only write.
    """

    def __init__(
        self,
        *,
        buckets: Iterable[str] = ("logs",),
        keys: Mapping[str, str] | None = None,
        max_bytes: int = OBJECT_BYTES,
        heeds_conditions: bool = True,
        knows_conditions: bool = True,
        may_read: bool = True,
        keeps_metadata: bool = True,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
    ) -> None:
        self.buckets: dict[str, dict[str, Stored]] = {name: {} for name in buckets}
        self.keys = dict(keys or {})
        self.tokens: dict[str, str] = {}
        self.max_bytes = max_bytes
        self.heeds_conditions = heeds_conditions
        self.knows_conditions = knows_conditions
        self.may_read = may_read
        self.keeps_metadata = keeps_metadata
        self.faults = Faults(seed=seed)
        self.requests: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self._clock = clock
        self._lock = threading.Lock()
        self.server = Server(self.handle, host=host, port=port, clock=clock)

    @property
    def url(self) -> str:
        return self.server.url

    def close(self) -> None:
        self.server.close()

    def objects(self, bucket: str = "logs") -> dict[str, Stored]:
        """Objects by key, those left out that readers pass over."""
        with self._lock:
            return {k: v for k, v in sorted(self.buckets[bucket].items()) if not k.rpartition("/")[2].startswith("_")}

    def lines(self, bucket: str = "logs") -> list[bytes]:
        """Every line of every object of lines."""
        found = [each.body for key, each in self.objects(bucket).items() if key.endswith(".ndjson.gz")]
        return [line for body in found for line in gzip.decompress(body).splitlines()]

    def uids(self, bucket: str = "logs") -> Counter[str]:
        """Events by their `event_uid`, as often as they are stored."""
        return Counter(msgspec.json.decode(line)["event_uid"] for line in self.lines(bucket))

    def handle(self, request: Request) -> Response:
        self.requests[request.method] += 1
        answer = self._answer(request)
        self.answers[answer.status] += 1
        return answer

    # -- inside

    def _answer(self, request: Request) -> Response:
        fault = self.faults.take()
        if fault is not None and fault.kind not in _AFTER:
            return self._played(fault, request)
        if self.keys:
            refused = fault_of_signature(
                request, keys=self.keys, tokens=self.tokens, region=REGION, service="s3", now_s=self._clock()
            )
            if refused is not None:
                return _error(*refused, request)
        bucket, _, key = unquote(request.path).lstrip("/").partition("/")
        if bucket not in self.buckets:
            return _error(404, "NoSuchBucket", request)
        if request.method == "PUT":
            answer = self._put(bucket, key, request)
        elif request.method in ("GET", "HEAD"):
            answer = self._get(bucket, key, request)
        else:
            answer = _error(405, "MethodNotAllowed", request)
        answer.fault = fault
        return answer

    def _put(self, bucket: str, key: str, request: Request) -> Response:
        condition = request.headers.get("if-none-match")
        if condition is not None and not self.knows_conditions:
            return _error(501, "NotImplemented", request)
        if len(key.encode()) > KEY_BYTES:
            return _error(400, "KeyTooLongError", request)
        if len(request.body) > self.max_bytes:
            return _error(400, "EntityTooLarge", request)
        if not _is_sound(request):
            return _error(400, "BadDigest", request)
        with self._lock:
            objects = self.buckets[bucket]
            there = objects.get(key)
            if there is not None and condition == "*" and self.heeds_conditions:
                return _error(412, "PreconditionFailed", request)
            kept = {n: v for n, v in request.headers.items() if n.startswith(("x-amz-", "content-"))}
            stored = Stored(request.body, kept, 1 if there is None else there.writes + 1)
            stored.bodies = (set() if there is None else there.bodies) | {stored.etag}
            objects[key] = stored
        return Response(200, b"", [("ETag", stored.etag)])

    def _get(self, bucket: str, key: str, request: Request) -> Response:
        if not self.may_read:
            return _error(403, "AccessDenied", request)
        with self._lock:
            stored = self.buckets[bucket].get(key)
        if stored is None:
            return _error(404, "NoSuchKey", request)
        headers = [("ETag", stored.etag), ("Content-Type", stored.headers.get("content-type", ""))]
        if self.keeps_metadata:
            headers += [(n, v) for n, v in stored.headers.items() if n.startswith("x-amz-meta-")]
        return Response(200, stored.body, headers)

    def _played(self, fault: Fault, request: Request) -> Response:
        if fault.kind == "html":
            return Response(200, b"<html><body>Sign in</body></html>", [("Content-Type", "text/html")])
        if not fault.kind.isdigit():
            return Response(500, b"", [], fault)
        answer = _error(int(fault.kind), fault.says or _USUAL.get(fault.kind, "InternalError"), request)
        if fault.retry_after not in ("", "none"):
            answer.headers.append(("Retry-After", fault.retry_after))
        return answer


def _is_sound(request: Request) -> bool:
    """Does the body have the digests that were sent with it?"""
    sent = request.headers.get("x-amz-checksum-sha256")
    if sent is not None and sent != base64.b64encode(hashlib.sha256(request.body).digest()).decode():
        return False
    sent = request.headers.get("content-md5")
    return sent is None or sent == base64.b64encode(hashlib.md5(request.body, usedforsecurity=False).digest()).decode()


def _error(status: int, code: str, request: Request) -> Response:
    text = f"<Code>{code}</Code><Message>{escape(_MESSAGES.get(code, code))}</Message>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}<RequestId>4442587FB7D0A2F9</RequestId></Error>'
    headers = [("Content-Type", "application/xml"), ("x-amz-request-id", "4442587FB7D0A2F9")]
    if code in ("AuthorizationHeaderMalformed", "PermanentRedirect"):
        headers.append(("x-amz-bucket-region", REGION))
    return Response(status, body.encode(), headers)
