"""A source is recognised by its vendor or its host, and the preset lies beneath what the user wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.layers import lay_beneath
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import left_out, preset_of, presets, recognise
from flicker_dagster.errors import ConfigError
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.config.builders import SOURCE, load


@pytest.mark.parametrize(
    ("endpoint", "vendor"),
    [
        ("https://company.okta.com/api/v1/logs", "okta"),
        ("https://COMPANY.OKTA.COM/api/v1/logs", "okta"),
        ("https://company.oktapreview.com:443/api/v1/logs", "okta"),
        ("https://${ORG}.okta.com/api/v1/logs", "okta"),
        ("https://company.okta.com:${PORT}/api/v1/logs", "okta"),
        ("https://api.github.com/orgs/company/audit-log", "github"),
        ("https://company.my.salesforce.com/services/data/v58.0/query", "salesforce"),
        ("https://evil-okta.com/api/v1/logs", None),
        ("https://okta.com.evil.example/api/v1/logs", None),
        ("https://example.com/api.github.com", None),
        ("https://company.okta.com@example.com/", None),
        ("https://${HOST}/api/v1/logs", None),
        ("${OKTA_URL}/api/v1/logs", None),
        ("${OKTA_URL:-https://company.okta.com}/api/v1/logs", None),
        ("https://[broken/", None),
        ("", None),
        (5, None),
        (None, None),
    ],
)
def test_a_vendor_is_recognised_by_the_endpoints_host(endpoint: object, vendor: str | None) -> None:
    found = recognise({"endpoint": endpoint})
    assert (found.vendor if found else None) == vendor


def test_an_explicit_vendor_outweighs_the_host() -> None:
    found = recognise({"endpoint": "https://company.okta.com/", "vendor": "github"})
    assert found is not None
    assert found.vendor == "github"


def test_generic_is_no_preset() -> None:
    assert recognise({"endpoint": "https://company.okta.com/", "vendor": "generic"}) is None


def test_a_generic_source_keeps_every_key_as_written(tmp_path: Path) -> None:
    text = (
        SOURCE.replace("https://api.example.com/events", "https://company.okta.com/api/v1/logs")
        + "    vendor: generic\n"
    )
    config = load(tmp_path, text)
    assert config.overruled == []
    assert config.sources[0].id_field is None
    assert preset_of(config.sources[0].vendor) is None


def test_a_source_behind_a_variable_names_its_vendor(tmp_path: Path) -> None:
    text = SOURCE.replace("https://api.example.com/events", "${OKTA_URL}/api/v1/logs") + "    vendor: okta\n"
    (source,) = load(tmp_path, text).sources
    assert source.id_field == "uuid"
    preset = preset_of(source.vendor)
    assert preset is not None
    assert preset.vendor == "okta"


def test_a_users_key_lies_above_the_presets_unless_it_is_overruled() -> None:
    raw: dict[str, Any] = {"query_params": {"filter": "x"}, "lookback_ms": 1, "pagination": {"pagination_type": "page"}}
    merged, overruled = lay_beneath(presets()["okta"], raw, name="one")
    assert merged["query_params"] == {"sortOrder": "ASCENDING", "filter": "x"}
    assert merged["lookback_ms"] == 1
    assert merged["pagination"]["pagination_type"] == "link_header"
    assert [each.key for each in overruled] == ["pagination.pagination_type"]
    assert raw["pagination"] == {"pagination_type": "page"}


def test_what_the_user_and_the_preset_agree_on_is_not_told() -> None:
    raw = {"pagination": {"pagination_type": "link_header", "limit_param": "limit"}, "results_field": ""}
    assert lay_beneath(presets()["okta"], raw, name="one")[1] == []


def test_laying_a_preset_beneath_leaves_the_preset_as_it_is() -> None:
    before = repr(presets()["github"])
    merged, _ = lay_beneath(presets()["github"], {"pagination": {"page_param": "page"}}, name="one")
    merged["headers"]["X"] = "y"
    assert repr(presets()["github"]) == before


@pytest.mark.parametrize(("vendor", "stream"), [(v, s) for v, p in presets().items() for s in [*p.streams] or [""]])
def test_every_stream_of_a_preset_makes_a_whole_source(vendor: str, stream: str) -> None:
    preset = presets()[vendor]
    own = a_source().model_dump(include={"name", "endpoint", "destination"}, exclude_unset=True)
    merged, overruled = lay_beneath(preset, own, name="one", stream=stream or None)
    assert overruled == []
    assert SourceConfig.model_validate(merged).vendor == vendor


@pytest.mark.parametrize("vendor", sorted(presets()))
def test_every_preset_says_what_a_person_needs(vendor: str) -> None:
    preset = presets()[vendor]
    assert preset.docs.startswith("https://")
    assert all(why and not why.endswith(".") for why in preset.overrules.values())
    texts = repr([preset.source, preset.other_auth, *(stream.source for stream in preset.streams.values())])
    assert set(re.findall(r"\$\{param:(\w+)\}", texts)) == set(preset.params)
    for param in preset.params.values():
        assert param.description
        assert param.secret or param.pattern is None or re.fullmatch(param.pattern, param.example)
    assert not preset.params or (preset.create and preset.rights and preset.limits)


OKTA_BY_NAME = """api_sources:
  - name: one
    vendor: okta
    params: {PARAMS}
    destination: {type: http, endpoint: "https://siem.example.com"}
