"""`renamed_from`: whatever is interrupted, and however often, nothing that waits is lost and nothing is sent twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.errors import SourceBusy
from flicker_dagster.pipeline import carry_over as module
from flicker_dagster.pipeline.begin import begun_ms, starting_position
from flicker_dagster.pipeline.carry_over import carry_over
from flicker_dagster.pipeline.deliver import waiting_events
from flicker_dagster.state.leftovers import find_leftovers
from flicker_dagster.state.stores import LocalStore
from flicker_dagster.transport.tokens import Token
from flicker_dagster.types import DeadLetter
from flicker_dagster_tests.conformance.harness import Scene, plain_scene

LETTER = DeadLetter(
    event=b'{"id": "refused"}',
    reason="HTTP 400",
    status="HTTP 400",
    lot_id="b1",
    digest="d1",
    destination="siem",
    at_ms=1,
)


class Killed(BaseException):
    """The process died here."""


@contextmanager
def killed_at(change: int) -> Iterator[None]:
    """Die before the given change of a file or object; changes are counted from one."""
    left = [change]

    def dying(real):
        def change_something(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return real(*arguments, **options)

        return change_something

    with (
        patch.object(LocalStore, "write", dying(LocalStore.write)),
        patch.object(LocalStore, "delete", dying(LocalStore.delete)),
        patch.object(module.os, "rename", dying(module.os.rename)),
        suppress(Killed),
    ):
        yield


def renamed(scene: Scene, *, from_name: str | None = "plain", **changes: object) -> None:
    scene.source = scene.source.model_copy(update={"name": "renamed", "renamed_from": from_name, **changes})
    scene.cursor = None


def collected(scene: Scene) -> None:
    """Three events delivered, four that wait, a dead letter."""
    scene.emit(3, seconds_ago=600)
    scene.poll()
    scene.emit(2, seconds_ago=300)
    scene.emit(2, seconds_ago=290)
    scene.fetch()
    scene.work().lanes[0].dead_letters.add([LETTER])


def carried_over(scene: Scene) -> None:
    with scene.work() as work:
        carry_over(work)


def go_on(scene: Scene) -> None:
    """What the new name's sensor does next."""
    with scene.work() as work:
        rewind = work.rewinds.standing()
        scene.cursor = starting_position(work) if rewind is None else rewind.position
    scene.poll()


def assert_all_is_there(scene: Scene) -> None:
    scene.assert_each_once()
    with scene.work() as work:
        assert waiting_events(work) == 0
        assert work.lanes[0].dead_letters.count() == 1
    assert find_leftovers(scene.layout, configured=["renamed"]) == []
    assert scene.layout.ledger("plain").windows() == []


def test_everything_goes_on_under_the_new_name(tmp_path: Path) -> None:
    with plain_scene(tmp_path, start_from="1h") as scene:
        collected(scene)
        stood, begun = scene.work().registry.position("plain"), begun_ms(scene.work())
        renamed(scene)
        with scene.work() as work:
            assert carry_over(work)
            assert work.registry.position("renamed") == stood
            assert begun_ms(work) == begun
            assert waiting_events(work) == 4
            assert work.history.read("renamed")[0].position == stood
            assert not carry_over(work), "once"
        go_on(scene)
        assert_all_is_there(scene)


def test_tokens_go_on_under_the_new_name(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        collected(scene)
        token = Token("a-minted-value", refresh="kept")
        scene.layout.tokens().put("plain@lake", token, replacing=None)
        renamed(scene)
        with scene.work() as work:
            carry_over(work)
        tokens = scene.layout.tokens()
        assert tokens.get("renamed@lake") == token
        assert tokens.get("plain@lake") is None


def test_a_name_that_has_collected_already_is_joined(tmp_path: Path) -> None:
    """The usual way: the source was renamed, the start said that its state is kept, and renamed_from came then."""
    with plain_scene(tmp_path, start_from="1h") as scene:
        collected(scene)
        begun = begun_ms(scene.work())
        scene.emit(2, seconds_ago=200)  # nobody has asked for these yet
        renamed(scene, from_name=None, start_from="1m")
        scene.emit(2, seconds_ago=30)
        scene.poll()
        renamed(scene)
        carried_over(scene)
        assert begun_ms(scene.work()) == begun
        go_on(scene)
        assert_all_is_there(scene)


@pytest.mark.fuzz
@given(
    kills=st.lists(st.integers(1, 25), max_size=6),
    joined_from=st.sampled_from([None, "1m", "295s", "9m"]),
    late=st.integers(0, 3),
    form=st.sampled_from(["json", "ndjson", "envelope"]),
)
def test_however_often_it_is_killed_nothing_is_lost_or_repeated(
    kills: list[int], joined_from: str | None, late: int, form: str
) -> None:
    """The new name may have begun before or behind what waits, or in the midst of it."""
    with (
        tempfile.TemporaryDirectory() as home,
        plain_scene(Path(home), start_from="1h", lookback_ms=1, destination={"format": form}) as scene,
    ):
        collected(scene)
        if joined_from is not None:
            renamed(scene, from_name=None, start_from=joined_from)
            scene.emit(2, seconds_ago=30)
            scene.poll()
        renamed(scene)
        for kill in kills:
            with killed_at(kill):
                carried_over(scene)
        carried_over(scene)
        scene.emit(late, seconds_ago=5)
        go_on(scene)
        assert_all_is_there(scene)


def test_each_single_change_may_be_the_last(tmp_path: Path) -> None:
    for kill in range(1, 16):
        with plain_scene(tmp_path / str(kill), start_from="1h") as scene:
            collected(scene)
            renamed(scene)
            with killed_at(kill):
                carried_over(scene)
            carried_over(scene)
            go_on(scene)
            assert_all_is_there(scene)


def test_a_run_of_the_old_name_is_waited_for(tmp_path: Path) -> None:
    with plain_scene(tmp_path, start_from="1h") as scene:
        collected(scene)
        with scene.work().spool.lock():
            renamed(scene)
            with pytest.raises(SourceBusy, match="plain: another run is at work"):
                carried_over(scene)
        carried_over(scene)
        go_on(scene)
        assert_all_is_there(scene)


def test_what_waits_on_another_machine_is_taken_along_there(tmp_path: Path) -> None:
    with plain_scene(tmp_path, start_from="1h") as scene:
        collected(scene)
        renamed(scene)
        spool, away = tmp_path / "work" / "spool" / "plain", tmp_path / "elsewhere"
        spool.rename(away)
        carried_over(scene)
        shutil.rmtree(spool)
        away.rename(spool)
        with scene.work() as work:
            assert carry_over(work)
            assert waiting_events(work) == 4
        go_on(scene)
        assert_all_is_there(scene)
