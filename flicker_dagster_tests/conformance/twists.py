"""Twists on what the plain vendor answers, for tests: its answer is altered on the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import cycle
from typing import Any

from flicker_dagster.simulator.server import Request, Response
from flicker_dagster_tests.conformance.harness import Scene


def twist(scene: Scene, change: Callable[[Request, dict[str, Any]], dict[str, Any] | None]) -> None:
    """Let `change` rewrite every decoded answer from now on; None leaves it as it was."""
    answer = scene.vendor.answer

    def twisted(request: Request, *, expired: bool) -> Response:
        response = answer(request, expired=expired)
        changed = change(request, json.loads(response.body))
        if changed is not None:
            response.body = json.dumps(changed).encode()
        return response

    scene.vendor.answer = twisted  # type: ignore[method-assign]


def always_next(scene: Scene, cursors: list[str]) -> None:
    """Offer the cursors in turn, for ever; each leads to the first page again."""
    turn = cycle(cursors)
    answer = scene.vendor.answer

    def twisted(request: Request, *, expired: bool) -> Response:
        request.query.pop("cursor", None)
        response = answer(request, expired=expired)
        body = json.loads(response.body)
        body["meta"] = {"next_cursor": next(turn), "has_more": True}
        response.body = json.dumps(body).encode()
        return response

    scene.vendor.answer = twisted  # type: ignore[method-assign]


def each_event(scene: Scene, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Let `change` rewrite every event on its way out."""

    def changed(_request: Request, body: dict[str, Any]) -> dict[str, Any]:
        body["data"]["events"] = [change(event) for event in body["data"]["events"]]
        return body

    twist(scene, changed)


def asked(scene: Scene) -> list[Request]:
    """Every request that the vendor answers from now on."""
    seen: list[Request] = []
    answer = scene.vendor.answer

    def recorded(request: Request, *, expired: bool) -> Response:
        seen.append(request)
        return answer(request, expired=expired)

    scene.vendor.answer = recorded  # type: ignore[method-assign]
    return seen


def accepted(scene: Scene) -> list[tuple[Request, bytes]]:
    """Every request that the SIEM accepts from now on, with its body unpacked."""
    seen: list[tuple[Request, bytes]] = []
    accept = scene.siem._accept

    def recorded(request: Request, body: bytes, events: list[dict[str, Any]], *, answered: bool) -> None:
        seen.append((request, body))
        accept(request, body, events, answered=answered)

    scene.siem._accept = recorded  # type: ignore[method-assign]
    return seen
