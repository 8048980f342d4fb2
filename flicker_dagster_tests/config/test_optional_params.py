"""Parameters of a preset that need not be given: what stands for nothing but one of them is left out then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendor_blocks import block_of
from flicker_dagster.config.vendor_pages import page
from flicker_dagster.config.vendors import Param, Preset, presets
from flicker_dagster_tests.builders import know
from flicker_dagster_tests.config.builders import faults, load

BY_NAME = """api_sources:
  - name: one
    vendor: acme
    params: PARAMS
    destination: {type: stdout}
"""
REGION = Param("the account's region", example="eu-1", pattern="[a-z0-9-]+", optional=True)


def acme(**source: Any) -> Preset:
    below = {"endpoint": "https://api.example.com", "polling_frequency_ms": 1000, "timestamp_field": "time"}
    return Preset("acme", "Acme", "https://docs.example.com", {**below, **source}, params={"region": REGION})


def source(folder: Path, params: str, **more: str) -> SourceConfig:
    (found,) = load(
        folder, BY_NAME.replace("PARAMS", params) + "".join(f"    {k}: {v}\n" for k, v in more.items())
    ).sources
    return found


@pytest.mark.parametrize("params", ["{}", "{region: }"])
def test_what_stands_for_nothing_else_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: str) -> None:
    body = {"filter": {"region": "${param:region}", "all": True}, "regions": ["${param:region}", "all"]}
    know(
        monkeypatch,
        acme(
            headers={"X-Region": "${param:region}", "Accept": "text/plain"},
            query_params={"region": "${param:region}", "sort": "asc"},
            request={"method": "POST", "body": body},
        ),
    )
    found = source(tmp_path, params)
    assert found.headers == {"Accept": "text/plain"}
    assert found.query_params == {"sort": "asc"}
    assert found.request.body == {"filter": {"all": True}, "regions": ["all"]}
    given = source(tmp_path, "{region: eu-1}")
    assert given.headers["X-Region"] == given.query_params["region"] == "eu-1"
    assert given.request.body == {"filter": {"region": "eu-1", "all": True}, "regions": ["eu-1", "all"]}


def test_what_the_user_writes_in_its_place_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, acme(headers={"X-Region": "${param:region}"}))
    assert source(tmp_path, "{}", headers="{X-Region: us-2}").headers == {"X-Region": "us-2"}


@pytest.mark.parametrize(
    "keys", [{"endpoint": "https://${param:region}.example.com"}, {"headers": {"X-${param:region}": "on"}}]
)
def test_within_a_text_it_has_to_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    know(monkeypatch, acme(**keys))
    assert faults(tmp_path, BY_NAME.replace("PARAMS", "{}")) == [
        "config.yaml:4: api_sources[0].params.region: is missing, and stands within a text of the preset that cannot be left "
        "out; expected the account's region such as eu-1"
    ]
    assert source(tmp_path, "{region: eu-1}").vendor == "acme"


def test_one_of_another_form_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, acme(headers={"X-Region": "${param:region}"}))
    (fault,) = faults(tmp_path, BY_NAME.replace("PARAMS", "{region: 'E U'}"))
    assert "params.region: found 'E U' of another form, expected the account's region such as eu-1" in fault


def test_blocks_and_pages_say_that_it_need_not_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = acme(headers={"X-Region": "${param:region}"})
    know(monkeypatch, preset)
    assert block_of(preset).splitlines()[2:5] == [
        "  # params:",
        "    # The account's region; need not be given",
        "    # region: eu-1",
    ]
    assert "| `region` | the account's region |  | `eu-1` | need not be given |" in page(preset)


def test_no_parameter_is_optional_and_has_a_default() -> None:
    params = [param for preset in presets().values() for param in preset.params.values()]
    assert not [param for param in params if param.optional and param.default is not None]


def test_the_organisation_of_a_jumpcloud_administrator_is_a_header(tmp_path: Path) -> None:
    text = BY_NAME.replace("acme", "jumpcloud")
    (plain,) = load(tmp_path, text.replace("PARAMS", "{api_key: '${KEY}'}")).sources
    assert plain.headers == {}
    organisation = "5e1f00a1b2c3d4e5f6a7b8c9"
    (of_one,) = load(tmp_path, text.replace("PARAMS", f"{{api_key: '${{KEY}}', org_id: {organisation}}}")).sources
    assert of_one.headers == {"x-org-id": organisation}
