"""`flicker dead-letters`: what the SIEM refuses for good can be looked at, sent again and removed."""

from __future__ import annotations

import json
import re

import pytest

from flicker_dagster import failpoints
from flicker_dagster_tests.cli.scene import Scene
from flicker_dagster_tests.state.builders import letter

OKTA = "okta-audit-logs"


@pytest.fixture(autouse=True)
def refused(scene: Scene) -> list[str]:
    """Three events of Okta that the SIEM refuses, two of them from one poll."""
    emitter = scene.world.vendor("okta").emitter
    ids = [event.id for event in emitter.emit(2)]
    scene.world.siem.poison = ids[0]
    assert scene.run("--once", "--track").returncode == 0
    ids.append(emitter.emit(1)[0].id)
    scene.world.siem.poison = ids[2]
    assert scene.run("--once", "--track").returncode == 0
    return [ids[0], ids[2]]


def received(scene: Scene) -> dict[str, int]:
    return scene.world.siem.ids("/okta")


def ids_listed(scene: Scene) -> list[str]:
    """The ids that `list` shows, from its store's point of view."""
    letters = scene.layout().dead_letters(OKTA)
    return letters.list()


def ledger_ids(scene: Scene) -> int:
    ledger = scene.layout().ledger(OKTA)
    return sum(ledger.count(window) for window in ledger.windows())


def test_list_names_source_id_reason_answer_and_count(scene: Scene, refused: list[str]) -> None:
    done = scene.invoke("dead-letters", "list")
    assert done.exit_code == 0, done.output
    assert done.output.count(OKTA) == 2
    assert "HTTP 400 Bad Request" in done.output
    assert "an event is not acceptable" in done.output
    for letter_id in ids_listed(scene):
        assert letter_id in re.sub(r"[\s│]", "", done.output)
    assert "no dead letters" in scene.invoke("dead-letters", "list", "github-audit-log").output


def test_the_name_of_a_source_lists_those_of_its_streams(scene: Scene) -> None:
    for name in ("duo/admin", "duo-2"):
        scene.layout().dead_letters(name).add([letter()])
    done = scene.invoke("dead-letters", "list", "duo")
    assert "duo/admin" in done.output
    assert "duo-2" not in done.output


def test_show_gives_the_reason_and_the_exact_bytes(scene: Scene, refused: list[str]) -> None:
    sent = {event.id: event.body for event in scene.world.vendor("okta").emitter.emitted()}
    shown = scene.run("dead-letters", "show", "--raw", ids_listed(scene)[0])
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.rstrip("\n").encode() in [sent[event_id] for event_id in refused]
    assert "an event is not acceptable" in scene.invoke("dead-letters", "show", ids_listed(scene)[0]).output


def test_show_of_an_id_that_is_not_there_says_where_to_look(scene: Scene) -> None:
    done = scene.invoke("dead-letters", "show", "2020-01-01/none")
    assert done.exit_code == 2
    assert "dead-letters list" in done.output


def test_what_the_siem_takes_in_a_replay_is_removed_and_known_and_sent_once(scene: Scene, refused: list[str]) -> None:
    scene.world.siem.poison = refused[1]
    done = scene.invoke("dead-letters", "replay")
    assert done.exit_code == 1, done.output
    assert "1 events accepted and removed, 1 refused again and kept" in done.output
    assert received(scene)[refused[0]] == 1
    assert refused[1] not in received(scene)
    assert len(ids_listed(scene)) == 1
    scene.world.siem.poison = None
    assert scene.invoke("dead-letters", "replay", OKTA).exit_code == 0
    assert ids_listed(scene) == []
    assert received(scene)[refused[1]] == 1
    assert ledger_ids(scene) == len(scene.world.vendor("okta").emitter.emitted())
    assert scene.run("--once", "--track").returncode == 0
    assert all(row.twice == row.missing == 0 for row in scene.world.compare())


def test_a_replay_puts_ids_that_the_ledger_has_forgotten_back(scene: Scene, refused: list[str]) -> None:
    ledger = scene.layout().ledger(OKTA)
    ledger.prune("9999")
    scene.world.siem.poison = None
    assert scene.invoke("dead-letters", "replay").exit_code == 0
    assert ledger_ids(scene) == len(refused)


def test_one_id_alone_can_be_replayed(scene: Scene, refused: list[str]) -> None:
    scene.world.siem.poison = None
    first, second = ids_listed(scene)
    assert scene.invoke("dead-letters", "replay", "--id", first).exit_code == 0
    assert ids_listed(scene) == [second]


@pytest.mark.parametrize("status", ["401", "403", "404", "503"])
def test_while_the_siem_is_down_or_refuses_the_door_a_replay_keeps_everything(scene: Scene, status: str) -> None:
    before = ids_listed(scene)
    scene.world.siem.faults.plan(status, count=None)
    done = scene.invoke("dead-letters", "replay")
    assert done.exit_code == 1
    assert f"HTTP {status}" in done.output
    assert "are kept" in done.output
    assert ids_listed(scene) == before


@pytest.mark.parametrize(
    "point", ["deliver.after_send", "replay.before_ledger", "replay.after_ledger", "replay.before_drop"]
)
def test_a_replay_killed_after_the_siems_answer_loses_nothing_and_uses_the_same_key(
    scene: Scene, refused: list[str], point: str
) -> None:
    scene.world.siem.poison = None
    scene.env[failpoints.VARIABLE] = point
    assert scene.run("dead-letters", "replay").returncode != 0
    del scene.env[failpoints.VARIABLE]
    assert len(ids_listed(scene)) == 2
    inbox = scene.world.siem.inbox("/okta")
    assert scene.run("dead-letters", "replay").returncode == 0
    assert ids_listed(scene) == []
    assert inbox.repeated_batches == 1
    assert inbox.repeated_otherwise == 0
    assert set(refused) <= set(received(scene))


def test_drop_asks_and_removes_only_when_told(scene: Scene) -> None:
    assert scene.invoke("dead-letters", "drop", OKTA).exit_code == 1
    assert len(ids_listed(scene)) == 2
    assert scene.invoke("dead-letters", "drop").exit_code == 2
    first, second = ids_listed(scene)
    done = scene.invoke("dead-letters", "drop", "--id", first, "--yes")
    assert done.exit_code == 0, done.output
    assert ids_listed(scene) == [second]
    assert "1 events removed" in done.output


def test_dead_letters_of_a_source_that_was_removed_are_still_listed(scene: Scene) -> None:
    text = scene.config_path.read_text()
    scene.config_path.write_text(text.replace(f"name: {OKTA}", "name: another-name"))
    assert OKTA in scene.invoke("dead-letters", "list").output
    done = scene.invoke("dead-letters", "replay")
    assert done.exit_code == 2
    assert OKTA in done.output


def test_what_is_kept_is_readable_json(scene: Scene) -> None:
    [line, *_] = (scene.home / "work" / "dead-letters" / OKTA / ids_listed(scene)[0]).read_text().splitlines()
    assert json.loads(line)["status"] == "HTTP 400 Bad Request"
