from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state.layout import StateLayout
from flicker_dagster_tests.state.builders import at, digests, letter


def test_without_a_registry_file_everything_lies_in_the_state_directory(tmp_path: Path) -> None:
    layout = StateLayout.of(None, tmp_path / "state", tmp_path / "work")
    layout.registry().commit("okta", at(1), seen=None)
    layout.ledger("okta").add({"2025-12-17T15": digests([1])})
    [letter_id] = layout.dead_letters("okta").add([letter()])
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock"} == {
        "state/registry.json",
        "state/positions/okta.json",
        "state/ledger/okta/2025-12-17T15",
        f"state/dead-letters/okta/{letter_id}",
    }


def test_with_a_registry_file_the_rest_lies_beside_it(tmp_path: Path) -> None:
    layout = StateLayout.of(str(tmp_path / ".flicker-registry.json"), "unused", tmp_path / "work")
    layout.registry().commit("okta", at(1), seen=None)
    layout.ledger("okta").add({"h": digests([1])})
    assert (tmp_path / ".flicker-registry.json").is_file()
    assert (tmp_path / ".flicker-registry" / "ledger" / "okta" / "h").is_file()
    assert not Path("unused").exists()


@pytest.mark.parametrize(
    ("registry_file", "registry", "beside"),
    [
        ("s3://company-logs/flicker-registry.json", "s3://company-logs/flicker-registry.json",
         "s3://company-logs/flicker-registry/x"),
        ("s3://company-logs/a/b.json", "s3://company-logs/a/b.json", "s3://company-logs/a/b/x"),
        ("s3://company-logs/registry", "s3://company-logs/registry", "s3://company-logs/registry.state/x"),
        ("/data/registry", "/data/registry", "/data/registry.state/x"),
        ("./x/.flicker-registry.json", "x/.flicker-registry.json", "x/.flicker-registry/x"),
        ("registry.json", "registry.json", "registry/x"),
    ],
)  # fmt: skip
def test_addresses_are_laid_out_as_documented(registry_file: str, registry: str, beside: str) -> None:
    layout = StateLayout.of(registry_file, "state", "work")
    assert layout.registry().where == registry
    assert layout.store.describe("x") == beside


@pytest.mark.parametrize("registry_file", ["s3://", "s3://company-logs", "s3://company-logs/", "/data/", "/"])
def test_an_address_that_names_no_object_is_refused(registry_file: str) -> None:
    with pytest.raises(StateError, match=r"s3://bucket|a directory|s3://company-logs/flicker-registry\.json"):
        StateLayout.of(registry_file, "state", "work")


def test_state_in_s3_keeps_its_spool_and_shard_copies_in_the_work_directory(bucket: str, tmp_path: Path) -> None:
    layout = StateLayout.of(f"s3://{bucket}/flicker-registry.json", "unused", tmp_path)
    assert layout.registry().commit("okta", at(1), seen=None) == at(1)
    layout.ledger("okta").add({"h": digests([1])})
    assert layout.ledger("okta").count("h") == 1
    assert layout.registry().where == f"s3://{bucket}/flicker-registry.json"
    assert [p.parent.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()] == ["cache/ledger"]
    assert sorted(layout.store.list("")) == ["ledger/okta/h", "positions/okta.json"]
