"""However a secret is spelt and wherever a text is cut: no eight characters in a row of it come out."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.masking import MASK, Masker, has_own_path, shown_endpoint
from flicker_dagster_tests.builders import a_source

SECRET = "CANARYtoken0123456789abcdefXYZ"


def _hex(text: str, *, between: str = "", before: str = "") -> str:
    return between.join(f"{before}{byte:02x}" for byte in text.encode())


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "lower": str.lower,
    "upper": str.upper,
    "percent": lambda text: _hex(text, before="%"),
    "percent twice": lambda text: quote(_hex(text, before="%")),
    "hex": _hex,
    "HEX": lambda text: _hex(text).upper(),
    "hex with colons": lambda text: _hex(text, between=":"),
    "hex bytes": lambda text: _hex(text, between=", ", before="0x"),
    "bytes literal": lambda text: _hex(text, before="\\x"),
    "json": lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
    "json in json": lambda text: json.dumps("".join(f"\\u{ord(each):04x}" for each in text)),
    "html": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "html hex": lambda text: "".join(f"&#x{ord(each):x};" for each in text),
    "html in percent": lambda text: quote("".join(f"&#{ord(each)};" for each in text)),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(b"x" * 50 + text.encode()).decode(),
    "base64 in percent": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "base64 of hex": lambda text: base64.b64encode(_hex(text).encode()).decode(),
    "base64 of base64": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "hex of base64": lambda text: _hex(base64.b64encode(text.encode()).decode()),
    "html text": lambda text: html.escape(json.dumps(text)),
}


def decoded(masked: str, secret: str) -> bool:
    """Does the text hold eight characters of the secret, as it is or decoded by the usual means?"""
    runs = [secret[at : at + 8].lower() for at in range(len(secret) - 7)]
    texts = [masked.lower()]
    for run in masked.replace("\n", "").split(MASK):
        for shift in range(4):
            part = run[shift:]
            with_padding = part[: len(part) // 4 * 4]
            try:
                texts.append(base64.b64decode(with_padding, validate=True).decode("latin-1").lower())
            except ValueError:
                continue
    return any(run in text for run in runs for text in texts)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("around", ["{}", "Bearer {}", "x{}", "xy{}z", "user:{}"])
def test_a_secret_is_found_in_every_spelling_and_at_every_place_in_it(spelling: str, around: str) -> None:
    spelt = SPELLINGS[spelling](around.format(SECRET))
    masked = Masker([SECRET]).mask(f"the token {spelt} is unknown")
    assert MASK in masked
    assert not decoded(masked, SECRET)
    assert masked.startswith("the token ")
    assert masked.endswith("is unknown")


@pytest.mark.fuzz
@given(
    secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=40),
    spelling=st.sampled_from(sorted(SPELLINGS)),
    before=st.text(max_size=12),
    after=st.text(max_size=12),
    data=st.data(),
)
def test_wherever_a_text_with_a_secret_is_cut_none_of_it_comes_out(
    secret: str, spelling: str, before: str, after: str, data: st.DataObject
) -> None:
    text = f"{before} {SPELLINGS[spelling](secret)} {after}"
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    at_most = data.draw(st.integers(1, 80))
    shown = Masker([secret]).shown(text[start:end], at_most=at_most)
    assert len(shown) <= at_most
    assert shown.isprintable()
    runs = [secret[at : at + 8].lower() for at in range(len(secret) - 7)]
    assert not any(run in shown.lower() for run in runs)
    assert not any(_hex(run) in shown.lower() for run in [secret[at : at + 8] for at in range(len(secret) - 7)])


@pytest.mark.fuzz
@given(st.text(max_size=60), st.lists(st.text(min_size=4, max_size=10), max_size=3))
def test_any_text_comes_back_from_its_seal_as_it_was(text: str, secrets: list[str]) -> None:
    masker = Masker(secrets)
    marks = f"{text}${{secret:plain:0}}${{secret:text:}}{''.join(secrets)}${{secret:"
    for each in (text, marks):
        assert masker.unseal(masker.seal(each)) == each


def test_a_seal_of_today_still_opens_what_an_earlier_version_sealed_for_the_vendor_and_nothing_else() -> None:
    destination = HttpDestination(type="http", endpoint="https://siem.test", api_key="${SIEM_KEY}")
    source = a_source(headers={"X-Key": "${KEY}"}, destination=destination)
    masker = Masker.for_source(source, {"KEY": "vendor-key", "SIEM_KEY": "siem-key-123"})
    assert masker.unseal("/n?key=${secret:quoted:KEY}") == "/n?key=vendor-key"
    assert masker.unseal("/n?key=${secret:plain:SIEM_KEY}") == "/n?key=${secret:plain:SIEM_KEY}"
    assert "siem-key" not in masker.mask("got siem-key-123")


@pytest.mark.parametrize(
    "text", ["A" * 8192, "\\" * 8192, "%" * 8192, "ab" * 4096, "&" * 8192, " \n" * 4096, "a " * 4096, "0x" * 4096]
)
def test_no_text_takes_long_to_mask(text: str) -> None:
    masker = Masker([SECRET])
    began_s = time.process_time()
    masker.mask(text)
    assert time.process_time() - began_s < 2


# -- addresses


@pytest.mark.parametrize(
    ("template", "value", "own"),
    [
        ("${A}/logs", "https://api.test", False),
        ("${A}/logs", "https://api.test/", False),
        ("${A}", "https://hooks.test/services/T0/XyZ12345abc", True),
        ("${A}", "https://api.test?key=1", True),
        ("https://${A}/logs", "api.test", False),
    ],
)
def test_an_address_from_a_variable_may_be_a_credential(template: str, value: str, own: bool) -> None:
    assert has_own_path(template, {"A": value}) is own


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("https://hooks.test/services/T0/XyZ12345abc", "https://hooks.test/services/T0/***"),
        ("https://me:hunter22@api.test/v1/audit_logs", "https://me:***@api.test/v1/audit_logs"),
        (
            "https://api.test/v1/audit-logs?token=opensesame&limit=100",
            "https://api.test/v1/audit-logs?token=***&limit=100",
        ),
        ("${SIEM_URL}/in", "${SIEM_URL}/in"),
        ("https://api.test/v1/auditLogs/directoryAudits", "https://api.test/v1/auditLogs/directoryAudits"),
        ("https://api.test/hooks/xYzAbCdEfGh", "https://api.test/hooks/***"),
        ("https://${ORG}.okta.com/api/v1/logs", "https://${ORG}.okta.com/api/v1/logs"),
    ],
)
def test_an_endpoint_is_shown_without_what_is_a_credential_in_it(template: str, shown: str) -> None:
    assert shown_endpoint(template) == shown


def test_the_credentials_of_a_proxy_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://ana:hunter%2F22secret@proxy.test:3128")
    masked = Masker.for_source(a_source(), {}).mask("407 for ana with hunter/22secret, also hunter%2F22secret")
    assert masked == "407 for ana with ***, also ***"
