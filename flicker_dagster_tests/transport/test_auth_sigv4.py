"""SigV4: signatures as AWS computes them, and where the keys come from."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from flicker_dagster.config.auth.sigv4 import SigV4Auth
from flicker_dagster.simulator.server import Request as Asked
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.exchange import Answer, Authenticator, Request
from flicker_dagster_tests.transport.minting import Clock, opened

KEY_ID, SECRET, SESSION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session-token-canary-0123456789"
BODY = b'{"create":{}}\n{"a":1}\n'
EXPIRED = Answer(403, {}, b'{"message":"The security token included in the request is expired"}')
STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def aws(service: str = "es", **keys: Any) -> SigV4Auth:
    return SigV4Auth(type="aws_sigv4", region="eu-west-1", service=service, **keys)


def with_keys(service: str = "es", **keys: Any) -> Authenticator:
    auth = aws(service, access_key_id="${ID}", secret_access_key="${SECRET}", **keys)
    return opened(auth, clock=Clock(), env={"ID": KEY_ID, "SECRET": SECRET, "SESSION": SESSION})


def a_request(url: str = "https://logs.example/_bulk?b=2&a=1", body: bytes | None = BODY) -> Request:
    return Request("POST", url, {"Content-Type": "application/x-ndjson", "User-Agent": "flicker"}, body)


def signature_of(request: Request, service: str, *, secret: str = SECRET) -> str:
    """The signature by the rules of AWS ("Create a signed AWS API request"), from what the header says was signed."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    parts = urlsplit(request.url)
    headers["host"] = parts.netloc
    names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    path = parts.path if service == "s3" else quote(parts.path, safe="/~")
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in sorted(parse_qsl(parts.query)))
    canonical = "\n".join(
        (
            request.method,
            path,
            query,
            *(f"{name}:{headers[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(request.body or b"").hexdigest(),
        )
    )
    at = headers["x-amz-date"]
    scope = f"{at[:8]}/eu-west-1/{service}/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", at, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


@pytest.mark.parametrize("service", ["es", "aoss", "s3"])
@pytest.mark.parametrize("url", ["https://logs.example/_bulk?b=2&a=1", "https://logs.example:9200/a/%2Fb?x=%20y"])
@pytest.mark.parametrize("body", [BODY, b"", None])
def test_the_signature_is_the_one_that_aws_computes(service: str, url: str, body: bytes | None) -> None:
    signed = with_keys(service).sign(a_request(url, body))
    authorization = signed.headers["Authorization"]
    assert authorization.endswith(f"Signature={signature_of(signed, service)}")
    assert f"Credential={KEY_ID}/" in authorization
    assert signed.headers["X-Amz-Content-SHA256"] == hashlib.sha256(body or b"").hexdigest()
    assert "content-type" in authorization
    assert "x-amz-content-sha256" in authorization
    assert "user-agent" not in authorization
    assert (signed.method, signed.url, signed.body) == ("POST", url, body)


def test_a_session_token_is_sent_and_signed() -> None:
    signed = with_keys(session_token="${SESSION}").sign(a_request())
    assert signed.headers["X-Amz-Security-Token"] == SESSION
    assert "x-amz-security-token" in signed.headers["Authorization"]


def test_no_log_holds_what_was_signed_with(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with_keys(session_token="${SESSION}").sign(a_request())
    assert SESSION not in caplog.text
    logging.getLogger("botocore.auth").debug("of others")
    assert "of others" in caplog.text


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"access_key_id": "a"}, "secret_access_key"),
        ({"secret_access_key": "a"}, "access_key_id"),
        ({"session_token": "a"}, "session_token"),
        ({"external_id": "a"}, "external_id"),
    ],
)
def test_keys_that_miss_their_others_are_told(keys: dict[str, str], key: str) -> None:
    assert [found for found, _ in aws(**keys).faults()] == [key]


# -- what the environment gives


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment in which AWS names nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


def key_id_of(signed: Request) -> str:
    return signed.headers["Authorization"].split("Credential=")[1].split("/")[0]


