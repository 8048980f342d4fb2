"""Clocks and token servers that authenticators are tried against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster_tests.transport.minting import SECRET, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def one_server() -> Iterator[TokenServer]:
    found = TokenServer()
    yield found
    found.close()


@pytest.fixture
def server(one_server: TokenServer, clock: Clock) -> TokenServer:
    """Knows one client by its secret; a file that needs more has a server of its own."""
    one_server.reset(clients={"flicker": SECRET}, clock=clock)
    return one_server
