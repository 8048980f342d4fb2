"""The columns of OCSF stay as they are: a table in a lake cannot be read once a column's type has changed."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.destinations.security_lake import CLASS_UIDS
from flicker_dagster.deliver.encoders.ocsf.columns import columns_of, signature_of

VERSIONS = ("1.1.0", "1.3.0", "1.8.0", "1.9.0")

#: Digests of the columns that were ever written. Whoever changes one has to raise the number in `OcsfParquet.encoding`, and to
#: tell users that their tables need it.
PINNED = {
    (2004, "1.1.0"): "46a87675a4cd",
    (2004, "1.3.0"): "46a87675a4cd",
    (2004, "1.8.0"): "46a87675a4cd",
    (2004, "1.9.0"): "46a87675a4cd",
    (3001, "1.1.0"): "613c03ee8b60",
    (3001, "1.3.0"): "613c03ee8b60",
    (3001, "1.8.0"): "613c03ee8b60",
    (3001, "1.9.0"): "613c03ee8b60",
    (3002, "1.1.0"): "03154f8e629b",
    (3002, "1.3.0"): "03154f8e629b",
    (3002, "1.8.0"): "03154f8e629b",
    (3002, "1.9.0"): "03154f8e629b",
    (3003, "1.1.0"): "7cef12ba59a8",
    (3003, "1.3.0"): "7cef12ba59a8",
    (3003, "1.8.0"): "7cef12ba59a8",
    (3003, "1.9.0"): "7cef12ba59a8",
    (3004, "1.1.0"): "b679850038e2",
    (3004, "1.3.0"): "b679850038e2",
    (3004, "1.8.0"): "b679850038e2",
    (3004, "1.9.0"): "b679850038e2",
    (3005, "1.1.0"): "b0fa3f1318f5",
    (3005, "1.3.0"): "b0fa3f1318f5",
    (3005, "1.8.0"): "b0fa3f1318f5",
    (3005, "1.9.0"): "b0fa3f1318f5",
    (3006, "1.1.0"): "e39a81cea77c",
    (3006, "1.3.0"): "e39a81cea77c",
    (3006, "1.8.0"): "e39a81cea77c",
    (3006, "1.9.0"): "e9c83dcdf851",
    (3007, "1.9.0"): "0eb6bff0a993",
    (3008, "1.9.0"): "7759362a22fa",
    (6001, "1.1.0"): "b76812c1a5d0",
    (6001, "1.3.0"): "b76812c1a5d0",
    (6001, "1.8.0"): "b76812c1a5d0",
    (6001, "1.9.0"): "b76812c1a5d0",
    (6002, "1.1.0"): "182246e66be4",
    (6002, "1.3.0"): "182246e66be4",
    (6002, "1.8.0"): "182246e66be4",
    (6002, "1.9.0"): "182246e66be4",
    (6003, "1.1.0"): "b7e522e7588d",
    (6003, "1.3.0"): "b7e522e7588d",
    (6003, "1.8.0"): "b7e522e7588d",
    (6003, "1.9.0"): "b7e522e7588d",
    (6005, "1.1.0"): "d684912ebe25",
    (6005, "1.3.0"): "d684912ebe25",
    (6005, "1.8.0"): "d684912ebe25",
    (6005, "1.9.0"): "d684912ebe25",
    (6006, "1.1.0"): "ee71b24a83f6",
    (6006, "1.3.0"): "ee71b24a83f6",
    (6006, "1.8.0"): "ee71b24a83f6",
    (6006, "1.9.0"): "ee71b24a83f6",
}


@pytest.mark.parametrize(("class_uid", "version"), PINNED)
def test_the_columns_of_a_class_are_those_that_were_written_before(class_uid: int, version: str) -> None:
    columns = columns_of(class_uid, version)
    assert columns is not None
    assert blake2b(signature_of(dict(columns)).encode(), digest_size=6).hexdigest() == PINNED[class_uid, version]


def test_every_class_that_can_be_configured_has_columns_in_the_versions_that_know_it() -> None:
    assert {uid for uid, _ in PINNED} == set(CLASS_UIDS.values())
    assert {(u, v) for u in CLASS_UIDS.values() for v in VERSIONS if columns_of(u, v) is not None} == set(PINNED)
    assert not {(uid, version) for uid, version in PINNED if uid in (3007, 3008)} - {(3007, "1.9.0"), (3008, "1.9.0")}
    assert columns_of(4001, "1.8.0") is None


def test_the_versions_are_those_of_the_configuration() -> None:
    assert str(VERSIONS) in str(DestinationRecord.model_fields["ocsf_version"].annotation).replace("[", "(").replace(
        "]", ")"
    )