def test_without_keys_the_environment_is_asked(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_ACCESS_KEY_ID", "FROMENV")
    bare.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert key_id_of(opened(aws(), clock=Clock()).sign(a_request())) == "FROMENV"


def test_a_profile_serves_and_is_read_again_when_its_token_is_over(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def profile(key_id: str) -> None:
        (tmp_path / "credentials").write_text(
            f"[siem]\naws_access_key_id={key_id}\naws_secret_access_key={SECRET}\naws_session_token={SESSION}\n"
        )

    profile("FIRST")
    bare.setenv("AWS_PROFILE", "siem")
    auth = opened(aws(), clock=Clock())
    assert key_id_of(auth.sign(a_request())) == "FIRST"
    assert set(auth.secrets()) == {SECRET, SESSION}
    assert not auth.renew(EXPIRED), "nobody has renewed it"
    profile("SECOND")
    assert not auth.renew(Answer(403, {}, b'{"Message":"User is not authorized to perform: es:ESHttpPost"}'))
    assert auth.renew(EXPIRED)
    assert key_id_of(auth.sign(a_request())) == "SECOND"


@pytest.mark.parametrize("profile", [None, "nowhere"])
def test_no_credentials_anywhere_are_told(bare: pytest.MonkeyPatch, profile: str | None) -> None:
    if profile is not None:
        bare.setenv("AWS_PROFILE", profile)
    with pytest.raises(AuthFailed, match="AWS credentials") as failed:
        opened(aws(), clock=Clock()).sign(a_request())
    assert not failed.value.retryable


# -- roles


class Sts:
    """`AssumeRole`, answering each time with other keys."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.refusal: Response | None = None
        self.lifetime_s = 3600
        self.server = Server(self._handle)

    def _handle(self, request: Asked) -> Response:
        self.asked.append(dict(parse_qsl(request.body.decode())))
        if self.refusal is not None:
            return self.refusal
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.lifetime_s)
        body = (
            f'<AssumeRoleResponse xmlns="{STS_NAMESPACE}"><AssumeRoleResult><Credentials>'
            f"<AccessKeyId>ASSUMED{len(self.asked)}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
            f"<SessionToken>{SESSION}</SessionToken><Expiration>{ends:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
            "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/siem/flicker</Arn>"
            "<AssumedRoleId>AROA:flicker</AssumedRoleId></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
        )
        return Response(200, body.encode(), [("Content-Type", "text/xml")])


@pytest.fixture
def sts(bare: pytest.MonkeyPatch) -> Iterator[Sts]:
    found = Sts()
    bare.setenv("AWS_ENDPOINT_URL_STS", found.server.url)
    bare.setenv("AWS_MAX_ATTEMPTS", "1")
    yield found
    found.server.close()


def with_role(**keys: Any) -> Authenticator:
    return with_keys(role_arn="arn:aws:iam::123456789012:role/siem", **keys)


def test_a_role_is_assumed_with_the_keys_once(sts: Sts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    auth = with_role(external_id="tenant-7")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(key_id_of(auth.sign(a_request())))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["ASSUMED1"] * 4
    (asked,) = sts.asked
    assert asked["RoleArn"] == "arn:aws:iam::123456789012:role/siem"
    assert asked["ExternalId"] == "tenant-7"
    assert SESSION not in caplog.text
    assert SECRET not in caplog.text


def test_credentials_of_a_role_are_renewed_ahead_of_their_end(sts: Sts) -> None:
    sts.lifetime_s = 300  # the SDK renews ten minutes before
    auth = with_role()
    assert [key_id_of(auth.sign(a_request())) for _ in range(2)] == ["ASSUMED1", "ASSUMED2"]


def error(code: str, status: int) -> Response:
    body = f'<ErrorResponse xmlns="{STS_NAMESPACE}"><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>'
    return Response(status, body.encode(), [("Content-Type", "text/xml")])


@pytest.mark.parametrize(
    ("refusal", "retryable", "told"),
    [
        (error("AccessDenied", 403), False, "trust policy"),
        (error("InvalidClientTokenId", 403), False, "InvalidClientTokenId"),
        (error("Throttling", 400), True, "Throttling"),
        (error("InternalFailure", 500), True, "InternalFailure"),
        (Response(503, b"<html>busy</html>"), True, "503"),
    ],
)
def test_a_role_that_is_not_given_is_told(sts: Sts, refusal: Response, retryable: bool, told: str) -> None:
    sts.refusal = refusal
    with pytest.raises(AuthFailed, match="the role arn:aws:iam::123456789012:role/siem") as failed:
        with_role().sign(a_request())
    assert failed.value.retryable is retryable
    assert told in str(failed.value)


def test_an_sts_that_is_away_passes(sts: Sts, bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    with pytest.raises(AuthFailed, match="check the network") as failed:
        with_role().sign(a_request())
    assert failed.value.retryable


def test_the_machine_s_own_service_may_be_asked(bare: pytest.MonkeyPatch) -> None:
    """A container's role, as ECS gives it."""
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    answer = {"AccessKeyId": "CONTAINER", "SecretAccessKey": SECRET, "Token": SESSION, "Expiration": ends.isoformat()}
    server = Server(lambda _: Response.json(answer))
    try:
        bare.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/role")
        signed = opened(aws("aoss"), clock=Clock()).sign(a_request())
    finally:
        server.close()
    assert key_id_of(signed) == "CONTAINER"
    assert signed.headers["X-Amz-Security-Token"] == SESSION
