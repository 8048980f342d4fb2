"""Checks AWS Signature Version 4 as a service of AWS does: from the request as it came, by the published algorithm."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from flicker_dagster.simulator.server import Request

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class SigV4:
    """The keys of one caller, and what a signature must be for."""

    access_key_id: str
    secret_access_key: str
    region: str
    service: str
    session_token: str | None = None

    def wrong_with(self, request: Request) -> str | None:
        """Why a request is refused, or None."""
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            return "Missing Authentication Token"
        names = found["names"].split(";")
        digest = hashlib.sha256(request.body).hexdigest()
        sent_digest = request.headers.get("x-amz-content-sha256")
        if (found["key"], found["region"], found["service"]) != (self.access_key_id, self.region, self.service):
            return "The security token included in the request is invalid."
        if request.headers.get("x-amz-security-token") != self.session_token:
            return "The security token included in the request is invalid."
        if "host" not in names or "x-amz-date" not in names:
            return "'Host' and 'X-Amz-Date' must be signed headers."
        if sent_digest not in (None, digest) or (self.service == "aoss" and sent_digest is None):
            return "The hash of the body in X-Amz-Content-SHA256 is missing or not that of the body."
        canonical = "\n".join(
            (
                request.method,
                quote(request.path, safe="/-_.~"),  # services other than S3 escape what is escaped already
                _canonical_query(request.target.partition("?")[2]),
                *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in names),
                "",
                found["names"],
                digest,
            )
        )
        scope = f"{found['day']}/{self.region}/{self.service}/aws4_request"
        to_sign = "\n".join(
            (
                "AWS4-HMAC-SHA256",
                request.headers.get("x-amz-date", ""),
                scope,
                hashlib.sha256(canonical.encode()).hexdigest(),
            )
        )
        key = f"AWS4{self.secret_access_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), found["signature"]):
            return "The request signature we calculated does not match the signature you provided."
        return None


def _canonical_query(query: str) -> str:
    """Each name and value unescaped and escaped anew, in their order."""
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    return "&".join(sorted(f"{_escaped(name)}={_escaped(value)}" for name, value in pairs))


def _escaped(text: str) -> str:
    return quote(unquote(text), safe="-_.~")
