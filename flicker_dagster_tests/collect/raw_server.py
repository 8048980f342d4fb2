"""A server that writes whatever bytes a test gives it, as slowly as it likes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress


class RawServer:
    """`script(connection)` serves each connection after its request's header has come, or from the very start."""

    def __init__(self, script: Callable[[socket.socket], None], *, reads_request: bool = True) -> None:
        self._script = script
        self._reads_request = reads_request
        self._over = threading.Event()
        self.heads: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while self._reads_request and b"\r\n\r\n" not in head:
                piece = connection.recv(65_536)
                if not piece:
                    return
                head += piece
            self.heads.append(head)
            self._script(connection)

    def trickle(
        self, connection: socket.socket, first: bytes, pieces: Iterable[bytes], *, every_s: float = 0.02
    ) -> None:
        """Send `first`, then piece after piece, until the pieces or this server end."""
        connection.sendall(first)
        for piece in pieces:
            if self._over.wait(every_s):
                return
            connection.sendall(piece)

    def wait(self) -> None:
        """Until the server is closed: for a script that only holds its connection."""
        self._over.wait(30)

    def close(self) -> None:
        self._over.set()
        self._listener.close()
