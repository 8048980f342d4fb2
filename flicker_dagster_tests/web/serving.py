"""An application served on a real port, by the server that `python -m flicker_dagster.web` uses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from flicker_dagster.web import server


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """Yields the port, on 127.0.0.1."""
    runs = uvicorn.Server(server.config(app, host="127.0.0.1", port=0))
    thread = threading.Thread(target=runs.run, daemon=True)
    thread.start()
    try:
        while not runs.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield runs.servers[0].sockets[0].getsockname()[1]
    finally:
        runs.should_exit = True
        thread.join(20)
