"""One token for all processes of an installation, and for its next runs."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Any

from flicker_dagster.simulator.token_server import TokenServer
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.transport.tokens import Tokens
from flicker_dagster_tests.transport.minting import SECRET, UNAUTHORISED, bearer, client, opened

PROCESSES = 3


def tokens_at(home: str | Path) -> Tokens:
    return StateLayout.of(None, Path(home, "state"), Path(home, "work")).tokens()


def _sign(url: str, home: str, meeting: Any, into: Any, refused: bool) -> None:
    auth = opened(client(url), tokens=tokens_at(home), clock=time.time)
    meeting.wait()
    value = bearer(auth)
    meeting.wait()  # all have signed with the same one
    into.put((value, refused and auth.renew(UNAUTHORISED), bearer(auth)))


def _signed_by_processes(url: str, home: Path, *, refused: bool = False) -> list[tuple[str, bool, str]]:
    """Of each process: its token, whether it was renewed, and its token then."""
    spawn = multiprocessing.get_context("spawn")
    into, meeting = spawn.SimpleQueue(), spawn.Barrier(PROCESSES)
    given = (url, str(home), meeting, into, refused)
    processes = [spawn.Process(target=_sign, args=given) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    return [into.get() for _ in processes]


def test_processes_that_need_a_token_at_once_mint_one(tmp_path: Path) -> None:
    server = TokenServer(clients={"flicker": SECRET})
    server.faults.plan("slow", seconds=0.3)  # so that they do meet
    try:
        found = _signed_by_processes(server.url, tmp_path)
        assert len({value for value, _, _ in found}) == len(server.minted) == 1
        later = opened(client(server.url), tokens=tokens_at(tmp_path), clock=time.time)
        assert bearer(later) == found[0][0]
        server.revoke_all()
        renewed = _signed_by_processes(server.url, tmp_path, refused=True)
        assert [again for _, again, _ in renewed] == [True] * PROCESSES
        assert len(server.minted) == 2
        assert {value for _, _, value in renewed} == {server.minted[-1].value}
    finally:
        server.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files for minted in server.minted if minted.value.encode() in path.read_bytes()]
