"""`account`: sources of one account say so, and agree; sources that look like one account are told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster_tests.config.builders import SOURCE, entry, faults, load

#: Lines 9 to 14 of a source.
AUTH = """    auth:
      type: oauth2_refresh_token
      token_url: https://api.example.com/token
      client_id: flicker
      client_secret: ${SECRET}
      refresh_token: ${REFRESH}
"""
ONE, TWO = SOURCE + AUTH, entry("two") + AUTH


def notes(folder: Path, text: str) -> list[str]:
    return [note.replace(f"{folder}/", "") for note in load(folder, text).notes]


def test_an_account_is_called_like_its_source_or_as_it_says(tmp_path: Path) -> None:
    one, two, three = load(tmp_path, ONE + TWO + "    account: one\n" + entry("three") + "    account: acme\n").sources
    assert (one.vendor_key, two.vendor_key, three.vendor_key) == ("one", "one", "acme")
    assert (one.earlier_vendor_keys, two.earlier_vendor_keys) == ((), ("two",))


def test_a_stream_has_the_account_of_its_source(tmp_path: Path) -> None:
    streams = "    streams:\n      a: {query_params: {type: a}}\n      b: {query_params: {type: b}}\n"
    for said, account, earlier in (("", "one", ()), ("    account: acme\n", "acme", ("one",))):
        for stream in load(tmp_path, SOURCE + streams + said).sources:
            assert (stream.vendor_key, stream.earlier_vendor_keys) == (account, earlier)


def test_a_stream_that_is_renamed_by_itself_is_what_it_says(tmp_path: Path) -> None:
    streams = (
        "    streams:\n      a: {renamed_from: alone, query_params: {type: a}}\n      b: {query_params: {type: b}}\n"
    )
    for said, former, earlier in (("", None, ("alone",)), ("    renamed_from: old\n", "old/b", ("old",))):
        a, b = load(tmp_path, SOURCE + streams + said).sources
        assert (a.renamed_from, b.renamed_from, a.earlier_vendor_keys) == ("alone", former, earlier)


def test_two_sources_that_look_like_one_account_are_told_of_with_both_places(tmp_path: Path) -> None:
    assert notes(tmp_path, ONE + TWO) == [
        "config.yaml:15: two: asks https://api.example.com with the same credentials as one (config.yaml:2), and each of "
        "them mints its own tokens and takes the whole quota for itself. If they are one account, write `account: one` "
        "here; if not, give each an `account`"
    ]


def test_the_one_that_says_nothing_is_told_what_to_say(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, ONE + TWO + "    account: acme\n")
    assert note.startswith("config.yaml:2: one: ")
    assert "as two (config.yaml:15)" in note
    assert "write `account: acme` here" in note


def test_each_source_is_told_of_once(tmp_path: Path) -> None:
    told = notes(tmp_path, ONE + TWO + entry("three") + AUTH)
    assert [note.split(":")[2].strip() for note in told] == ["two", "three"]
    assert all("write `account: one` here" in note for note in told)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (AUTH + "    account: acme\n", AUTH + "    account: acme\n"),
        (AUTH + "    account: here\n", AUTH + "    account: there\n"),
        (AUTH, AUTH + "    account: one\n"),
        (AUTH, AUTH.replace("${REFRESH}", "${OTHER}")),
        (AUTH, AUTH.replace("${REFRESH}", "${OTHER}") + "    connect_to: {'*': 'http://127.0.0.1:1'}\n"),
        (AUTH, AUTH + "    connect_to: {'*': 'http://127.0.0.1:1'}\n"),
        ("", ""),
        ("    api_key: ${ONE}\n", "    api_key: ${TWO}\n"),
    ],
)
def test_others_are_not(tmp_path: Path, one: str, two: str) -> None:
    assert notes(tmp_path, SOURCE + one + entry("two") + two) == []


@pytest.mark.parametrize("credentials", ["    api_key: ${KEY}\n", "    headers: {authorization: 'SSWS ${KEY}'}\n"])
@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("https://api.example.com/events", "https://API.example.com:443/others?type=a"),
        ("${URL}/events", "${URL}/others"),
        ("https://${TENANT:-a/b}.example.com/events", "https://${TENANT:-a/b}.example.com/others"),
    ],
)
def test_an_api_is_known_by_its_origin(tmp_path: Path, credentials: str, one: str, two: str) -> None:
    endpoint = "https://api.example.com/events"
    text = SOURCE.replace(endpoint, one) + credentials + entry("two").replace(endpoint, two) + credentials
    assert len(notes(tmp_path, text)) == 1
    assert notes(tmp_path, text.replace(two, two.replace("example", "sample").replace("URL", "OTHER"))) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            ONE + "    account: acme\n" + TWO + "    account: one\n",
            "29: api_sources[1].account: 'one' is the name of the source on line 2, whose account is 'acme', expected "
            "account: acme",
        ),
        (
            ONE + "    renamed_from: old\n" + TWO + "    account: old\n",
            "29: api_sources[1].account: 'old' is what the source on line 2 was called before, whose account is 'one' now, "
            "expected account: one, or account: old over there as well",
        ),
        (
            ONE + "    renamed_from: old\n    streams: {a: {}}\n" + TWO + "    account: old\n",
            "30: api_sources[1].account: 'old' is what the source on line 2 was called before, whose account is 'one' now, "
            "expected account: one, or account: old over there as well",
        ),
        (
            ONE + TWO.replace("${REFRESH}", "${OTHER}") + "    account: one\n",
            "28: api_sources[1].account: 'one' is the account of the source on line 2 as well, whose auth is another: "
            "expected the same auth, or another account",
        ),
        (
            SOURCE + "    streams:\n      a: {}\n      b: {account: other, query_params: {type: b}}\n",
            "2: api_sources[0].account: differs between streams ('one' and 'other'), expected one account for the whole "
            "source",
        ),
        (SOURCE + "    account: ''\n", "9: api_sources[0].account: found '', expected some text"),
    ],
)
def test_what_would_tear_an_account_apart_is_a_fault(tmp_path: Path, text: str, line: str) -> None:
    assert faults(tmp_path, text) == [f"config.yaml:{line}"]


def test_keys_that_are_not_minted_may_differ_within_an_account(tmp_path: Path) -> None:
    """As with two keys of one organisation, which count against one quota."""
    load(tmp_path, SOURCE + "    api_key: ${ONE}\n" + entry("two") + "    api_key: ${TWO}\n    account: one\n")


def test_an_earlier_name_may_stay_the_account(tmp_path: Path) -> None:
    load(tmp_path, ONE + "    renamed_from: old\n    account: old\n" + TWO + "    account: old\n")
