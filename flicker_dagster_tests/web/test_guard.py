"""Who may ask the web UI for what."""

from __future__ import annotations

import json

import pytest

from flicker_dagster.web import complaints
from flicker_dagster.web import guard as module
from flicker_dagster_tests.web.asgi import LOCAL, Asked, host

JSON = ("Content-Type", "application/json")
OWN = ("Origin", f"http://{LOCAL}")
EVIL = ("Origin", "http://evil.example")
QUERY = json.dumps({"query": "{ version }"}).encode()
MUTATION = json.dumps({"query": "mutation { reloadWorkspace { __typename } }"}).encode()


def test_the_ui_asks_its_own_origin() -> None:
    asked = Asked()
    own = [host(LOCAL), OWN, ("Sec-Fetch-Site", "same-origin")]
    assert asked.ask("POST", "/graphql", [*own, JSON], body=MUTATION).text == "inner"
    assert asked.ask(path="/graphql", headers=own, socket=True).status == 101
    assert asked.ask(path="/assets/okta", headers=own).text == "inner"
    assert asked.inner.bodies == [MUTATION]


@pytest.mark.parametrize(
    ("name", "origin", "status"),
    [
        ("localhost:3000", "http://localhost:3000", 200),
        ("localhost:3000", "https://localhost:3000", 200),
        ("localhost:3000", "http://localhost:3001", 403),
        ("localhost:3000", "http://localhost", 403),
        ("localhost:3000", "http://127.0.0.1:3000", 403),
        ("localhost:3000", "null", 403),
        ("localhost:3000", "", 403),
        ("localhost:3000", "file://", 403),
        ("localhost:3000", "http://localhost:3000/", 403),
        ("localhost:3000", "http://localhost:3000@evil.example", 403),
        ("localhost:3000", "http://localhost:3000.evil.example", 403),
        ("localhost:3000", "http://localhost:3000 http://evil.example", 403),
        ("localhost:3000", "chrome-extension://localhost:3000", 403),
        ("flicker.example.com", "https://flicker.example.com", 200),
        ("flicker.example.com", "https://flicker.example.com:443", 200),
        ("flicker.example.com:80", "http://flicker.example.com", 200),
        ("flicker.example.com", "https://flicker.example.com:8443", 403),
        ("flicker.example.com", "https://example.com", 403),
        ("[::1]:3000", "http://[::1]:3000", 200),
    ],
)
def test_an_origin_must_be_the_host_that_is_asked(name: str, origin: str, status: int) -> None:
    asked = Asked(allowed=("flicker.example.com",))
    headers = [host(name), ("Origin", origin)]
    assert asked.ask("POST", "/graphql", [*headers, JSON], body=QUERY).status == status
    assert asked.ask("GET", "/", headers).status == status
    assert asked.ask(path="/graphql", headers=headers, socket=True).status == (101 if status == 200 else 403)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Same-Origin", "", "same-origin, cross-site"])
def test_a_page_of_another_site_or_port_gets_nothing(site: str) -> None:
    asked = Asked()
    told = [host(LOCAL), ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")]
    for path in ("/", "/graphql", "/server_info", "/logs/x.out", "/download_debug/x", "/assets/okta"):
        assert asked.ask(path=path, headers=told).status == 403
    assert asked.ask("POST", "/graphql", [*told, JSON], body=MUTATION).status == 403
    assert asked.ask(path="/graphql", headers=told, socket=True).status == 403
    assert asked.inner.reached == []


@pytest.mark.parametrize(
    ("path", "method", "dest", "status"),
    [
        ("/", "GET", "document", 200),
        ("/runs/b/abc", "GET", "document", 200),
        ("/assets/okta", "GET", "iframe", 403),
        ("/graphql", "GET", "document", 403),
        ("/logs/run/x.out", "GET", "document", 403),
        ("/download_debug/x", "GET", "document", 403),
        ("/notebook", "GET", "document", 403),
        ("/server_info", "GET", "document", 403),
        ("/assets/okta", "POST", "document", 403),
    ],
)
def test_a_link_on_another_site_opens_a_page_and_nothing_else(path: str, method: str, dest: str, status: int) -> None:
    followed = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", dest)]
    assert Asked().ask(method, path, [host(LOCAL), *followed, JSON]).status == status


@pytest.mark.parametrize("query", ["query={version}", "query=mutation{reloadWorkspace{__typename}}", "x"])
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_graphql_by_get_is_refused(query: str, accept: str, method: str) -> None:
    asked = Asked()
    assert asked.ask(method, "/graphql", [host(LOCAL), ("Accept", accept)], query=query).status == 405
    assert asked.inner.reached == []


def test_the_playground_is_a_page_that_asks_nothing_by_itself() -> None:
    assert Asked().ask("GET", "/graphql", [host(LOCAL), ("Accept", "text/html,*/*")]).text == "inner"
    assert Asked().ask("GET", "/graphql", [host(LOCAL)]).status == 405


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/plain; application/json",
        "text/plain;charset=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/graphql",
        "application/json, text/plain",
        "application/json; x=text/plain",
        "application/json; charset=utf-7",
        "application/jsonp",
        "application/json\x00",
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/report_asset_materialization/okta_audit_logs"])
def test_what_a_form_could_send_is_not_taken_for_json(content_type: str | None, path: str) -> None:
    asked = Asked()
    headers = [host(LOCAL), *([] if content_type is None else [("Content-Type", content_type)])]
    answer = asked.ask("POST", path, headers, query="query=mutation{x}", body=MUTATION)
    assert answer.status == 415
    assert "application/json" in answer.text
    assert asked.inner.reached == []


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", 'application/json;charset="UTF-8"']
)
def test_json_is_taken_from_a_script_that_names_no_origin(content_type: str) -> None:
    asked = Asked()
    assert asked.ask("POST", "/graphql", [host(LOCAL), ("Content-Type", content_type)], body=QUERY).status == 200
    assert (
        asked.ask("POST", "/report_asset_check/a", [host(LOCAL), ("Content-Type", content_type)], body=b"{}").status
        == 200
    )
    assert asked.ask(path="/graphql", headers=[host(LOCAL)], socket=True).status == 101


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND", "POST"])
def test_other_methods_and_places_are_not_served(method: str) -> None:
    asked = Asked()
    assert asked.ask(method, "/assets/okta", [host(LOCAL), JSON]).status == 405
    assert asked.ask(path="/", headers=[host(LOCAL)], socket=True).status == 403
    assert asked.inner.reached == []


