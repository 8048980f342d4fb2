"""An S3 server of a few operations whose conditions can be spoilt, for what no honest server shows."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from flicker_dagster.simulator.server import read_exactly

#: What can be wrong with it.
FAULTS = (
    "no If-None-Match", "no If-Match", "weak", "no ETag", "other ETag", "501", "400", "403 PUT", "403 GET", "403 DELETE",
    "403 LIST", "503", "stale", "If-Match refused",
)  # fmt: skip


class ObjectStore:
    """Objects by path. `faults` are those of FAULTS that hold now; `asked` is what was asked, as `PUT /bucket/key`."""

    def __init__(self) -> None:
        self.faults: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.lock = threading.Lock()
        self.url = ""

    def etag(self, data: bytes) -> str:
        strong = f'"{hashlib.md5(data).hexdigest()}"'
        return f"W/{strong}" if "weak" in self.faults else strong

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], headers: Any, body: bytes
    ) -> tuple[int, str, bytes]:
        """Status, ETag and body; an error's body is its code."""
        listing = "list-type" in query
        if "503" in self.faults:
            return 503, "", b"ServiceUnavailable"
        if f"403 {'LIST' if listing else method}" in self.faults:
            return 403, "", b"AccessDenied"
        if listing:
            prefix = f"{path.rstrip('/')}/{query.get('prefix', [''])[0]}"
            keys = [name.split("/", 2)[2] for name in sorted(self.objects) if name.startswith(prefix)]
            rows = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
            return 200, "", f"<ListBucketResult>{rows}<IsTruncated>false</IsTruncated></ListBucketResult>".encode()
        held = self.objects.get(path)
        if method == "GET":
            if held is None:
                return 404, "", b"NoSuchKey"
            held = b"first" if "stale" in self.faults else held
            return 200, '"other"' if "other ETag" in self.faults else self.etag(held), held
        if method == "DELETE":
            self.objects.pop(path, None)
            return 204, "", b""
        return self._put(path, headers, body, held)

    def _put(self, path: str, headers: Any, body: bytes, held: bytes | None) -> tuple[int, str, bytes]:
        none_match, match = headers.get("If-None-Match"), headers.get("If-Match")
        if (none_match or match) and self.faults & {"501", "400"}:
            return (501, "", b"NotImplemented") if "501" in self.faults else (400, "", b"InvalidArgument")
        if none_match and "no If-None-Match" not in self.faults and held is not None:
            return 412, "", b"PreconditionFailed"
        if match and "If-Match refused" in self.faults:
            return 412, "", b"PreconditionFailed"
        if match and "no If-Match" not in self.faults and (held is None or self.etag(held) != match):
            return 412, "", b"PreconditionFailed"
        self.objects[path] = body
        return 200, self.etag(body), b""


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Serve an empty one on loopback."""
    store = ObjectStore()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = read_exactly(self.rfile, int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            with store.lock:
                store.asked.append(f"{self.command} {unquote(parts.path)}")
                status, etag, answer = store.answer(
                    self.command, unquote(parts.path), parse_qs(parts.query), self.headers, body
                )
            if status >= 400:
                answer = f"<Error><Code>{answer.decode()}</Code><Message>no</Message></Error>".encode()
            self.send_response(status)
            if etag and "no ETag" not in store.faults:
                self.send_header("ETag", etag)
            if status != 204:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(b"" if status == 204 else answer)

        do_GET = do_PUT = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield store
    server.shutdown()
    server.server_close()
    thread.join()
