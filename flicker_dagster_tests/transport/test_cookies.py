"""Cookies of a load balancer are sent back to it, and nothing else becomes one."""

from __future__ import annotations

import pytest

from flicker_dagster.transport.cookies import LONGEST_COOKIE_CHARS, MOST_COOKIES, CookieJar, Cookies, header_of


def jar_after(*set_cookie: str) -> CookieJar:
    jar = CookieJar()
    jar.heed({"set-cookie": "\n".join(set_cookie)}, sent=())
    return jar


@pytest.mark.parametrize(
    ("set_cookie", "cookies"),
    [
        (["node=a"], (("node", "a"),)),
        (["node=a; Path=/; HttpOnly", "zone=b; Secure"], (("node", "a"), ("zone", "b"))),
        (["node=a", "node=b"], (("node", "b"),)),
        (['AWSALB="x=y/+=="; Expires=Wed, 21 Oct 2099 07:28:00 GMT'], (("AWSALB", '"x=y/+=="'),)),
        (["node=a", "node=; Max-Age=0"], ()),
        (["node=a", "node=gone; max-age=-1; Path=/"], ()),
        (["node=a; Max-Age=600"], (("node", "a"),)),
        (["no cookie at all", "=nameless", "bad name=x", "v=a b", "w=\u20ac"], ()),
        ([f"long={'x' * LONGEST_COOKIE_CHARS}"], ()),
        ([], ()),
    ],
)
def test_what_is_set_is_sent_back(set_cookie: list[str], cookies: Cookies) -> None:
    assert jar_after(*set_cookie).cookies == cookies


def test_a_secret_that_a_server_echoes_becomes_no_cookie() -> None:
    jar = CookieJar(holds_secret=lambda text: "s3cret" in text)
    heeded = {"set-cookie": "node=a\necho=s3cret\ns3cret=echo"}
    assert jar.heed(heeded, sent=()) == jar.cookies == (("node", "a"),)


def test_so_many_cookies_are_kept() -> None:
    assert len(jar_after(*(f"c{number}=x" for number in range(100))).cookies) == MOST_COOKIES


def test_an_answer_tells_the_way_back_to_whoever_gave_it() -> None:
    jar = jar_after("node=a")
    sent = jar.cookies
    jar.heed({"set-cookie": "node=b"}, sent=())  # another thread's, meanwhile
    assert jar.heed({}, sent=sent) == (("node", "a"),)
    assert jar.heed({"set-cookie": "zone=z"}, sent=sent) == (("node", "a"), ("zone", "z"))
    assert jar.cookies == (("node", "b"), ("zone", "z"))


def test_the_header_holds_all_of_them_and_is_left_out_where_there_are_none() -> None:
    assert header_of((("a", "1"), ("b", "2"))) == {"Cookie": "a=1; b=2"}
    assert header_of(()) == {}
