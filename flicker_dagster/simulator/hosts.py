"""Which of a vendor's servers a request was sent to: one simulated server answers for them all."""

from __future__ import annotations

from flicker_dagster.simulator.server import Request

#: The simulator's own address stands for every server of the vendor.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def asks(request: Request, *hosts: str) -> bool:
    """Was one of these servers asked?"""
    return request.host in LOOPBACK or request.host in hosts
