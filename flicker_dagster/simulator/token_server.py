"""A token authority on a port of its own: a token endpoint at any path, and a log-in at `/login`."""

from __future__ import annotations

from typing import Any

from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.simulator.token_authority import Minted, TokenAuthority

__all__ = ["Minted", "TokenServer"]


class TokenServer(TokenAuthority):
    """What its settings mean is said by `TokenAuthority`."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, **settings: Any) -> None:
        super().__init__(url=lambda: self.url, **settings)
        self.server = Server(self._serve, host=host, port=port, clock=lambda: self.clock())

    @property
    def url(self) -> str:
        return f"{self.server.url}/token"

    @property
    def login_url(self) -> str:
        return f"{self.server.url}/login"

    def close(self) -> None:
        self.server.close()

    def _serve(self, request: Request) -> Response:
        return self.handle_login(request) if request.path == "/login" else self.handle(request)
