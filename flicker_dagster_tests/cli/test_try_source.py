"""`flicker test SOURCE`: what a look at a vendor tells, and what to do about what failed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from flicker_dagster.cli.main import cli
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.simulator.vendors.github import GitHub
from flicker_dagster.simulator.vendors.okta import Okta
from flicker_dagster.simulator.vendors.salesforce import Salesforce

TOKEN = "very-secret-token-of-ours"


class Scene:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {"COLUMNS": "200", "TOKEN": TOKEN}

    def run(self, name: str, *options: str, **keys: Any) -> Result:
        raw = {
            "name": "one",
            "polling_frequency_ms": 30_000,
            "timestamp_field": "published",
            "headers": {"Authorization": "SSWS ${TOKEN}"},
            "destination": {"type": "stdout"},
            **keys,
        }
        return CliRunner().invoke(cli, self.written(raw, *options, name=name), env=self.env)

    def written(self, raw: dict[str, Any], *options: str, name: str = "one") -> list[str]:
        """The command that tests a source, which is in the file now."""
        path = self.home / "config.yaml"
        path.write_text(yaml.safe_dump({"api_sources": [raw]}, sort_keys=False))
        return ["-c", str(path), "--work-dir", str(self.home / "work"), "test", name, *options]

    def told(self, **keys: Any) -> dict[str, Any]:
        done = self.run("one", "--json", **keys)
        [stream] = json.loads(done.stdout)["streams"]
        assert done.exit_code == (0 if stream["good"] else 1)
        assert TOKEN not in done.output
        return stream


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def okta() -> Iterator[Okta]:
    with_history = Okta(token=TOKEN, history_s=600)
    yield with_history
    with_history.close()


def endpoint(okta: Okta) -> dict[str, Any]:
    return {"vendor": "okta", "endpoint": f"{okta.url}/api/v1/logs"}


def test_it_tells_status_quota_newest_event_and_clock(scene: Scene, okta: Okta) -> None:
    told = scene.told(**endpoint(okta))
    emitted = okta.emitter.emitted()
    assert (told["status"], told["events"], told["requests"]) == (200, len(emitted), 1)
    assert told["newest"].startswith(time.strftime("%Y-%m-", time.gmtime()))
    assert told["clock_ahead_ms"] == 0
    [quota] = told["quotas"]
    assert (quota["remaining"], quota["limit"]) == (5999, 6000)


def test_it_shows_no_event_and_no_secret(scene: Scene, okta: Okta) -> None:
    done = scene.run("one", **endpoint(okta))
    assert done.exit_code == 0, done.output
    event = json.loads(okta.emitter.emitted()[-1].body)
    for words in (TOKEN, event["uuid"], event["displayMessage"], event["actor"]["alternateId"]):
        assert words not in done.output
    for words in ("one answers", "config.yaml:2", "HTTP 200", "5,999 of 6,000 left", "as ours"):
        assert words in done.output


def test_where_the_last_hour_is_empty_the_last_week_is_looked_at(scene: Scene) -> None:
    github = GitHub(token=TOKEN)
    github.emitter.emit(1, at_ms=int(time.time() * 1000) - 3 * 86_400_000)
    headers = {"Authorization": "Bearer ${TOKEN}"}
    told = scene.told(vendor="github", endpoint=f"{github.url}/orgs/acme/audit-log", headers=headers)
    github.close()
    assert (told["events"], told["requests"]) == (1, 2)


@pytest.mark.parametrize(
    ("keys", "said", "fix"),
    [
        ({"headers": {"Authorization": "SSWS wrong"}}, "HTTP 401", "without quotes and blanks"),
        ({"headers": {"Authorization": "SSWS ${UNSET_HERE}"}}, "UNSET_HERE", "Set the variable"),
        ({"endpoint": "http://127.0.0.1:9/api/v1/logs"}, "Connection refused", "Nothing listens there"),
        ({"endpoint": "https://nowhere.invalid/api/v1/logs"}, "not known to DNS", "typing errors"),
        ({"path": "/elsewhere"}, "HTTP 404", "the account's name"),
        ({"vendor": "generic", "results_field": "nothing.here"}, "expected an object", "correct `results_field`"),
        ({"vendor": "generic", "timestamp_field": "nothing.here", "pagination": {"pagination_type": "none"}},
         "timestamp_field", "correct `timestamp_field`"),
    ],
)  # fmt: skip
def test_each_failure_is_explained(scene: Scene, okta: Okta, keys: dict[str, Any], said: str, fix: str) -> None:
    path = keys.pop("path", "/api/v1/logs")
    told = scene.told(**{**endpoint(okta), "endpoint": f"{okta.url}{path}", **keys})
    assert said in told["said"]
    assert fix in told["fix"]


def test_tls_where_there_is_none_is_explained(scene: Scene, okta: Okta) -> None:
    told = scene.told(**{**endpoint(okta), "endpoint": okta.url.replace("http:", "https:") + "/api/v1/logs"})
    assert "TLS" in told["said"]
    assert "http://" in told["fix"] or "tls" in told["fix"]


def test_a_proxy_that_is_not_there_is_named(scene: Scene) -> None:
    scene.env |= {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    told = scene.told(vendor="okta", endpoint="https://acme.okta.example/api/v1/logs")
    assert "HTTPS_PROXY" in told["fix"] or "proxy" in told["said"].lower()


def test_a_quota_that_is_used_up_is_waited_for_and_nothing_is_to_be_created(scene: Scene, okta: Okta) -> None:
    okta.faults.plan("429", count=None, retry_after="120")
    told = scene.told(**endpoint(okta))
    assert "asks to wait 120 s" in told["said"]
    assert told["fix"].startswith("Try again when the wait is over")
    assert "flicker vendors show" not in told["fix"]


@pytest.mark.parametrize(
    ("fault", "fix"), [("html", "Something else answers"), ("truncated", "was cut off on its way")]
)
def test_an_answer_that_is_none_is_explained(scene: Scene, okta: Okta, fault: str, fix: str) -> None:
    okta.faults.plan(fault, count=None)
    assert fix in scene.told(**endpoint(okta))["fix"]


def test_where_the_endpoint_is_told_with_a_token_that_is_refused_no_defect_is_told(scene: Scene) -> None:
    salesforce = Salesforce()
    params = {**salesforce.params, "client_secret": "of-nobody-at-all"}
    done = CliRunner().invoke(cli, scene.written({
        "name": "one", "vendor": "salesforce", "params": params, "connect_to": {"*": salesforce.url},
        "destination": {"type": "stdout"},
    }), env=scene.env)  # fmt: skip
    salesforce.close()
    assert done.exit_code == 1
    assert "the request cannot be signed" in done.output
    assert "internal error" not in done.output
    assert "No token could be had" in done.output


@pytest.mark.parametrize(("status", "fix"), [(429, "try again in some minutes"), (503, "a fault of its own")])
def test_a_token_endpoint_that_is_busy_is_no_wrong_credential(scene: Scene, status: int, fix: str) -> None:
    server = answering(lambda _: Response.json({"error": "not now"}, status))
    auth = {"type": "oauth2_client_credentials", "token_url": f"{server.url}/token"}
    auth |= {"client_id": "ours", "client_secret": "${TOKEN}"}
    told = scene.told(vendor="generic", endpoint=f"{server.url}/log", headers={}, auth=auth)
    server.close()
    assert fix in told["fix"], told


def answering(answer: Callable[[Request], Response]) -> Server:
    return Server(answer)


def test_a_missing_right_is_named_where_the_refusal_tells(scene: Scene) -> None:
    headers = [("X-OAuth-Scopes", "repo"), ("X-Accepted-OAuth-Scopes", "read:audit_log")]
    server = answering(lambda _: Response.json({"message": "Must have admin rights"}, 403, headers))
    told = scene.told(vendor="github", endpoint=f"{server.url}/orgs/acme/audit-log")
    server.close()
    assert (told["rights"], told["missing"]) == (["repo"], ["read:audit_log"])
    assert "give them the right" in told["fix"]


def test_a_clock_that_is_wrong_is_told(scene: Scene) -> None:
    okta = Okta(token=TOKEN, clock=lambda: time.time() - 3600)
    done = scene.run("one", **endpoint(okta))
    okta.close()
    assert "59 min 59 s behind ours" in done.output or "1 h behind ours" in done.output
    assert "NTP" in done.output


def test_all_streams_of_a_source_are_asked_or_the_one_that_is_named(scene: Scene) -> None:
    github = GitHub(token=TOKEN, history_s=600)
    keys = {
        "vendor": "generic",
        "endpoint": f"{github.url}/orgs/acme/audit-log",
        "headers": {"Authorization": "Bearer ${TOKEN}"},
        "timestamp_field": "@timestamp",
        "pagination": {"pagination_type": "link_header"},
        "streams": {"web": {"query_params": {"include": "web"}}, "git": {"headers": {"Authorization": "Bearer wrong"}}},
    }
    both = scene.run("one", **keys)
    assert both.exit_code == 1
    assert "one/web answers" in both.output
    assert "one/git fails" in both.output
    assert scene.run("one/web", **keys).exit_code == 0
    github.close()


def of_streams(server: Server, **keys: Any) -> dict[str, Any]:
    streams = {name: {"endpoint": f"{server.url}/{name}"} for name in "abc"}
    return {"vendor": "generic", "endpoint": f"{server.url}/", "timestamp_field": "at", "streams": streams, **keys}


class Counting:
    """A vendor of three listings, whose answer to each a test says, and what it was asked."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self.asked: list[str] = []
        self._answer = answer
        self.server = Server(self._counted)

    def _counted(self, request: Request) -> Response:
        self.asked.append(request.path)
        return self._answer(request)


