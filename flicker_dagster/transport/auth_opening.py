"""What an authenticator is opened with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from flicker_dagster.config.auth.base import MintsToken
from flicker_dagster.config.secrets import resolve
from flicker_dagster.transport.auth_minted import MintedToken, Minter
from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.token_answer import Places
from flicker_dagster.transport.token_endpoint import TokenEndpoint
from flicker_dagster.transport.tokens import Tokens


class Opening(msgspec.Struct, frozen=True):
    """`env` resolves secrets, `tokens` keep what is minted under `key`; `ends` tells when everything has to be over;
    `routes` where a host is really reached."""

    env: Mapping[str, str] | None
    tokens: Tokens
    key: str
    clock: Callable[[], float]
    ends: Callable[[], Deadline | None]
    routes: Mapping[str, str] | None = None

    def resolve(self, template: str, *, fresh: bool) -> str:
        return resolve(template, env=self.env, fresh=fresh)

    def endpoint(self, url: str, record: MintsToken, *, asked_by: str) -> TokenEndpoint:
        """Raises ValueError for what is no address."""
        return TokenEndpoint(
            url,
            tls=record.tls,
            env=self.env,
            clock=self.clock,
            ends=self.ends,
            places=Places.of_record(record, bearer=asked_by == "token_url"),
            explain=record.explain,
            asked_by=asked_by,
            routes=self.routes,
        )

    def minted(self, record: MintsToken, make: Callable[[bool], Minter]) -> MintedToken:
        return MintedToken(
            make,
            sends=record,
            tokens=self.tokens,
            key=self.key,
            renew_before_ms=record.renew_before_ms,
            env=self.env,
            clock=self.clock,
        )
