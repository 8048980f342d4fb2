"""Destinations before their receivers, each set up as a person would; and a server that answers what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import Destination, LaneContext, open_destination
from flicker_dagster.simulator.receivers.api import ApiReceiver
from flicker_dagster.simulator.receivers.datadog import DatadogReceiver
from flicker_dagster.simulator.receivers.google_secops import GoogleSecopsReceiver
from flicker_dagster.simulator.receivers.loki import LokiReceiver
from flicker_dagster.simulator.receivers.sentinel import SentinelReceiver
from flicker_dagster.simulator.receivers.sumo_logic import SumoLogicReceiver
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster_tests.deliver.contract import NOW_MS
from flicker_dagster_tests.transport.minting import EMAIL, a_key, an_account

account = cache(an_account)


@dataclass
class Scene:
    """One destination's receiver, its record's keys, and the environment in which secrets are looked up.

    `wrong` is what the environment has to hold for the credentials to be refused.
    """

    type: str
    receiver: Any
    keys: dict[str, Any]
    env: dict[str, str]
    wrong: dict[str, str]
    tokens: TokenServer | None = None
    context: dict[str, Any] = field(default_factory=dict)

    def open(self, *, env: dict[str, str] | None = None, **keys: Any) -> Destination:
        return opened({"type": self.type, **self.keys, **keys}, env=self.env if env is None else env, **self.context)

    def close(self) -> None:
        self.receiver.close()
        if self.tokens is not None:
            self.tokens.close()


def now_s() -> float:
    return NOW_MS / 1000


def opened(keys: dict[str, Any], *, env: dict[str, str] | None = None, **context: Any) -> Destination:
    """The destination of these keys, as the configuration would hold them."""
    record = destination_adapter().validate_python(keys)
    assert record.all_faults() == []
    return open_destination(
        record, LaneContext(**{"stream": "okta", "lane": record.type, "clock": now_s, **context}, env=env or {})
    )


def datadog(**options: Any) -> Scene:
    receiver = DatadogReceiver(clock=now_s, **options)
    keys = {"endpoint": receiver.url, "api_key": "${DD_API_KEY}"}
    return Scene("datadog", receiver, keys, {"DD_API_KEY": "dd-key"}, {"DD_API_KEY": "another-key"})


def sumo_logic(**options: Any) -> Scene:
    receiver = SumoLogicReceiver(clock=now_s, **options)
    wrong = {"SUMO_URL": f"{receiver.url}/receiver/v1/http/another-code-of-some-length"}
    return Scene("sumo_logic", receiver, {"endpoint": "${SUMO_URL}"}, {"SUMO_URL": receiver.source_url}, wrong)


def loki(**options: Any) -> Scene:
    receiver = LokiReceiver(clock=now_s, authorization="Bearer loki-token", **options)
    keys = {"endpoint": receiver.url, "auth": {"type": "bearer", "token": "${LOKI_TOKEN}"}}
    return Scene("loki", receiver, keys, {"LOKI_TOKEN": "loki-token"}, {"LOKI_TOKEN": "another-token"})


def sentinel(**options: Any) -> Scene:
    tokens = TokenServer(clients={"flicker": "entra-secret"}, clock=now_s)
    receiver = SentinelReceiver(tokens=tokens, clock=now_s, **options)
    keys = {
        "endpoint": receiver.url,
        "rule_id": receiver.rule_id,
        "stream": "Custom-SaasAudit",
        "tenant_id": "11111111-2222-3333-4444-555555555555",
        "client_id": "flicker",
        "client_secret": "${ENTRA_SECRET}",
        "authority": tokens.server.url,
    }
    env, wrong = {"ENTRA_SECRET": "entra-secret"}, {"ENTRA_SECRET": "expired-secret"}
    return Scene("sentinel", receiver, keys, env, wrong, tokens)


def google_secops(**options: Any) -> Scene:
    private, public = account()
    tokens = TokenServer(accounts={EMAIL: public}, clock=now_s)
    receiver = GoogleSecopsReceiver(tokens=tokens, clock=now_s, **options)
    keys = {
        "endpoint": receiver.url,
        "project": "p",
        "region": "eu",
        "instance": "11111111-2222-3333-4444-555555555555",
        "forwarder": "f1",
        "log_type": "OKTA",
        "auth": {"type": "google_service_account", "key_json": "${GOOGLE_KEY}"},
    }
    env = {"GOOGLE_KEY": a_key(tokens, private)}
    wrong = {"GOOGLE_KEY": a_key(tokens, private, client_email="nobody@project.example")}
    return Scene("google_secops", receiver, keys, env, wrong, tokens)


SCENES: dict[str, Callable[..., Scene]] = {
    each.__name__: each for each in (datadog, google_secops, loki, sentinel, sumo_logic)
}


@contextmanager
def on(build: Callable[..., Scene], **options: Any) -> Iterator[Scene]:
    scene = build(**options)
    try:
        yield scene
    finally:
        scene.close()


class Answering:
    """A server that keeps its requests and gives the same answer to each."""

    def __init__(self) -> None:
        self.answer = Response()
        self.requests: list[Request] = []
        self.server = Server(self._handle)

    def _handle(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answer

    @property
    def url(self) -> str:
        return self.server.url

    def says(self, status: int, body: bytes | str = b"", **headers: str) -> None:
        body = body if isinstance(body, bytes) else body.encode()
        self.answer = Response(status, body, [(name.replace("_", "-"), value) for name, value in headers.items()])


def uids_of(receiver: ApiReceiver) -> dict[str, int]:
    return dict(receiver.counts())
