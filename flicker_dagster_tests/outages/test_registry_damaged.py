"""Somebody damages, replaces or removes the registry: collection stops and says so, and loses and repeats nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flicker_dagster.errors import RegistryUnreadable
from flicker_dagster_tests.conformance.harness import Scene, plain_scene

DAMAGE = {
    "emptied": lambda whole: b"",
    "truncated": lambda whole: whole[: len(whole) // 2],
    "overwritten": lambda whole: b"\0" * len(whole),
    "another list": lambda whole: b"[1, 2]",
    "other JSON": lambda whole: b'{"name": "my-app", "dependencies": {}}',
    "of a later version": lambda whole: whole.replace(b'"version": 1', b'"version": 2'),
    "a time mistyped": lambda whole: whole.replace(b'"last_timestamp": "2', b'"last_timestamp": "x'),
}


def registry_file(scene: Scene) -> Path:
    return Path(scene.state) / "registry.json"


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("when", ["before the fetch", "before the commit", "before a new instance starts"])
def test_damage_stops_collection_until_it_is_repaired(tmp_path: Path, damage: str, when: str) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(20)
        scene.poll()
        file = registry_file(scene)
        whole = file.read_bytes()
        scene.clock.now_s += 5
        scene.emit(20)
        if when == "before the commit":
            scene.fetch()
        elif when == "before a new instance starts":
            scene.cursor = None
        damaged = DAMAGE[damage](whole)
        file.write_bytes(damaged)
        for _ in range(2):
            with pytest.raises(RegistryUnreadable, match=r"registry\.json cannot be used: .* repair it, restore"):
                scene.deliver() if when == "before the commit" else scene.fetch()
        assert file.read_bytes() == damaged  # what is left of it may be needed for the repair
        file.write_bytes(whole)
        scene.poll()
        scene.assert_each_once()
        assert scene.siem.inbox("/siem").repeated_batches == 0


def test_a_removed_registry_is_written_anew_from_where_collection_stands(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(20)
        scene.poll()
        registry_file(scene).unlink()
        scene.clock.now_s += 600
        scene.emit(20, seconds_ago=300)
        report = scene.poll()
        scene.assert_each_once()
        assert report.registry_moved
        with scene.work() as work:
            assert work.registry.position("plain") == report.end


def test_a_new_instance_without_its_registry_goes_on_from_the_position_last_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with plain_scene(tmp_path, start_from="now") as scene:
        scene.poll()
        scene.clock.now_s += 5
        scene.emit(20)
        stood = scene.poll().end
        registry_file(scene).unlink()
        scene.cursor = None
        scene.clock.now_s += 3600
        scene.emit(20, seconds_ago=1800)  # a start from now would miss them
        assert scene.poll().start == stood
        scene.assert_each_once()
        assert "goes on from the position last saved" in caplog.text


def test_a_registry_set_back_by_a_restored_backup_does_not_set_collection_back(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(20)
        scene.poll()
        old = registry_file(scene).read_bytes()
        scene.clock.now_s += 60
        scene.emit(20)
        stood = scene.poll().end
        registry_file(scene).write_bytes(old)
        scene.clock.now_s += 60
        scene.emit(20)
        report = scene.poll()
        assert report.start == stood
        assert report.registry_moved
        with scene.work() as work:
            assert work.registry.position("plain") == report.end
        scene.assert_each_once()


def test_other_sources_and_remarks_outlive_everything_that_happens_to_one_entry(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(20)
        scene.poll()
        file = registry_file(scene)
        document = json.loads(file.read_bytes())
        other = {"last_timestamp": "2026-01-31T12:00:00.000Z", "cursor": "abc", "remark": "kept"}
        document["api_sources"] = {"other": other, "plain": "broken"}
        file.write_text(json.dumps(document))
        with pytest.raises(RegistryUnreadable, match="the entry of plain is not an object"):
            scene.fetch()
        del document["api_sources"]["plain"]
        file.write_text(json.dumps(document))
        scene.clock.now_s += 5
        scene.emit(20)
        scene.poll()
        scene.assert_each_once()
        assert json.loads(file.read_bytes())["api_sources"]["other"] == other
