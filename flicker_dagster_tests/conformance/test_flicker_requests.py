"""Requests and configuration: what the original sends, ignores and prints."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from flicker_dagster.config.groups import Pagination, RetryConfig
from flicker_dagster.config.vendors import presets
from flicker_dagster.errors import FlickerError, RateLimited, SecretUnset
from flicker_dagster.orchestration.retries import delay_s
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster_tests.config.builders import SOURCE, entry, faults
from flicker_dagster_tests.conformance.harness import plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.conformance.twists import accepted, asked, twist

rows(
    "flicker",
    {
        29: "a 429 is asked again at the same pace: no Retry-After, no backoff",
        30: "`${VAR}` is sent literally: 401 for ever",
        31: "unknown keys are ignored: the documented destination.auth sends no token",
        34: "no User-Agent, which GitHub refuses",
        35: "no Link header, no next URL, GET only, no OAuth: Okta and GitHub cannot be read past the first page",
        41: "two sources of one name share a registry entry",
        42: "whole answers are printed to the container's log, always",
        45: "with api_key and an Authorization header both are sent",
    },
)
rows(
    "helr",
    {
        10: "the API listens on every address without a password, and shows secrets",
        14: "connectors are pages of prose, neither packaged nor versioned",
        15: "retries, 429 handling and breaker hold only where their blocks are written",
    },
)

SECRET = "canary-5f1c"


@row("flicker-29", "helr-15", behaviour="Retry-After is kept to without any key; else 1 s, 2 s, 4 s … up to 60 s")
def test_a_rate_limit_is_waited_out_without_any_setting(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(5)
        scene.vendor.faults.plan("429", retry_after="17")
        with pytest.raises(RateLimited, match="Increase polling_frequency_ms") as limited:
            scene.poll()
        assert limited.value.retry_after_s == 17
        assert [delay_s(RetryConfig(), number) for number in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
        scene.poll()
        scene.assert_each_once()


@row("flicker-30", behaviour="resolved when a request is made; an unset one is an error that names it")
def test_variables_are_resolved_when_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Authorization": "Bearer ${FLICKER_TEST_TOKEN}"}
    with plain_scene(tmp_path, headers=headers, vendor_options={"token": SECRET}) as scene:
        monkeypatch.delenv("FLICKER_TEST_TOKEN", raising=False)
        scene.emit(3)
        with pytest.raises(SecretUnset, match="FLICKER_TEST_TOKEN"):
            scene.poll()
        monkeypatch.setenv("FLICKER_TEST_TOKEN", SECRET)
        scene.poll()
        scene.assert_each_once()


@row("flicker-30", behaviour="resolved when a request is made; an unset one is an error that names it")
def test_variables_are_resolved_in_addresses_and_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with plain_scene(tmp_path) as scene:
        monkeypatch.setenv("FLICKER_TEST_VENDOR", scene.vendor.url)
        monkeypatch.setenv("FLICKER_TEST_SIEM", scene.siem.url)
        monkeypatch.setenv("FLICKER_TEST_CATEGORY", "auth")
        seen = asked(scene)
        destination = scene.source.destination.model_copy(update={"endpoint": "${FLICKER_TEST_SIEM}/siem"})
        changes = {
            "endpoint": "${FLICKER_TEST_VENDOR}/events",
            "query_params": {"category": "${FLICKER_TEST_CATEGORY}", "plan": "${FLICKER_TEST_UNSET:-free}"},
            "destination": destination,
        }
        scene.source = scene.source.model_copy(update=changes)
        scene.emit(3)
        scene.poll()
        assert {(request.query["category"], request.query["plan"]) for request in seen} == {("auth", "free")}
        scene.assert_each_once()


@row("flicker-31", behaviour="destination.auth is sent; an unknown key is an error with its line and a suggestion")
def test_the_destinations_auth_is_sent(tmp_path: Path) -> None:
    auth = {"type": "bearer", "token": SECRET}
    with plain_scene(tmp_path, siem_options={"token": SECRET}) as scene:
        scene.source = scene.source.model_validate(
            scene.source.model_dump(exclude_unset=True)
            | {"destination": {"type": "http", "endpoint": f"{scene.siem.url}/siem", "auth": auth}}
        )
        scene.emit(3)
        scene.poll()
        scene.assert_each_once()


@row("flicker-31", behaviour="destination.auth is sent; an unknown key is an error with its line and a suggestion")
def test_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, SOURCE + "    bufer_size: 50\n")
    assert fault.startswith("config.yaml:9: ")
    assert "buffer_size" in fault


@row("flicker-34", behaviour="every request names us")
def test_requests_have_a_user_agent(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        seen, bodies = asked(scene), accepted(scene)
        scene.emit(3)
        scene.poll()
        assert {request.headers["user-agent"].split("/")[0] for request in seen} == {"flicker-dagster"}
        assert {request.headers["user-agent"].split("/")[0] for request, _ in bodies} == {"flicker-dagster"}


@row(
    "flicker-35",
    "helr-14",
    behaviour="Link headers and next URLs are followed, by packaged presets; POST and OAuth are not there and refused by name",
)
def test_the_link_header_is_followed(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(paging="link")) as scene:
        scene.emit(45)
        scene.poll()
        scene.assert_each_once()
    assert {"okta", "github", "salesforce"} <= set(presets())
    assert all(preset.docs and preset.docs.startswith("https://") for preset in presets().values())


@row("flicker-35", behaviour="Link headers and next URLs are followed; presets know each vendor's own way")
@pytest.mark.parametrize("absolute", [True, False])
def test_a_next_url_in_the_body_is_followed(tmp_path: Path, absolute: bool) -> None:
    paging = Pagination(pagination_type="next_url", next_url_field="meta.next", limit_param="limit", page_size=10)
    with plain_scene(tmp_path, pagination=paging) as scene:

        def linked(request: Request, body: dict[str, Any]) -> dict[str, Any]:
            cursor = body["meta"]["next_cursor"]
            query = urlencode(request.query | {"cursor": cursor})
            next_url = f"{scene.vendor.url if absolute else ''}/events?{query}"
            return body | {"meta": {"next": next_url if cursor else None}}

        twist(scene, linked)
        scene.emit(45)
        scene.poll()
        assert scene.vendor.requests >= 5
        scene.assert_each_once()


@row("flicker-41", behaviour="refused, as are two names that make one Dagster name")
@pytest.mark.parametrize("second", ["one", "One", "o-ne", "o_ne"])
def test_two_sources_of_one_name_are_refused(tmp_path: Path, second: str) -> None:
    first = (
        SOURCE
        if second.lower() == "one"
        else SOURCE.replace("name: one", "name: o.ne" if second == "o_ne" else "name: o_ne")
    )
    told = faults(tmp_path, first + entry(second))
    assert len(told) == 1
    assert "name" in told[0]


@row("flicker-42", behaviour="answers and tokens reach no log, at any level")
def test_neither_events_nor_secrets_are_printed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    with (
        plain_scene(tmp_path, headers=headers, vendor_options={"token": SECRET}) as scene,
        caplog.at_level(logging.DEBUG),
    ):
        scene.emit(3)
        scene.poll()
        assert caplog.text, "something is logged"
        assert SECRET not in caplog.text
        assert not any(event.id in caplog.text for event in scene.vendor.emitter.emitted())


@row("flicker-42", behaviour="answers and tokens reach no log, at any level")
@pytest.mark.parametrize("spoil", ["truncated", "ndjson", "html", "cut", "500"])
def test_a_failed_poll_prints_no_event_either(tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: str) -> None:
    with plain_scene(tmp_path) as scene, caplog.at_level(logging.DEBUG):
        scene.emit(5)
        answer = scene.vendor.answer
        if spoil == "ndjson":  # where an object with an array was expected
            lines = b"\n".join(event.body for event in scene.vendor.emitter.emitted())
            scene.vendor.answer = lambda *_, **__: Response(200, lines)  # type: ignore[method-assign]
        else:
            scene.vendor.faults.plan(spoil)
        with pytest.raises(FlickerError) as failed:
            scene.poll()
        said = f"{failed.value}{caplog.text}"
        assert not any(event.id in said for event in scene.vendor.emitter.emitted())
        scene.vendor.answer = answer  # type: ignore[method-assign]
        scene.poll()
        scene.assert_each_once()


@row("flicker-45", behaviour="two ways to authenticate at once are refused, with the line")
@pytest.mark.parametrize(
    "second", ["headers: {Authorization: b}", "headers: {authorization: b}", "basic: {username: u, password: p}"]
)
def test_two_ways_to_authenticate_are_refused(tmp_path: Path, second: str) -> None:
    told = faults(tmp_path, SOURCE + f"    api_key: a\n    {second}\n")
    assert len(told) == 1
    assert "config.yaml:" in told[0]


@row(
    "helr-10",
    behaviour="the UI listens on 127.0.0.1 unless told otherwise, and templates are shown, never what they stand for",
)
def test_the_ui_is_ours_alone_and_shows_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from flicker_dagster.cli.main import cli
    from flicker_dagster.config.load import load_config
    from flicker_dagster.orchestration.factory import build_source
    from flicker_dagster.orchestration.settings import Settings

    host = next(option for option in cli.params if option.name == "host")
    assert host.default == "127.0.0.1"
    monkeypatch.setenv("TOKEN", SECRET)
    config = tmp_path / "config.yaml"
    config.write_text(SOURCE.replace("/events", "/events?key=${TOKEN}") + '    headers: {X-Key: "${TOKEN}"}\n')
    built = build_source(load_config(str(config)).sources[0], Settings(str(config)))
    spec = next(iter(built.asset.specs))
    shown = f"{spec.metadata} {spec.description} {spec.tags}"
    assert "${TOKEN}" in shown
    assert SECRET not in shown


@row(
    "flicker-35", behaviour="Link headers and next URLs are followed; POST and OAuth are not there and refused by name"
)
@pytest.mark.parametrize("key", ["method: POST", "oauth2: {client_id: a}"])
def test_requests_that_cannot_be_made_yet_are_refused_and_not_ignored(tmp_path: Path, key: str) -> None:
    (fault,) = faults(tmp_path, SOURCE + f"    {key}\n")
    assert fault.startswith("config.yaml:9: ")
    assert key.split(":")[0] in fault
