"""What no dialect shows: other shapes, counted pages, bodies, cursors that stand alone, names that have to be tried, doubts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from click.testing import CliRunner

from flicker_dagster.cli.main import cli
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.times import parse_time_ms
from flicker_dagster_tests.infer.vendor_rows import ROWS
from flicker_dagster_tests.infer.worlds import World, by_cursor, number, source_of


def paged(request: Request) -> Response:
    page, size = number(request, "page", 1), number(request, "per_page", 5)
    rows = ROWS[(page - 1) * size : page * size]
    return Response.json({"count": len(ROWS), "total": len(ROWS), "events": rows})


def skipped(request: Request) -> Response:
    skip = number(request, "skip", 0)
    return Response.json({"value": ROWS[skip : skip + number(request, "$top", 5)]})


def test_page_numbers_are_counted(world: World) -> None:
    world.answer = paged
    done, block = world.infer("/audit?page=1&per_page=5")
    assert done.exit_code == 0, done.output
    paging = source_of(block)["paging"]
    assert paging == {
        "page_size": 5,
        "limit": {"at": "per_page"},
        "page": {"at": "page"},
        "first_page": 1,
        "total": {"at": "total"},
    }


def test_offsets_are_counted(world: World) -> None:
    world.answer = skipped
    _, block = world.infer("/audit?skip=0&$top=5")
    assert source_of(block)["paging"] == {"page_size": 5, "limit": {"at": "$top"}, "offset": {"at": "skip"}}


def test_a_cursor_that_is_taken_alone_and_in_the_body_is_found(world: World) -> None:
    def answer(request: Request) -> Response:
        asked = json.loads(request.body)
        if "cursor" in asked and len(asked) > 1:
            return Response.json({"error": "cursor only"}, 400)
        begin = int(asked.get("cursor", "c0")[1:])
        page = ROWS[begin : begin + 5]
        return Response.json({"items": page, "cursor": f"c{begin + 5}", "has_more": begin + 5 < len(ROWS)})

    world.answer = answer
    body = json.dumps({"limit": 5, "start_time": "2026-05-02T00:00:00Z"})
    done, block = world.infer("/audit", "--body", body)
    source = source_of(block)
    assert source["request"] == {"method": "POST", "start": {"into": "json", "at": "start_time"}} | {
        key: value for key, value in source["request"].items() if key == "body"
    }, done.output
    assert source["paging"]["cursor"] == {"into": "json", "at": "cursor"}
    assert source["paging"]["repeats"] == "none"


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("\n".join(map(json.dumps, ROWS)), "ndjson"),
        ("id,actor,time\n" + "\n".join(f"{row['id']},{row['actor']},{row['time']}" for row in ROWS), "csv"),
        (json.dumps({"data": {row["id"]: row for row in ROWS}}), "map"),
    ],
)
def test_other_shapes_are_found(world: World, body: str, shape: str) -> None:
    world.answer = lambda _: Response(200, body.encode(), [("Content-Type", "text/plain")])
    done, block = world.infer("/audit")
    source = source_of(block)
    assert done.exit_code == 0, done.output
    assert (source["rows"]["shape"], source["id_field"], source["timestamp_field"]) == (shape, "id", "time")


def test_where_all_came_at_once_fewer_are_asked_for(world: World) -> None:
    world.answer = by_cursor
    told = world.lines("/audit?limit=50")
    assert told["second_page"], told
    assert {"key": "paging.cursor", "value": {"at": "after"}}.items() <= next(
        line for line in told["lines"] if line["key"] == "paging.cursor"
    ).items()


def test_likely_names_are_tried_only_where_somebody_asks_for_it(world: World) -> None:
    asked: list[dict[str, str]] = []

    def answer(request: Request) -> Response:
        asked.append(request.query)
        since_ms = parse_time_ms(request.query.get("startTime", "2000-01-02T00:00:00Z"))
        return Response.json([row for row in ROWS if (parse_time_ms(row["time"]) or 0) >= (since_ms or 0)])

    world.answer = answer
    _, block = world.infer("/audit")
    assert asked == [{}]
    assert "request" not in source_of(block)
    _, block = world.infer("/audit", "--try")
    assert source_of(block)["request"] == {"start": {"at": "startTime"}}
    assert source_of(block)["time_filter_format"] == "rfc3339"


def test_a_parameter_that_is_not_heeded_stays_a_guess(world: World) -> None:
    world.answer = lambda _: Response.json(ROWS)
    told = world.lines("/audit?since=2026-05-02T00:00:00Z")
    [start] = [line for line in told["lines"] if line["key"] == "request.start"]
    assert start["sure"] == "guess"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"events": []}, "no events (there is nothing in events)"),
        ({"ok": True}, "no events: it is 12 bytes of JSON with the names ok"),
        ([{"id": 1, "name": "x"}, {"id": 2, "name": "y"}], "No member of the events is a time"),
    ],
)
def test_what_cannot_be_found_is_said(world: World, answer: Any, said: str) -> None:
    world.answer = lambda _: Response.json(answer)
    done, _ = world.infer("/audit")
    assert done.exit_code == 1
    assert said in done.output


def test_a_refusal_is_told_with_advice_and_without_the_secret(world: World) -> None:
    world.answer = lambda _: Response.json({"message": "bad token s3cr3t-t0ken-of-ours"}, 401)
    done, _ = world.infer("/audit", "-H", "Authorization: Bearer s3cr3t-t0ken-of-ours")
    assert done.exit_code == 1
    assert "HTTP 401" in done.output
    assert "without quotes and blanks" in done.output
    assert "s3cr3t" not in done.output


def test_a_vendor_that_asks_to_wait_is_asked_no_more(world: World) -> None:
    answers = iter([Response.json({"events": ROWS[:5], "next_cursor": "x"})])
    world.answer = lambda _: next(answers, Response.json({}, 429, [("Retry-After", "60")]))
    told = world.lines("/audit?limit=5")
    assert told["requests"] == 2
    assert any("ended early" in doubt for doubt in told["doubts"])


def test_variables_stay_variables_and_values_become_them(world: World) -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("authorization", ""))
        return paged(request)

    world.answer = answer
    _, block = world.infer("/audit?page=1", "--bearer", "MY_TOKEN", env={"MY_TOKEN": "abcdefgh"})
    assert source_of(block)["auth"] == {"type": "bearer", "token": "${MY_TOKEN}"}
    assert set(seen) == {"Bearer abcdefgh"}
    done, block = world.infer("/audit?page=1&api_token=verysecret")
    assert source_of(block)["query_params"] == {"api_token": "${API_TOKEN}"}
    assert "verysecret" not in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--bearer", "ey.secret.value"], "not the secret itself"),
        (["--body", "{"], "--body is not JSON"),
        (["--body", "@/nowhere"], "cannot be read"),
        (["-H", "nonsense"], "expected NAME:VALUE"),
    ],
)
def test_mistakes_are_one_line(world: World, options: list[str], said: str) -> None:
    done, _ = world.infer("/audit", *options)
    assert done.exit_code == 2
    assert said in done.output
    assert "ey.secret.value" not in done.output


def test_every_line_that_says_how_sure_it_is_is_counted(world: World) -> None:
    world.answer = paged
    done, _ = world.infer("/audit?per_page=5")
    counts = [len(re.findall(rf"(?m)(?<=  )# {sure}: ", done.stdout)) for sure in ("sure", "probable", "guess")]
    assert counts[2] >= 2, "polling and lookback are guesses always"
    assert "lines: {} sure, {} probable, {} guess".format(*counts) in " ".join(done.stderr.split())


def test_a_refusal_and_what_to_do_are_two_sentences(world: World) -> None:
    world.answer = lambda _: Response.json({"error": "no"}, 401)
    done, _ = world.infer("/audit", "-H", "Authorization: Bearer of-nobody")
    assert re.search(r"\. The vendor does not know these credentials", done.output)


def test_a_known_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    done = CliRunner().invoke(cli, ["infer", "https://acme.okta.com/api/v1/logs"])
    assert "flicker add okta" in done.output