@pytest.mark.parametrize("name", ["Origin", "Content-Type", "Sec-Fetch-Site", "Content-Length"])
def test_a_header_given_twice_is_malformed(name: str) -> None:
    value = {"Origin": OWN[1], "Content-Type": JSON[1], "Sec-Fetch-Site": "same-origin", "Content-Length": "2"}[name]
    asked = Asked()
    assert asked.ask("POST", "/graphql", [host(LOCAL), (name, value), (name, value)], body=b"{}").status == 400


def test_two_lengths_are_malformed() -> None:
    both = [("Transfer-Encoding", "chunked"), ("Content-Length", "2")]
    assert Asked().ask("POST", "/graphql", [host(LOCAL), JSON, *both], body=b"{}").status == 400


@pytest.mark.parametrize("announced", [None, "2"])
def test_a_body_is_counted_whatever_it_announces(monkeypatch: pytest.MonkeyPatch, announced: str | None) -> None:
    monkeypatch.setattr(module, "BODY_BYTES", 100)
    asked = Asked()
    headers = [host(LOCAL), JSON, *([("Content-Length", announced)] if announced else [])]
    assert asked.ask("POST", "/graphql", headers, body=[b"x" * 60, b"x" * 60, b"x"]).status == 413
    assert asked.ask("POST", "/graphql", headers, body=[b"x" * 60, b"x" * 40]).status == 200
    assert asked.inner.bodies == [b"x" * 100]


def test_a_body_that_does_not_come_is_not_waited_for_for_ever() -> None:
    assert Asked(body_s=0.05).ask("POST", "/graphql", [host(LOCAL), JSON], body=[]).status == 408


@pytest.mark.parametrize("name", ["evil.example", "10.1.2.3:3000", "", "localhost"])
def test_probes_are_answered_to_anybody_and_say_nothing_more(name: str) -> None:
    evil = [host(name), EVIL, ("Sec-Fetch-Site", "cross-site")]
    assert (Asked().ask(path="/healthz", headers=evil).text, Asked().ask(path="/readyz", headers=evil).text) == (
        "ok\n",
        "ready\n",
    )
    ill = Asked(is_ready=False)
    answer = ill.ask(path="/readyz", headers=evil)
    assert (answer.status, answer.text) == (503, "not ready\n")
    assert ill.ask(path="/healthz", headers=[]).status == 200
    assert ill.ask("POST", "/readyz", evil).status == 405
    assert ill.inner.reached == []


def test_read_only_lets_questions_through_and_no_change() -> None:
    asked = Asked(read_only=True)
    headers = [host(LOCAL), OWN, JSON]
    assert asked.ask("POST", "/graphql", headers, body=QUERY).status == 200
    many = {"query": 'query A { version } mutation B { deleteRun(runId: "x") { __typename } }', "operationName": "A"}
    for body in (MUTATION, json.dumps(many).encode(), MUTATION.decode().encode("utf-16")):
        answer = asked.ask("POST", "/graphql", headers, body=body)
        assert (answer.status, "read-only" in answer.text) == (403, True)
    for body in (b"", b"[]", b"{}", b'{"query": 5}', b'{"query": "{"}', b'{"query": "' + b"{a" * 50_000 + b'"}'):
        assert asked.ask("POST", "/graphql", headers, body=body).status == 400
    assert asked.ask("POST", "/report_asset_materialization/a", headers, body=b"{}").status == 403
    assert asked.inner.reached == ["/graphql"]


def test_a_request_that_dagsters_ui_fails_at_is_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object) -> None:
        raise AttributeError("'list' object\nhas no attribute 'get'")

    asked = Asked()
    monkeypatch.setattr(asked.guard, "_app", failing)
    with caplog.at_level("INFO"):
        for _ in range(3):
            asked.ask("POST", "/graphql", [host(LOCAL), OWN, JSON], body=b"[]")
        asked.ask()
    [line] = [record.getMessage() for record in caplog.records]
    assert "'/graphql': \"AttributeError: 'list' object\\nhas no attribute 'get'\"" in line


def test_every_answer_carries_the_headers_that_keep_other_sites_out() -> None:
    for answer in (Asked().ask(), Asked().ask(headers=[host("evil.example")]), Asked().ask(path="/healthz")):
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert Asked().ask().headers["x-inner"] == "1"


def test_refusals_of_a_kind_are_one_log_line_now_and_then_with_foreign_text_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(complaints.log, "warning", lambda line, *of: lines.append(line % of))
    asked = Asked()
    for _ in range(50):
        asked.ask("GET", "/\x1b[2J\nERROR forged", [host(LOCAL), EVIL])
    asked.ask(headers=[host("evil.example")])
    assert len(lines) == 2
    assert "http://evil.example" in lines[0]
    assert not any(ord(char) < 32 for line in lines for char in line)
    assert "--allow-host evil.example" in lines[1]
