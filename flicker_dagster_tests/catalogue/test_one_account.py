"""Two entries of `api_sources` that name one account: its tokens are minted once, and its quota is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.errors import CollectError
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.catalogue.rows import MANY
from flicker_dagster_tests.catalogue.scenes import CatalogueScene, scene_of

BUDGET = {"rate_limit": {"budgets": [{"requests": 6, "per_ms": 60_000}], "reserve": 0}}


@pytest.fixture
def siem() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def first(tmp_path: Path, siem: Receiver) -> Iterator[CatalogueScene]:
    """A source of an account whose refresh tokens serve once."""
    with scene_of(tmp_path, siem, "workday", "", options={"rotates": True}, account="acme") as scene:
        yield scene


def collected(*scenes: CatalogueScene) -> None:
    for each in scenes:
        each.begin()
    scenes[0].emit(MANY)
    for each in scenes:
        each.drain()
        each.assert_each_once()


def minted(scene: CatalogueScene) -> int:
    return scene.vendor.minting.minted


def test_its_token_is_minted_once_and_its_rotated_refresh_token_is_shared(first: CatalogueScene) -> None:
    second = first.another("second", account="acme")
    collected(first, second)
    assert minted(first) == 1
    for lives in (2, 3):
        first.clock.wait(3600)
        first.emit(MANY)
        for each in (second, first):
            each.drain()
            each.assert_each_once()
        assert minted(first) == lives
    assert first.failures == second.failures == []


def test_a_pause_that_one_was_asked_for_is_the_others_as_well(first: CatalogueScene) -> None:
    second = first.another("second", account="acme")
    collected(first, second)
    first.vendor.faults.plan("429", seconds=20)
    with pytest.raises(CollectError):
        first.poll()
    asked_s = first.clock()
    second.poll()
    assert first.clock() >= asked_s + 20


def test_its_declared_budget_is_one(tmp_path: Path, siem: Receiver) -> None:
    """Ten polls of each of them: twenty requests, of which six are sent in any minute."""
    with scene_of(tmp_path, siem, "okta", "", account="acme", **BUDGET) as first:
        second = first.another("second", account="acme", **BUDGET)
        began_s = first.clock()
        for _ in range(10):
            for each in (first, second):
                each.poll_anyhow()
        assert first.vendor.requests >= 20
        assert first.clock() - began_s >= (first.vendor.requests / 6 - 1) * 60


def test_what_was_rotated_under_the_sources_own_name_serves_the_account(first: CatalogueScene) -> None:
    """As it is with a token that was kept before the account was named."""
    alone = first.another("second")
    collected(alone)
    second = first.another("second", account="acme")
    collected(second, first)
    assert minted(first) == 1
    first.clock.wait(3600)
    collected(first, second)
    assert minted(first) == 2


def test_what_was_rotated_goes_on_under_a_sources_new_name(first: CatalogueScene) -> None:
    former = first.another("former")
    collected(former)
    renamed = first.another("renamed", renamed_from="former")
    first.clock.wait(3600)
    collected(renamed)
    assert minted(first) == 2
    assert renamed.failures == []


def test_sources_of_an_account_may_be_renamed_and_stand_in_any_order(first: CatalogueScene) -> None:
    second = first.another("second", account="acme")
    collected(second, first)
    renamed = first.another("renamed", renamed_from="second", account="acme")
    first.clock.wait(3600)
    collected(renamed, first)
    assert minted(first) == 2
    assert renamed.failures == []
