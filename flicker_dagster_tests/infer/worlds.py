"""A vendor whose answers a test says, and `flicker infer` in front of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import yaml
from click.testing import CliRunner, Result

from flicker_dagster.cli.main import cli
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.times import parse_time_ms
from flicker_dagster_tests.infer.vendor_rows import ROWS


class World:
    """A vendor whose answer each test says, and the command."""

    def __init__(self) -> None:
        self.answer: Callable[[Request], Response] = lambda _: Response.json({})
        self.server = Server(lambda request: self.answer(request))

    def infer(self, path: str, *options: str, env: dict[str, str] | None = None) -> tuple[Result, dict[str, Any]]:
        done = CliRunner().invoke(
            cli, ["infer", f"{self.server.url}{path}", *options], env={"COLUMNS": "100", **(env or {})}
        )
        return done, yaml.safe_load(done.stdout or "{}") or {}

    def lines(self, path: str, *options: str) -> dict[str, Any]:
        done = CliRunner().invoke(cli, ["infer", f"{self.server.url}{path}", "--json", *options], env=dict(os.environ))
        return json.loads(done.stdout)


def source_of(block: dict[str, Any]) -> dict[str, Any]:
    [source] = block["api_sources"]
    return source


def said(told: dict[str, Any]) -> str:
    """What an inquiry does not know."""
    return " ".join(told["doubts"])


def by_cursor(request: Request) -> Response:
    """All rows, a hundred at once unless fewer are asked for; the cursor is where the next page begins."""
    size, begin = number(request, "limit", 100), number(request, "after", 0)
    following = {"next_cursor": str(begin + size)} if begin + size < len(ROWS) else {}
    return Response.json({"events": ROWS[begin : begin + size], **following})


def number(request: Request, name: str, default: int) -> int:
    return int(request.query.get(name, default))


def since(request: Request, rows: list[dict[str, Any]], name: str = "since") -> list[dict[str, Any]]:
    """The rows that a parameter asks for."""
    start_ms = parse_time_ms(request.query.get(name)) or 0
    return [row for row in rows if (parse_time_ms(row["time"]) or 0) >= start_ms]
