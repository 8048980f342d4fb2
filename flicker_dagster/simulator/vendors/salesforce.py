"""Salesforce's REST API: SOQL queries over SetupAuditTrail, LoginHistory and EventLogFile in batches, the files
themselves, and the tokens of a connected app (https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/)."""

from __future__ import annotations

import itertools
import json
import random
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from flicker_dagster.simulator.assertions import BadAssertion, claims_of, private_key_pem
from flicker_dagster.simulator.checks import content_type
from flicker_dagster.simulator.emitter import Event, rows
from flicker_dagster.simulator.grants import FORM, JWT_BEARER, client_of, refused
from flicker_dagster.simulator.pages import is_for
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.simulator.vendors._event_log_files import LogFile, files_of, listed, make_row, values_of
from flicker_dagster.simulator.vendors._salesforce_objects import (
    INSTANCE,
    OBJECTS,
    SObject,
    make_login,
    make_setup,
    spelled,
)
from flicker_dagster.simulator.vendors._soql import QUERY, Malformed, bounds, condition_of

LOGIN = "login.salesforce.com"
TOKEN_PATH = "/services/oauth2/token"
PATH = re.compile(r"/services/data/v(\d+\.\d)/query")
LOCATOR = re.compile(r"/services/data/v\d+\.\d/query/(\w+)-(\d+)")
LOG_FILE = re.compile(r"/services/data/v\d+\.\d/sobjects/EventLogFile/(\w+)/LogFile")
LOCATOR_LIFE_S = 2 * 86_400


@dataclass(frozen=True)
class _Query:
    """A result that is read batch by batch: it stays as it was when it was asked for."""

    asked_s: float
    events: list[Event]
    fields: list[str]
    kind: str
    api: str  # path of the API version
    batch_size: int