"""


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ("domain: acme.okta.com, token: '${T}'", "bearer"),
        ("domain: acme.okta.com, client_id: 0oa1, private_key: '${K}', key_id: k1", "oauth2_client_credentials"),
        ("domain: acme.okta.com, token: '${T}', client_id: 0oa1, private_key: '${K}', key_id: k1", "bearer"),
    ],
)
def test_the_parameters_that_are_given_decide_how_requests_are_signed(tmp_path: Path, params: str, kind: str) -> None:
    (source,) = load(tmp_path, OKTA_BY_NAME.replace("PARAMS", params)).sources
    assert source.endpoint == "https://acme.okta.com/api/v1/logs"
    assert source.auth is not None
    assert source.auth.type == kind


def test_what_the_first_way_to_sign_lacks_is_told_where_no_way_is_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.token: is missing, expected an API token"):
        load(tmp_path, OKTA_BY_NAME.replace("PARAMS", "domain: acme.okta.com, client_id: 0oa1"))


def test_a_source_by_hand_signs_as_it_says_or_not_at_all(tmp_path: Path) -> None:
    text = SOURCE.replace("https://api.example.com/events", "https://company.okta.com/api/v1/logs")
    (source,) = load(tmp_path, text).sources
    assert source.vendor == "okta"
    assert source.auth is None


NAMED = """api_sources:
  - name: one
    vendor: VENDOR
    params: {PARAMS}
    destination: {type: http, endpoint: "https://siem.example.com"}
"""


@pytest.mark.parametrize(
    ("vendor", "params", "kind", "endpoint"),
    [
        ("github", "org: acme, token: '${T}'", "bearer", "https://api.github.com/orgs/acme/audit-log"),
        (
            "github",
            "org: acme, app_id: '47', installation_id: '99', private_key: '${K}'",
            "login",
            "https://api.github.com/orgs/acme/audit-log",
        ),
        (
            "salesforce",
            "domain: acme.my.salesforce.com, client_id: c, client_secret: '${S}'",
            "oauth2_client_credentials",
            "${token:instance_url}/services/data/v62.0/query",
        ),
        (
            "salesforce",
            "domain: acme.my.salesforce.com, client_id: c, username: a@acme.test, private_key: '${K}', api_version: v60.0",
            "oauth2_jwt_bearer",
            "${token:instance_url}/services/data/v60.0/query",
        ),
    ],
)
def test_a_source_that_names_no_stream_is_the_one_it_was_before_there_were_several(
    tmp_path: Path, vendor: str, params: str, kind: str, endpoint: str
) -> None:
    (source,) = load(tmp_path, NAMED.replace("VENDOR", vendor).replace("PARAMS", params)).sources
    assert (source.name, source.stream, source.endpoint) == ("one", "", endpoint)
    assert source.auth is not None
    assert source.auth.type == kind


def test_the_query_for_log_files_stays_as_it_is(tmp_path: Path) -> None:
    """What it selects and orders are files, not events."""
    text = NAMED.replace("VENDOR", "salesforce").replace("PARAMS", "domain: a.b, client_id: c, client_secret: '${S}'")
    (source,) = load(tmp_path, text + "    streams: [event_log_files]\n").sources
    assert source.name == "one/event_log_files"
    assert "Interval = 'Hourly' AND CreatedDate >= {start}" in str(source.query_params["q"])
    assert "TIMESTAMP" not in str(source.query_params["q"])


def test_vendors_without_a_preset_are_told_with_the_reason() -> None:
    assert {"Notion", "Keeper", "Snowflake"} <= left_out().keys()
    assert all(why and not why.endswith(".") for why in left_out().values())
    assert not {name.lower().replace(" ", "_") for name in left_out()} & presets().keys()


#: Hosts in a customer's own network may be one word.
SELF_MANAGED = {("gitlab", "host"), ("bitbucket", "host")}


def test_a_parameter_that_is_a_whole_host_takes_no_single_word() -> None:
    """`acme` for `acme.okta.com`: refused where it is typed, and not by DNS in the night."""
    hosts = [
        (vendor, name, param.pattern)
        for vendor, preset in presets().items()
        for name, param in preset.params.items()
        if f"https://${{param:{name}}}" in f"{preset.source}{[each.source for each in preset.streams.values()]}"
        and f"https://${{param:{name}}}." not in f"{preset.source}"
    ]
    assert len(hosts) > 10
    for vendor, name, pattern in hosts:
        if (vendor, name) not in SELF_MANAGED:
            assert pattern is not None, (vendor, name)
            assert re.fullmatch(pattern, "acme") is None, (vendor, name)
