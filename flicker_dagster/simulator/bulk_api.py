"""The `_bulk` API of a search cluster: request checks, an answer per item, and faults on demand."""

from __future__ import annotations

import base64
import gzip
import json
import random
import threading
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flicker_dagster.simulator.bulk_store import MAX_ID_BYTES, Action, Refusal, Store
from flicker_dagster.simulator.faults import Fault, Faults
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.simulator.sigv4 import SigV4

#: Faults after which the request has been carried out all the same.
_AFTER = frozenset({"commit_then_cut", "slow", "cut", "truncated", "endless"})


@dataclass
class ItemFault:
    """A refusal of single items: of those whose document holds `holding`, of a `share` of them, `count` times at most."""

    refusal: Refusal
    holding: bytes = b""
    share: float = 1.0
    count: int | None = None


@dataclass(frozen=True)
class Dialect:
    """What the servers differ in: parameters of the request, media types, error types, and how credentials are refused."""

    parameters: frozenset[str]
    content_types: frozenset[str]
    parse_failure: str
    schemes: tuple[str, ...]
    about: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


class BulkReceiver:
    """A cluster of one node on a port of its own. Without credentials it asks for none.

    `authorizations` are the values of the `Authorization` header that it takes (see `basic`, `bearer`, `api_key`);
    `forbidden` are names that none of them may write to. `max_content_bytes` bounds the inflated body.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        authorizations: tuple[str, ...] = (),
        sigv4: SigV4 | None = None,
        forbidden: frozenset[str] = frozenset(),
        max_content_bytes: int = 100 * 1024 * 1024,
        stream_patterns: tuple[str, ...] = ("logs-*-*",),
        clock: Callable[[], float] = time.time,
        seed: int = 0,
    ) -> None:
        self.dialect = dialect
        self.authorizations = authorizations
        self.sigv4 = sigv4
        self.forbidden = forbidden
        self.max_content_bytes = max_content_bytes
        self.store = Store(dialect.parse_failure, stream_patterns=stream_patterns)
        self.faults = Faults(seed=seed)
        self.item_faults: list[ItemFault] = []
        self.requests: list[Request] = []  # of _bulk
        self.items: Counter[int] = Counter()  # statuses that were answered
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.server = Server(self.handle, clock=clock)

    @property
    def url(self) -> str:
        return self.server.url

    def close(self) -> None:
        self.server.close()

    def counts(self) -> Counter[str]:
        """How often each id was created."""
        with self._lock:
            return self.store.counts()

    def documents(self, name: str) -> dict[str, dict[str, Any]]:
        """The documents of a stream or index by id, read."""
        with self._lock:
            return {uid: json.loads(document) for uid, document in self.store.documents(name)}

    def roll_over(self, name: str) -> None:
        """From now on an index that knows no ids is written to."""
        with self._lock:
            self.store.streams[name].roll_over()

    def refuse_items(self, refusal: Refusal, **how: Any) -> None:
        """Plan refusals of single items; `how` are the fields of `ItemFault`."""
        self.item_faults.append(ItemFault(refusal, **how))

    # -- inside

    def handle(self, request: Request) -> Response:
        response = self._answer(request)
        response.headers = [*response.headers, *self.dialect.headers]
        return response

    def _answer(self, request: Request) -> Response:
        wrong = self._unauthenticated(request)
        if wrong is not None:
            return wrong
        if request.path == "/":
            return Response.json(self.dialect.about)
        parts = request.path.strip("/").split("/")
        if parts[-1] != "_bulk" or len(parts) > 2 or request.method not in ("POST", "PUT"):
            return Response.json({"error": f"no handler found for uri [{request.target}]"}, 400)
        with self._lock:
            self.requests.append(request)
            fault = self.faults.take()
            if fault is not None and fault.kind not in _AFTER:
                return _refused_by_fault(fault)
            response = self._bulk(request, parts[0] if len(parts) == 2 else None)
        response.fault = fault
        if fault is not None and fault.kind == "truncated":
            response.body = response.body[: len(response.body) // 2]
        return response

    def _unauthenticated(self, request: Request) -> Response | None:
        if self.sigv4 is not None:
            wrong = self.sigv4.wrong_with(request)
            return None if wrong is None else Response.json({"message": wrong}, 403)
        if not self.authorizations or request.headers.get("authorization") in self.authorizations:
            return None
        response = _refused(401, "security_exception", "unable to authenticate for REST request [/_bulk]")
        response.headers += [("WWW-Authenticate", scheme) for scheme in self.dialect.schemes]
        return response

    def _bulk(self, request: Request, target: str | None) -> Response:
        unknown = sorted(request.query.keys() - self.dialect.parameters)
        if unknown:
            reason = f"request [{request.path}] contains unrecognized parameter: [{unknown[0]}]"
            return _refused(400, "illegal_argument_exception", reason)
        content_type = request.headers.get("content-type", "").split(";")[0].strip()
        if content_type not in self.dialect.content_types:
            said = f"Content-Type header [{content_type}] is not supported"
            return Response.json({"error": said, "status": 406}, 406)
        try:
            body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        except (OSError, EOFError, zlib.error):
            return _refused(400, "parse_exception", "the body is not in gzip format")
        if len(body) > self.max_content_bytes:
            return Response(413)
        if not body:
            return _refused(400, "parse_exception", "request body is required")
        if not body.endswith(b"\n"):
            said = "The bulk request must be terminated by a newline [\\n]"
            return _refused(400, "illegal_argument_exception", said)
        try:
            actions = _actions(body, target)
        except ValueError as error:
            return _refused(400, "illegal_argument_exception", str(error))
        if any(len(action.uid.encode()) > MAX_ID_BYTES for action in actions):
            said = f"Validation Failed: 1: id is too long, must be no longer than {MAX_ID_BYTES} bytes;"
            return _refused(400, "action_request_validation_exception", said)
        items = [self._item(request, action) for action in actions]
        errors = any("error" in result for item in items for result in item.values())
        answer = {"took": 1, "errors": errors, "items": items}
        return Response.json(_filtered(answer, request.query.get("filter_path")))

    def _item(self, request: Request, action: Action) -> dict[str, Any]:
        refusal = self._forced(action.document)
        if refusal is None and action.name in self.forbidden:
            reason = f"action [indices:data/write/bulk] is unauthorized on [{action.name}]"
            refusal = Refusal(403, "security_exception", reason)
        if refusal is None:
            refusal = self.store.put(
                action,
                pipeline=request.query.get("pipeline"),
                require_stream=request.query.get("require_data_stream") == "true",
            )
        status = 201 if refusal is None else refusal.status
        self.items[status] += 1
        result: dict[str, Any] = {"_index": action.name, "_id": action.uid, "status": status}
        return {action.kind: result | ({} if refusal is None else {"error": refusal.answer()})}

    def _forced(self, document: bytes) -> Refusal | None:
        for fault in self.item_faults:
            if fault.holding in document and self._random.random() < fault.share:
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self.item_faults.remove(fault)
                return fault.refusal
        return None


def basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def api_key(encoded: str) -> str:
    return f"ApiKey {encoded}"


def bearer(token: str) -> str:
    return f"Bearer {token}"


def _actions(body: bytes, target: str | None) -> list[Action]:
    """Raises ValueError as the server says it."""
    lines = iter(body.split(b"\n")[:-1])
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            ((kind, about),) = json.loads(line).items()
        except (ValueError, AttributeError):
            raise ValueError(f"Malformed action/metadata line [{number}], expected START_OBJECT") from None
        if kind not in ("create", "index"):
            raise ValueError(f"Malformed action/metadata line [{number}], expected a field [create] or [index]")
        name = about.get("_index", target)
        if name is None:
            raise ValueError("Validation Failed: 1: index is missing;")
        document = next(lines, None)
        if document is None:
            raise ValueError("The bulk request holds an action without a source")
        found.append(Action(kind, name, str(about.get("_id") or uuid.uuid4().hex), document))
    return found


def _filtered(answer: dict[str, Any], filter_path: str | None) -> dict[str, Any]:
    """What `filter_path` asks for. Items of which nothing is asked for are left out, so that the others move up."""
    if filter_path is None:
        return answer
    paths = [path.split(".") for path in filter_path.split(",")]
    kept = _kept(answer, paths)
    return kept if isinstance(kept, dict) else {}


def _kept(value: Any, paths: list[list[str]]) -> Any:
    if any(not path for path in paths):
        return value
    if isinstance(value, list):
        return [kept for each in value if (kept := _kept(each, paths)) is not None] or None
    if not isinstance(value, dict):
        return None
    found = {}
    for name, inner in value.items():
        below = [path[1:] for path in paths if path[0] in ("*", name)]
        kept = _kept(inner, below) if below else None
        if kept is not None:
            found[name] = kept
    return found or None


def _refused(status: int, kind: str, reason: str) -> Response:
    error = {"type": kind, "reason": reason}
    return Response.json({"error": {"root_cause": [error], **error}, "status": status}, status)


def _refused_by_fault(fault: Fault) -> Response:
    if fault.kind == "html":
        return Response(200, b"<html><body>Sign in</body></html>", [("Content-Type", "text/html")])
    if not fault.kind.isdigit():
        return Response(500, fault=fault)
    if fault.kind == "413":
        return Response(413)
    headers = [("Retry-After", fault.retry_after)] if fault.retry_after not in ("", "none") else []
    response = _refused(int(fault.kind), fault.says or "simulated_exception", f"simulated {fault.kind}")
    response.headers += headers
    return response
