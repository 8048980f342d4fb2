"""An exchange with a vendor as it was, for who looks at more of it than its events."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from flicker_dagster.transport.exchange import Request


class Heard(msgspec.Struct, frozen=True):
    """`request` is signed: nobody prints it. `sent_ms` and `got_ms` are by our clock; `refusal` is the body of a status of
    400 or more."""

    request: Request
    status: int
    headers: Mapping[str, str]
    sent_ms: int
    got_ms: int
    refusal: bytes = b""