class Salesforce(Vendor):
    """Without a `token`, anybody is let in until the first one is given out. `file_delay_s`: how long after its hour a log
    file is there, 3 to 6 h at the real one. How long tokens live
    their answer does not say. `fetched`
    counts the downloads of each file."""

    name = "salesforce"
    streams = ("setup_audit_trail", "login_history", "event_log_files")
    id_path = {"setup_audit_trail": "Id", "login_history": "Id", "event_log_files": None}
    params = {"domain": INSTANCE, "client_id": "3MVG9acme.audit", "client_secret": "salesforce-secret-01"}
    username: ClassVar = "audit@acme.test"
    traits = frozenset({"copies", "late", "expired", "minted"})
    hurried: ClassVar = {"file_delay_s": 0.0}
    token_lifetime_s = 7_200

    def __init__(self, *, file_delay_s: float = 10_800, **options: Any) -> None:
        self._queries: dict[str, _Query] = {}
        self._numbers = itertools.count()
        self._file_delay_ms = int(file_delay_s * 1000)
        super().__init__(**options)

    @classmethod
    def jwt_params(cls) -> dict[str, str]:
        known = {"client_id": cls.params["client_id"], "username": cls.username}
        return {"domain": LOGIN, **known, "private_key": private_key_pem()}

    def make(self, stream: str, number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
        if stream == "event_log_files":
            return make_row(number, published_ms, chance)
        return (make_setup if stream == "setup_audit_trail" else make_login)(number, spelled(published_ms), chance)

    def obtainable(self, stream: str) -> list[Event]:
        """Rows of log files can be had once their file is there."""
        if stream != "event_log_files":
            return super().obtainable(stream)
        return [event for file in self._files() if file.interval == "Hourly" for event in file.rows]

    # -- tokens

    def is_token_request(self, request: Request) -> bool:
        return request.path == TOKEN_PATH and is_for(request, LOGIN, INSTANCE)

    def _token(self, request: Request) -> Response:
        """The answer says where the data are, and not how long the token lives."""
        if request.method != "POST" or content_type(request) != FORM:
            return refused("invalid_request", "expected a form by POST")
        form = request.form
        if form.get("grant_type") == JWT_BEARER:
            refusal = self._wrong_assertion(form.get("assertion", ""))
        elif form.get("grant_type") == "client_credentials":
            refusal = self._wrong_client(request, form)
        else:
            refusal = refused("unsupported_grant_type", "grant type not supported")
        if refusal is not None:
            return refusal
        answer = {
            "access_token": self.minting.mint(prefix="00D000000000001!AQ"),
            "scope": "api",
            "instance_url": request.base if is_for(request) else f"https://{INSTANCE}",
            "id": f"https://{LOGIN}/id/00D000000000001/005000000000001",
            "token_type": "Bearer",
            "issued_at": str(self.emitter.now_ms()),
        }
        return Response.json(answer)

    def _wrong_client(self, request: Request, form: dict[str, str]) -> Response | None:
        if not is_for(request, INSTANCE):
            return refused("invalid_grant", "request not supported on this domain")
        client, secret = client_of(request)
        if client != self.params["client_id"]:
            return refused("invalid_client_id", "client identifier invalid")
        wrong = secret != (self.token or self.params["client_secret"])
        return refused("invalid_client", "invalid client credentials") if wrong else None

    def _wrong_assertion(self, assertion: str) -> Response | None:
        audiences = (f"https://{LOGIN}", f"https://{INSTANCE}")
        required = ("iss", "sub", "aud", "exp")
        try:
            claims = claims_of(assertion, audiences=audiences, clock=self.clock, required=required)
        except BadAssertion as error:
            return refused("invalid_grant", f"invalid assertion: {error}")
        if (claims["iss"], claims["sub"]) != (self.params["client_id"], self.username):
            return refused("invalid_grant", "user hasn't approved this consumer")
        return None

    def is_authorized(self, request: Request) -> bool:
        token = request.bearer()
        nobody = self.token is None and not self.minting.minted
        return nobody or token == self.token or self.minting.accepts(token)

    # -- queries and files

    def unauthorized(self) -> Response:
        return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def too_many(self, headers: list[tuple[str, str]]) -> Response:
        return _error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", headers)

    def exhausted(self) -> Response:
        return self.too_many(self.quota_headers(0, self.reset_s()))

    def quota_headers(self, remaining: int, reset_s: int) -> list[tuple[str, str]]:
        return [("Sforce-Limit-Info", f"api-usage={self.per_minute - remaining}/{self.per_minute}")]

    def answer(self, request: Request, *, expired: bool) -> Response:
        if self.is_token_request(request):
            return self._token(request)
        if not is_for(request, INSTANCE):
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        locator = LOCATOR.fullmatch(request.path)
        if locator is not None:
            return self._more(locator[1], int(locator[2]), expired=expired)
        file = LOG_FILE.fullmatch(request.path)
        if file is not None:
            return self._file(file[1])
        version = PATH.fullmatch(request.path)
        if version is None:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        return self._first(request, f"/services/data/v{version[1]}")

    def _first(self, request: Request, api: str) -> Response:
        asked = request.query.get("q", "")
        found = QUERY.match(asked)
        if found is None or found["object"].lower() not in OBJECTS:
            return _error(400, "MALFORMED_QUERY", f"unexpected token: {asked[:80]!r}")
        if found["offset"] and int(found["offset"]) > 2000:
            return _error(400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
        kind = OBJECTS[found["object"].lower()]
        fields = [field.strip() for field in found["fields"].split(",")]
        for field in fields:
            if field.split(".")[0].lower() not in kind.fields:
                return _error(400, "INVALID_FIELD", f"No such column '{field}' on entity '{found['object']}'")
        try:
            events = self._found(kind, found["where"], api)
        except Malformed as error:
            return _error(400, "MALFORMED_QUERY", f"cannot read: {error}")
        if "desc" in (found["order"] or "").lower():
            events = events[::-1]
        offset = int(found["offset"] or 0)
        events = events[offset : offset + int(found["limit"] or 50_000)]
        batch = re.search(r"batchSize=(\d+)", request.headers.get("sforce-query-options", ""))
        size = min(2000, max(200, int(batch[1]) if batch else 2000))
        name = f"01g{next(self._numbers):015d}"
        query = _Query(self.clock(), events, fields, kind.name, api, size)
        if len(events) > size:
            self._queries[name] = query
        return _batch(query, name, 0)

    def _found(self, kind: SObject, where: str | None, api: str) -> list[Event]:
        """Oldest first. Raises Malformed."""
        if kind.stream != "event_log_files":
            span = bounds(where, kind.time_field, self.emitter.now_ms())
            return self.emitters[kind.stream].between(*span)
        fulfils = condition_of(where, {name: how for name, how in kind.fields.items() if how}) if where else None
        return [listed(file, api) for file in self._files() if fulfils is None or fulfils(values_of(file))]

    def _files(self) -> list[LogFile]:
        emitter = self.emitters["event_log_files"]
        return files_of(emitter.emitted(), now_ms=emitter.now_ms(), delay_ms=self._file_delay_ms)

    def _file(self, file_id: str) -> Response:
        file = next((file for file in self._files() if file.id == file_id), None)
        if file is None:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        self.fetched[file_id] += 1
        return Response(200, file.content(), [("Content-Type", "text/csv")])

    def _more(self, name: str, start: int, *, expired: bool) -> Response:
        query = self._queries.get(name)
        if query is None or expired or self.clock() - query.asked_s > LOCATOR_LIFE_S:
            return _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return _batch(query, name, start)


def _batch(query: _Query, name: str, start: int) -> Response:
    page = query.events[start : start + query.batch_size]
    done = start + len(page) >= len(query.events)
    answer: dict[str, Any] = {"totalSize": len(query.events), "done": done}
    if not done:
        answer["nextRecordsUrl"] = f"{query.api}/query/{name}-{start + len(page)}"
    answer["records"] = [_record(event, query) for event in rows(page)]
    return Response.json(answer)


def _record(event: Event, query: _Query) -> dict[str, Any]:
    full = json.loads(event.body)
    record: dict[str, Any] = {
        "attributes": {"type": query.kind, "url": f"{query.api}/sobjects/{query.kind}/{full['Id']}"}
    }
    for field in query.fields:
        top = field.split(".")[0]
        known = next((key for key in full if key.lower() == top.lower()), None)
        if known is not None:
            record[known] = full[known]
    return record


def _error(status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.json([{"errorCode": code, "message": message}], status, headers)
