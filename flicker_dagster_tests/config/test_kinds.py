"""Records told apart by their `type` are known by name before any is imported; none of them is forgotten."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

import flicker_dagster
from flicker_dagster.config import auth, destinations
from flicker_dagster.config.auth.fixed import BearerAuth
from flicker_dagster.config.kinds import Kinds
from flicker_dagster.config.records import Record
from flicker_dagster.config.shape import tag_of

EXAMPLE = Path(flicker_dagster.__file__).parent / "cli" / "example.yaml"


def _defined_in(package: ModuleType, base: type[Record]) -> dict[str, type[Record]]:
    """Every record of a package that has a `type` of its own, and is of that base."""
    modules = [
        importlib.import_module(f"{package.__name__}.{each.name}") for each in pkgutil.iter_modules(package.__path__)
    ]
    records = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    return {tag: each for each in records if issubclass(each, base) and (tag := tag_of(each))}


@pytest.mark.parametrize(
    ("package", "base", "kinds"),
    [
        (destinations, destinations.DestinationRecord, destinations.DESTINATIONS),
        (auth, auth.AuthRecord, auth.WAYS),
    ],
    ids=["destinations", "auth"],
)
def test_each_record_is_found_by_its_type(package: ModuleType, base: type[Record], kinds: Kinds) -> None:
    assert kinds.records() == _defined_in(package, base)


def test_of_the_records_those_are_imported_that_a_configuration_names() -> None:
    code = (
        "import sys; from flicker_dagster.config.load import load_config;"
        f"assert {{each.destination.type for each in load_config({str(EXAMPLE)!r}).sources}} == {{'http'}};"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    packages = (auth.__name__, destinations.__name__)
    assert {name.rpartition(".")[2] for name in loaded if name.startswith(packages) and name not in packages} == {
        "base",
        "fixed",
        "http",
    }


def test_a_record_is_taken_as_it_is() -> None:
    record = BearerAuth(type="bearer", token="t")
    assert TypeAdapter(auth.Auth).validate_python(record) is record


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ({"type": "bearer"}, "missing"),
        ({"type": "baerer"}, "union_tag_invalid"),
        ({"type": ["bearer"]}, "union_tag_invalid"),
        ({"token": "t"}, "union_tag_not_found"),
        ("bearer", "model_attributes_type"),
        (None, "model_attributes_type"),
    ],
)
def test_what_names_no_record_is_an_error_of_the_union(raw: Any, fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(auth.Auth).validate_python(raw)
    assert [error["type"] for error in caught.value.errors()] == [fault]
