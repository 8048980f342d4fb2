"""HTTP Digest: RFC 7616's own examples, and a server that counts nonces."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.auth.fixed import DigestAuth
from flicker_dagster.simulator.digest import DigestGuard
from flicker_dagster.simulator.server import Request as Received
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster.transport.auth_digest import Challenge, challenge_in, response_to
from flicker_dagster.transport.exchange import Answer, Authenticator, Request
from flicker_dagster_tests.transport.exchanges import exchanged
from flicker_dagster_tests.transport.minting import Clock, opened

PASSWORD = 'wo"rd, with \\ all'
ENV = {"PUBLIC": "user-1", "PRIVATE": PASSWORD}


class Guarded:
    """A server behind a guard; `seen` are the statuses it answered."""

    def __init__(self, clock: Clock, **how: object) -> None:
        self.guard = DigestGuard({"user-1": PASSWORD}, clock=clock, **how)  # type: ignore[arg-type]
        self.seen: list[int] = []
        self.server = Server(self._handle)

    def _handle(self, request: Received) -> Response:
        refused = self.guard.refused(request)
        self.seen.append(200 if refused is None else 401)
        return Response.json({}) if refused is None else Response.json({}, 401, refused)

    def request(self, target: str = "/api/v2/events?a=%2Fb&c=d+e") -> Request:
        return Request("GET", self.server.url + target)


@pytest.fixture(params=[("MD5",), ("SHA-256",), ("MD5", "SHA-256")], ids="+".join)
def server(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Guarded]:
    found = Guarded(clock, algorithms=request.param)
    yield found
    found.server.close()


def digest(clock: Clock, env: dict[str, str] | None = None) -> Authenticator:
    auth = DigestAuth(type="digest", username="${PUBLIC}", password="${PRIVATE}")
    return opened(auth, clock=clock, env=ENV if env is None else env)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    challenge = Challenge(
        realm="http-auth@example.org",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        algorithm=algorithm,
        qop="auth",
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
        stale=False,
    )
    value = response_to(
        challenge,
        "GET",
        "/dir/index.html",
        ("Mufasa", "Circle of Life"),
        count=1,
        client_nonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert f'response="{response}"' in value
    assert "qop=auth, nc=00000001" in value


def test_a_server_without_qop_is_answered_as_in_rfc_2617() -> None:
    challenge = Challenge(
        realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        algorithm="",
        qop="",
        opaque=None,
        stale=False,
    )
    value = response_to(
        challenge, "GET", "/dir/index.html", ("Mufasa", "Circle Of Life"), count=1, client_nonce="0a4f113b"
    )
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in value
    assert "cnonce" not in value


def test_the_challenge_is_answered_once_and_its_nonce_counted_from_then_on(server: Guarded, clock: Clock) -> None:
    auth = digest(clock)
    assert [exchanged(auth, server.request(f"/page?n={n}")).status for n in range(5)] == [200] * 5
    assert server.seen == [401, 200, 200, 200, 200, 200]


def test_a_nonce_that_is_over_is_replaced(server: Guarded, clock: Clock) -> None:
    auth = digest(clock)
    exchanged(auth, server.request())
    clock.now_s += 301
    assert exchanged(auth, server.request()).status == 200
    assert server.seen == [401, 200, 401, 200]


def test_a_wrong_password_is_told_after_one_attempt(server: Guarded, clock: Clock) -> None:
    auth = digest(clock, {"PUBLIC": "user-1", "PRIVATE": "another"})
    refused = exchanged(auth, server.request())
    assert refused.status == 401
    assert server.seen == [401, 401]
    assert "does not take this user and password" in auth.explain(refused)


def test_threads_share_a_nonce_and_no_count(server: Guarded, clock: Clock) -> None:
    auth = digest(clock)
    exchanged(auth, server.request())
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(exchanged(auth, server.request()).status)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert server.guard.challenges == 1


def test_the_strongest_of_several_challenges_is_answered() -> None:
    header = 'Basic realm="a, Digest b=c"\nDigest realm="r", nonce="1", qop="auth-int, auth", algorithm=MD5, ' \
        'Digest realm="r", nonce="2", qop="auth", algorithm=SHA-256'  # fmt: skip
    found = challenge_in(header)
    assert found is not None
    assert (found.nonce, found.algorithm) == ("2", "SHA-256")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic realm=x",
        'Digest realm="r"',
        'Digest nonce="1", algorithm=SHA-512-256',
        'Digest nonce="1", qop="auth-int"',
    ],
)
def test_what_cannot_be_answered_is_told(clock: Clock, header: str) -> None:
    auth = digest(clock)
    auth.sign(Request("GET", "https://a.example/"))
    refused = Answer(401, {"www-authenticate": header})
    assert not auth.renew(refused)
    assert "asks for no digest that is known here" in auth.explain(refused)


@pytest.mark.fuzz
@given(header=st.text() | st.text('Digest nonce="1",realm=qop auth\\\n').map(lambda text: f"Digest {text}"))
def test_whatever_is_asked_for_ends(header: str) -> None:
    auth = digest(Clock())
    if auth.renew(Answer(401, {"www-authenticate": header})):
        assert auth.sign(Request("GET", "https://a.example/x")).headers["Authorization"].startswith("Digest ")
