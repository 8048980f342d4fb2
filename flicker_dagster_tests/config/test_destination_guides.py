"""What a guide tells to paste is a destination, and opening it asks nobody."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from flicker_dagster.config.destinations import destination_adapter, records
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.deliver.destination import LaneContext, open_destination

every_record = pytest.mark.parametrize("record", records().values(), ids=records())


def pasted(record: type[DestinationRecord]) -> DestinationRecord:
    ((_, keys),) = yaml.safe_load(record.GUIDE.block).items()
    return destination_adapter().validate_python(keys)


def _is_delivered(kind: str) -> bool:
    """Is there a module for it? What there was before destinations has none."""
    return find_spec(f"flicker_dagster.deliver.destinations.{kind}") is not None


@every_record
def test_its_block_is_a_destination_of_its_type_without_faults(record: type[DestinationRecord]) -> None:
    found = pasted(record)
    assert type(found) is record
    assert found.all_faults() == []
    assert all(isinstance(address, str) for address in found.addresses())


@every_record
def test_it_says_all_that_a_person_must_know(record: type[DestinationRecord]) -> None:
    guide = record.GUIDE
    assert guide.title
    assert guide.create
    assert guide.rights.endswith(".")
    assert guide.bound
    texts = [*guide.create, guide.rights, guide.bound, *guide.notes]
    assert all(text.count("`") % 2 == 0 for text in texts)


@pytest.mark.parametrize("record", [record for kind, record in records().items() if _is_delivered(kind)])
def test_opening_it_resolves_no_secret_and_asks_nobody(
    record: type[DestinationRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it connects"))
    destination = open_destination(pasted(record), LaneContext(stream="okta", env={}))
    assert destination.describe()
    destination.close()
