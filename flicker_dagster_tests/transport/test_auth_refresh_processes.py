"""Refresh tokens that serve once, and processes: races and kills cost no account."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.tokens import Token, Tokens
from flicker_dagster_tests.transport.minting import FIRST, KEY, SECRET, bearer, opened, refreshing


@pytest.fixture
def server() -> Iterator[TokenServer]:
    found = TokenServer(clients={"flicker": SECRET}, refresh_tokens={FIRST: "flicker"})
    yield found
    found.close()


def tokens_at(home: str | Path) -> Tokens:
    return StateLayout.of(None, Path(home, "state"), Path(home, "work")).tokens()


def _sign(url: str, home: str, meeting: Any, into: Any) -> None:
    auth = opened(refreshing(url), tokens=tokens_at(home), clock=time.time, key=KEY)
    if meeting is not None:
        meeting.wait()
    into.put(bearer(auth))


def _signed_by_processes(url: str, home: Path, count: int) -> list[str]:
    spawn = multiprocessing.get_context("spawn")
    into, meeting = spawn.SimpleQueue(), spawn.Barrier(count)
    processes = [spawn.Process(target=_sign, args=(url, str(home), meeting, into)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count
    return [into.get() for _ in processes]


def test_processes_that_refresh_at_once_do_not_lose_the_account(server: TokenServer, tmp_path: Path) -> None:
    for minted in range(1, 3):
        server.faults.plan("slow", seconds=0.3)  # so that they do meet
        assert set(_signed_by_processes(server.url, tmp_path, 3)) == {server.minted[-1].value}
        assert len(server.minted) == minted
        server.revoke_all()
        tokens = tokens_at(tmp_path)
        found = tokens.get(KEY)
        assert found is not None
        tokens.put(KEY, Token(found.value, expires_ms=0, refresh=found.refresh, extra=found.extra), replacing=found)
    assert not server.spent_refresh_tokens & server.refresh_tokens.keys()


def _killed_at(url: str, home: str, failpoint: str) -> int | None:
    spawn = multiprocessing.get_context("spawn")
    into = spawn.SimpleQueue()
    os.environ["FLICKER_FAILPOINT"] = failpoint
    try:
        process = spawn.Process(target=_sign, args=(url, home, None, into))
        process.start()
        process.join()
    finally:
        del os.environ["FLICKER_FAILPOINT"]
    return process.exitcode


@pytest.mark.parametrize(
    ("failpoint", "asked"),
    [
        ("store.write.before:1", 0),  # before anybody knows
        ("store.write.after:1", 0),  # it is known, nothing was asked
        ("store.write.after:2", 1),  # the answer is kept, and was not used
    ],
)
def test_a_kill_costs_no_account(server: TokenServer, tmp_path: Path, failpoint: str, asked: int) -> None:
    assert _killed_at(server.url, str(tmp_path), failpoint) == -9
    assert len(server.asked) == asked
    assert _signed_by_processes(server.url, tmp_path, 1) == [server.minted[-1].value]
    assert len(server.minted) == 1


def test_a_kill_between_the_answer_and_the_store_is_explained(server: TokenServer, tmp_path: Path) -> None:
    assert _killed_at(server.url, str(tmp_path), "store.write.before:2") == -9
    assert len(server.minted) == 1
    auth = opened(refreshing(server.url), tokens=tokens_at(tmp_path), clock=time.time, key=KEY)
    with pytest.raises(AuthFailed, match="has most likely given the next one then"):
        bearer(auth)


def test_no_token_is_in_a_file_or_a_text(server: TokenServer, tmp_path: Path) -> None:
    auth = opened(refreshing(server.url), tokens=tokens_at(tmp_path), clock=time.time)
    value = bearer(auth)
    (following,) = server.refresh_tokens
    assert {value, following} <= set(auth.secrets())
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in files for secret in (value, following, FIRST) if secret.encode() in text]
