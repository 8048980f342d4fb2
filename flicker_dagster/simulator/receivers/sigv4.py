"""Is a request signed by AWS Signature Version 4, in its Authorization header? As AWS checks it.

Written from "Authenticating Requests: Using the Authorization Header" of the S3 API and "Create a signed AWS API request",
apart from the code that signs, so that one judges the other.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from urllib.parse import quote, unquote

from flicker_dagster.simulator.server import Request

#: How far a request's time may be from the server's.
SKEW_S = 900

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
#: Services that take no request without the body's hash in a header.
_DIGEST_DEMANDED = ("s3", "aoss")
_UNSIGNED = ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")


def fault_of_signature(
    request: Request, *, keys: Mapping[str, str], tokens: Mapping[str, str], region: str, service: str, now_s: float
) -> tuple[int, str] | None:
    """Status and code of a refusal in S3's words, or None. `keys` are secrets by access key id, `tokens` the session token
    that goes with a key id, where it has one."""
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        return 403, "AccessDenied"
    secret = keys.get(found["key"])
    if secret is None:
        return 403, "InvalidAccessKeyId"
    if request.headers.get("x-amz-security-token", "") != tokens.get(found["key"], ""):
        return 400, "InvalidToken"
    if (found["region"], found["service"]) != (region, service):
        return 400, "AuthorizationHeaderMalformed"
    at = request.headers.get("x-amz-date", "")
    try:
        moment = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return 403, "AccessDenied"
    if abs(moment.timestamp() - now_s) > SKEW_S:
        return 403, "RequestTimeTooSkewed"
    names = found["names"].split(";")
    must = {"host", *(name for name in request.headers if name.startswith("x-amz-"))}
    if not must <= set(names):
        return 403, "AccessDenied"  # a header that is not signed was added on the way
    digest = hashlib.sha256(request.body).hexdigest()
    payload = request.headers.get("x-amz-content-sha256", "" if service in _DIGEST_DEMANDED else digest)
    if payload not in _UNSIGNED and payload != digest:
        return 400, "XAmzContentSHA256Mismatch"
    scope = f"{found['day']}/{region}/{service}/aws4_request"
    text = "\n".join(
        ("AWS4-HMAC-SHA256", at, scope, hashlib.sha256(_canonical(request, names, payload, service)).hexdigest())
    )
    key = f"AWS4{secret}".encode()
    for part in (found["day"], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.digest(key, text.encode(), "sha256").hex()
    return None if hmac.compare_digest(expected, found["signature"]) else (403, "SignatureDoesNotMatch")


def _canonical(request: Request, names: list[str], payload: str, service: str) -> bytes:
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(request.query.items())
    )
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names)
    # All but S3 escape the path once more than it is.
    path = quote(unquote(request.path) if service == "s3" else request.path, safe="/-_.~")
    return "\n".join((request.method, path, query, headers, ";".join(names), payload)).encode()
