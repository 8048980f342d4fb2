"""A source of several streams that gets another name: each of its streams goes on where it stood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.pipeline.carry_over import carry_over
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.catalogue.rows import MANY
from flicker_dagster_tests.catalogue.scenes import CatalogueScene, scene_of, source_of


@pytest.fixture
def siem() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def renamed(scene: CatalogueScene) -> None:
    """As the next start finds it: nothing but the state is known, and collection would begin now."""
    scene.source = source_of(
        scene.vendor, scene.siem, scene.source.stream, name="new", renamed_from=scene.vendor.name, start_from="now"
    )
    scene.cursor = None
    with scene.work() as work:
        carry_over(work)


def test_each_stream_goes_on_where_it_stood(tmp_path: Path, siem: Receiver) -> None:
    with scene_of(tmp_path, siem, "zoom", "sign_in_activities") as scene:
        both = (scene, scene.beside())
        for each in both:
            each.begin()
            each.emit(MANY)
            each.drain()
            each.emit(MANY)
        scene.clock.wait(1800)
        for each in both:
            renamed(each)
            assert each.source.renamed_from == f"zoom/{each.source.stream}"
        for each in both:
            each.drain()
            each.assert_each_once()
        assert scene.vendor.minting.minted == 1
