"""A guard around an application that only remembers what reached it, asked without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flicker_dagster.web.guard import Guard
from flicker_dagster.web.hosts import parse_allowed

LOCAL = "localhost:3000"

Headers = Iterable[tuple[str, str]]


@dataclass
class Inner:
    """Stands for Dagster's application: answers 200 to everything, and remembers bodies and paths."""

    reached: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached.append(scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        if scope["method"] == "POST":
            self.bodies.append((await receive())["body"])
        headers = [(b"x-inner", b"1"), (b"referrer-policy", b"unsafe-url")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"inner"})


@dataclass
class Answer:
    status: int = 0
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """A guard and what stands behind it."""

    allowed: tuple[str, ...] = ()
    read_only: bool = False
    is_ready: bool = True
    body_s: float = 5.0
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        async def ready() -> bool:
            return self.is_ready

        allowed = [parse_allowed(each) for each in self.allowed]
        self.guard = Guard(self.inner, ready=ready, allowed=allowed, read_only=self.read_only, body_s=self.body_s)

    def ask(
        self,
        method: str = "GET",
        path: str = "/",
        headers: Headers = (("Host", LOCAL),),
        *,
        query: str = "",
        body: bytes | list[bytes] = b"",
        socket: bool = False,
    ) -> Answer:
        """One request; a body given as a list comes in parts, and a list that is empty never comes."""
        scope: dict[str, Any] = {
            "type": "websocket" if socket else "http",
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        }
        if not socket:
            scope["method"] = method
        parts = [body] if isinstance(body, bytes) else list(body)
        answer = Answer()

        async def receive() -> dict[str, Any]:
            if socket:
                return {"type": "websocket.connect"}
            if not parts:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            elif message["type"] == "http.response.body":
                answer.text += message.get("body", b"").decode()
            elif message["type"] == "websocket.accept":
                answer.status = 101
            else:
                answer.status, answer.text = 403, message.get("reason", "")

        asyncio.run(self.guard(scope, receive, send))
        return answer


def host(name: str) -> tuple[str, str]:
    return ("Host", name)
