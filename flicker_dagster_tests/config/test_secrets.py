"""References stand for values that are looked up when used; a secret never leaves the program in any spelling."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.auth.fixed import BearerAuth
from flicker_dagster.config.auth.signed import GoogleServiceAccount
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.masking import MASK, Masker
from flicker_dagster.config.records import BasicAuth
from flicker_dagster.config.secrets import is_secret_key, references, resolve
from flicker_dagster.errors import SecretUnset
from flicker_dagster_tests.builders import a_source

#: Any secret but one with asterisks, which the mask itself would spell.
_TEXT = st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=4, max_size=40)
SECRETS = _TEXT.filter(lambda text: not text.endswith("\\"))  # half of an escape, which the next text completes


# -- references


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("SSWS ${TOKEN}", "SSWS t0k3n"),
        ("${TOKEN}/${TOKEN}", "t0k3n/t0k3n"),
        ("${UNSET:-5}", "5"),
        ("${UNSET:-}", ""),
        ("${EMPTY:-5}", "5"),
        ("${EMPTY}", ""),
        ("${TOKEN:-5}", "t0k3n"),
        ("${UNSET:-https://a.example/b?c=d}", "https://a.example/b?c=d"),
        ("costs $$5", "costs $5"),
        ("$${TOKEN}", "${TOKEN}"),
        ("$TOKEN", "$TOKEN"),
        ("${not a name}", "${not a name}"),
        ("${NESTED}", "${TOKEN}"),
    ],
)
def test_a_template_is_filled_in_once(template: str, text: str) -> None:
    assert resolve(template, env={"TOKEN": "t0k3n", "EMPTY": "", "NESTED": "${TOKEN}"}) == text


def test_a_file_is_read_when_used_without_its_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    template = f"Bearer ${{file:{path}}}"
    assert resolve(template, env={}) == "Bearer first"
    path.write_text("second\r\n")
    assert resolve(template, env={}) == "Bearer second"


def test_an_unset_variable_is_named_with_what_to_do() -> None:
    with pytest.raises(SecretUnset) as caught:
        resolve("SSWS ${OKTA_API_TOKEN}", env={})
    assert str(caught.value) == "${OKTA_API_TOKEN} is not set; set the environment variable OKTA_API_TOKEN"


def test_a_file_that_is_not_there_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SecretUnset) as caught:
        resolve(f"${{file:{tmp_path}/token}}", env={})
    assert str(caught.value) == f"${{file:{tmp_path}/token}} cannot be read: No such file or directory"


def test_the_references_of_a_template_come_in_order() -> None:
    assert [str(each) for each in references("${A} $$ ${file:/b} ${C:-d}")] == ["${A}", "${file:/b}", "${C}"]


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("source.api_key", True),
        ("source.headers.Authorization", True),
        ("source.headers.DD-APPLICATION-KEY", True),
        ("source.destination.auth.token", True),
        ("source.destination.auth.value", True),
        ("source.api_key_header", False),
        ("source.pagination.token_param", False),
        ("source.endpoint", False),
        ("source.headers.Accept", False),
        ("source.tls.key_path", False),
    ],
)
def test_which_keys_hold_secrets(path: str, secret: bool) -> None:
    assert is_secret_key(path) is secret


# -- masking


@given(secret=SECRETS, before=st.text(max_size=5), after=st.text(max_size=5))
def test_no_secret_survives_in_any_spelling(secret: str, before: str, after: str) -> None:
    spellings = [
        secret,
        quote(secret),
        quote(secret, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
        base64.urlsafe_b64encode(secret.encode()).decode(),
    ]
    masker = Masker([secret])
    for spelling in spellings:
        masked = masker.mask(f"{spelling}|{spelling}")
        # White space at its ends may stay, and half of an escaped backslash.
        assert set("".join(masked.split())) <= set(f"{MASK}|=\\"), (spelling, masked)
        assert secret not in masker.mask(before.replace("*", "") + spelling + after.replace("*", ""))


def test_of_two_secrets_the_longer_is_masked_first() -> None:
    assert Masker(["abcd", "abcdefgh"]).mask("abcdefgh abcd") == "*** ***"


def test_values_of_three_characters_are_left() -> None:
    assert Masker(["abc"]).mask("abc is a word") == "abc is a word"


@given(secrets=st.lists(SECRETS, max_size=4), data=st.data())
def test_a_sealed_url_holds_no_secret_and_comes_back_as_it_was(secrets: list[str], data: st.DataObject) -> None:
    spell = st.sampled_from([lambda text: quote(text, safe=""), quote_plus])
    url = "https://api.example.com/next"
    for number, secret in enumerate(secrets):
        url += f"&p{number}={data.draw(spell)(secret)}"
    masker = Masker(secrets)
    sealed = masker.seal(url)
    assert masker.unseal(sealed) == url
    assert all(f"={quote(secret, safe='')}&" not in f"{sealed}&" for secret in secrets)


def test_a_sealed_url_takes_the_secret_of_today() -> None:
    source = a_source(query_params={"a": "${FIRST}", "b": "${SECOND}"})
    sealed = Masker.for_source(source, {"FIRST": "short", "SECOND": "much-longer"}).seal("/n?a=short&b=much-longer")
    today = Masker.for_source(source, {"FIRST": "now/the-longest", "SECOND": "brief"})
    assert today.unseal(sealed) == "/n?a=now/the-longest&b=brief"


def test_a_secret_that_is_a_word_of_the_placeholder_does_no_harm() -> None:
    masker = Masker(["secret", "a-longer-secret"])
    assert masker.unseal(masker.seal("/n?a=secret&b=a-longer-secret")) == "/n?a=secret&b=a-longer-secret"


# -- what of a source is secret


def test_what_references_stand_for_is_masked() -> None:
    source = a_source(headers={"Authorization": "SSWS ${TOKEN}"}, query_params={"tenant": "${TENANT}"})
    assert Masker.for_source(source, {"TOKEN": "t0k3n", "TENANT": "acme"}).mask("t0k3n of acme") == "*** of ***"


def test_a_variable_that_holds_scheme_and_token_is_masked_word_by_word() -> None:
    source = a_source(headers={"Authorization": "${HEADER}"})
    masker = Masker.for_source(source, {"HEADER": "SSWS 00abcdefgh"})
    assert masker.mask("invalid token 00abcdefgh, use SSWS") == "invalid token ***, use SSWS"


def test_a_secret_written_out_in_the_file_is_masked() -> None:
    source = a_source(headers={"Authorization": "Bearer literal-token", "Accept": "application/json"})
    masker = Masker.for_source(source, {})
    assert masker.mask("Bearer literal-token wants application/json") == "Bearer *** wants application/json"


def test_a_destinations_token_is_masked() -> None:
    auth = BearerAuth(type="bearer", token="${SIEM_KEY}")
    source = a_source(destination=HttpDestination(type="http", endpoint="https://siem.example.com", auth=auth))
    assert Masker.for_source(source, {"SIEM_KEY": "siem-key"}).mask("got siem-key") == "got ***"


def test_the_header_of_basic_authentication_is_masked() -> None:
    source = a_source(basic=BasicAuth(username="me", password="${PASSWORD}"))
    header = base64.b64encode(b"me:hunter22").decode()
    assert Masker.for_source(source, {"PASSWORD": "hunter22"}).mask(f"Basic {header}") in ("Basic ***", "Basic ***=")


def test_an_endpoint_from_the_environment_is_shown() -> None:
    source = a_source(endpoint="${API}/events")
    assert Masker.for_source(source, {"API": "https://api.example.com"}).mask("https://api.example.com/events") == (
        "https://api.example.com/events"
    )


def test_an_endpoint_with_a_password_is_masked() -> None:
    source = a_source(endpoint="${API}/events")
    assert (
        Masker.for_source(source, {"API": "https://me:pass@a.example"}).mask("https://me:pass@a.example/x")
        == "https://me:***@a.example/x"
    )


def test_the_name_of_the_api_keys_header_is_shown() -> None:
    source = a_source(api_key="${KEY}", api_key_header="X-Api-Key-Of-Vendor")
    assert Masker.for_source(source, {"KEY": "k3y-value"}).mask("X-Api-Key-Of-Vendor: k3y-value") == (
        "X-Api-Key-Of-Vendor: ***"
    )


def test_a_source_named_after_a_secret_hides_no_more_than_others() -> None:
    source = a_source(name="api-token-log", endpoint="https://api.example.com/events")
    assert Masker.for_source(source, {}).mask("https://api.example.com/events") == "https://api.example.com/events"


def test_an_unset_secret_and_a_default_hide_nothing() -> None:
    source = a_source(query_params={"a": "${UNSET}", "b": "${ALSO_UNSET:-everyday}"})
    assert Masker.for_source(source, {}).mask("an everyday message") == "an everyday message"


SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "acme-audit",
    "private_key_id": "5f0c2d1e9b8a7f6e",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASC\n-----END PRIVATE KEY-----\n",
    "client_email": "collector@acme-audit.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
    "universe_domain": "googleapis.com",
    "more": {"inner": "deep-secret"},
}


@pytest.mark.parametrize("key_json", ["${KEY}", json.dumps(SERVICE_ACCOUNT)])
def test_of_a_service_accounts_key_what_is_secret_is_masked_and_addresses_stay_readable(key_json: str) -> None:
    source = a_source(auth=GoogleServiceAccount(type="google_service_account", key_json=key_json))
    masker = Masker.for_source(source, {"KEY": json.dumps(SERVICE_ACCOUNT, indent=2)})
    address = "GET https://admin.googleapis.com/admin/reports?a=b: service_account"
    assert masker.mask(address) == address
    whole = masker.mask(json.dumps(SERVICE_ACCOUNT)) + masker.mask(SERVICE_ACCOUNT["private_key"])  # type: ignore[arg-type]
    for secret in ("5f0c2d1e", "MIIEvQIBADAN", "9w0BAQEFAASC", "deep-secret"):
        assert secret not in whole


def test_json_without_a_private_key_is_masked_as_a_whole() -> None:
    source = a_source(api_key="${KEY}")
    assert "abcdefgh" not in Masker.for_source(source, {"KEY": '{"type": "abcdefghijk"}'}).mask("abcdefghijk")
