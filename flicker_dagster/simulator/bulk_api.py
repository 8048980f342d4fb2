"""The `_bulk` API of a search cluster: request checks, an answer per item, and faults on demand."""

from __future__ import annotations

import base64
import json
import random
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from flicker_dagster.simulator.bulk_store import MAX_ID_BYTES, Action, ItemRefusal, Store
from flicker_dagster.simulator.receivers.api import ApiReceiver
from flicker_dagster.simulator.receivers.sigv4 import fault_of_signature
from flicker_dagster.simulator.server import Request, Response


@dataclass
class ItemFault:
    """A refusal of single items: of those whose document holds `holding`, of a `share` of them, `count` times at most."""

    refusal: ItemRefusal
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


@dataclass(frozen=True)
class AwsCaller:
    """Who may sign requests, and for what: a domain (`es`) or a collection of Serverless (`aoss`)."""

    access_key_id: str
    secret_access_key: str
    region: str
    service: str = "es"
    session_token: str = ""

    def fault_of(self, request: Request, *, now_s: float) -> str | None:
        """Why a request is refused, or None."""
        found = fault_of_signature(
            request,
            keys={self.access_key_id: self.secret_access_key},
            tokens={self.access_key_id: self.session_token},
            region=self.region,
            service=self.service,
            now_s=now_s,
        )
        return None if found is None else found[1]


class BulkReceiver(ApiReceiver):
    """A cluster of one node on a port of its own. Without credentials it asks for none.

    `authorizations` are the values of the `Authorization` header that it takes (see `basic`, `bearer`, `api_key`);
    `forbidden` are names that none of them may write to. `max_content_bytes` bounds the inflated body.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        authorizations: tuple[str, ...] = (),
        signed_by: AwsCaller | None = None,
        forbidden: frozenset[str] = frozenset(),
        max_content_bytes: int = 100 * 1024 * 1024,
        stream_patterns: tuple[str, ...] = ("logs-*-*",),
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.dialect = dialect
        self.authorizations = authorizations
        self.signed_by = signed_by
        self.forbidden = forbidden
        self.max_content_bytes = max_content_bytes
        self.state = Store(dialect.parse_failure, stream_patterns=stream_patterns)
        self.item_faults: list[ItemFault] = []
        self.asked: list[Request] = []  # of _bulk, those that were answered by a fault left out
        self.items: Counter[int] = Counter()  # statuses that were answered
        self._random = random.Random(seed)
        super().__init__(seed=seed, **settings)

    def counts(self) -> Counter[str]:
        """How often each id was created."""
        with self.lock:
            return self.state.counts()

    def documents(self, name: str) -> dict[str, dict[str, Any]]:
        """The documents of a stream or index by id, read."""
        with self.lock:
            return {uid: json.loads(document) for uid, document in self.state.documents(name)}

    def roll_over(self, name: str) -> None:
        """From now on an index that knows no ids is written to."""
        with self.lock:
            self.state.streams[name].roll_over()

    def refuse_items(self, refusal: ItemRefusal, **how: Any) -> None:
        """Plan refusals of single items; `how` are the fields of `ItemFault`."""
        self.item_faults.append(ItemFault(refusal, **how))

    # -- inside

    def handle(self, request: Request) -> Response:
        response = super().handle(request)
        response.headers = [*response.headers, *self.dialect.headers]
        return response

    def elsewhere(self, request: Request) -> Response | None:
        refused = self._unauthenticated(request)
        if refused is not None or request.path != "/":
            return refused
        return Response.json(self.dialect.about)

    def refusal(self, status: int, says: str) -> Response:
        if status == 413:
            return Response(413)  # no word, as the real ones
        return _refused(status, says or "simulated_exception", f"simulated {status}")

    def take(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if parts[-1] != "_bulk" or len(parts) > 2 or request.method not in ("POST", "PUT"):
            return Response.json({"error": f"no handler found for uri [{request.target}]"}, 400)
        with self.lock:
            self.asked.append(request)
            return self._bulk(request, parts[0] if len(parts) == 2 else None)

    def _unauthenticated(self, request: Request) -> Response | None:
        if self.signed_by is not None:
            wrong = self.signed_by.fault_of(request, now_s=self.clock())
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
        body = self.inflated(request, most=self.max_content_bytes)
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
            refusal = ItemRefusal(403, "security_exception", reason)
        if refusal is None:
            refusal = self.state.put(
                action,
                pipeline=request.query.get("pipeline"),
                require_stream=request.query.get("require_data_stream") == "true",
            )
        status = 201 if refusal is None else refusal.status
        self.items[status] += 1
        result: dict[str, Any] = {"_index": action.name, "_id": action.uid, "status": status}
        return {action.kind: result | ({} if refusal is None else {"error": refusal.answer()})}

    def _forced(self, document: bytes) -> ItemRefusal | None:
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