def refusing(status: int) -> Callable[[Request], Response]:
    return lambda _: Response.json({"message": "no such token"}, status)


def test_refused_credentials_are_told_once_and_not_sent_again(scene: Scene) -> None:
    vendor = Counting(refusing(401))
    done = scene.run("one", **of_streams(vendor.server))
    told = json.loads(scene.run("one", "--json", **of_streams(vendor.server)).stdout)["streams"]
    vendor.server.close()
    assert done.exit_code == 1
    assert vendor.asked == ["/a"] * 2
    assert done.output.count("HTTP 401") == 1
    assert "one/b, one/c" in done.output
    assert [each["good"] for each in told] == [False] * 3
    assert [each["requests"] for each in told] == [1, 0, 0]
    assert "refused for one/a" in told[1]["said"]


def test_a_missing_right_of_one_stream_leaves_the_others_asked(scene: Scene) -> None:
    vendor = Counting(refusing(403))
    scene.run("one", **of_streams(vendor.server))
    vendor.server.close()
    assert vendor.asked == ["/a", "/b", "/c"]


def test_a_stream_with_credentials_of_its_own_is_asked(scene: Scene) -> None:
    vendor = Counting(refusing(401))
    keys = of_streams(vendor.server)
    keys["streams"]["b"]["headers"] = {"Authorization": "SSWS another"}
    scene.run("one", **keys)
    vendor.server.close()
    assert vendor.asked == ["/a", "/b"]


def test_credentials_that_another_stream_was_answered_with_are_not_given_up(scene: Scene) -> None:
    vendor = Counting(
        lambda request: Response.json([]) if request.path == "/a" else Response.json({"message": "not this"}, 401)
    )
    scene.run("one", **of_streams(vendor.server))
    vendor.server.close()
    assert list(dict.fromkeys(vendor.asked)) == ["/a", "/b", "/c"]


def test_a_variable_that_is_not_set_is_told_once(scene: Scene) -> None:
    vendor = Counting(refusing(401))
    done = scene.run("one", **of_streams(vendor.server, headers={"Authorization": "SSWS ${NOT_SET_AT_ALL}"}))
    vendor.server.close()
    assert vendor.asked == []
    assert done.output.count("${NOT_SET_AT_ALL}") <= 2, done.output
    assert "one/b, one/c" in done.output


def test_an_unknown_source_is_one_line(scene: Scene, okta: Okta) -> None:
    done = scene.run("onne", **endpoint(okta))
    assert done.exit_code == 2
    assert "did you mean one?" in done.output
