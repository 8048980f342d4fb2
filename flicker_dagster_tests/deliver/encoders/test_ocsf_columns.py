"""The columns of OCSF stay as they are: a table in a lake cannot be read once a column's type has changed."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from typing import Any

import pytest
from ocsf_json_schema import get_ocsf_schema

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.destinations.security_lake import CLASS_UIDS
from flicker_dagster.deliver.encoders.ocsf.columns import columns_of, signature_of

VERSIONS = ("1.1.0", "1.3.0", "1.8.0", "1.9.0")

#: Digests of the columns that were ever written. Whoever changes one has to raise the number in `OcsfParquet.encoding`, and to
#: tell users that their tables need it.
PINNED = {
    (2004, "1.1.0"): "4e7e9d4b7bb9",
    (2004, "1.3.0"): "be154bf3de09",
    (2004, "1.8.0"): "b3e98ae049da",
    (2004, "1.9.0"): "b3e98ae049da",
    (3001, "1.1.0"): "8706e504ea8c",
    (3001, "1.3.0"): "605675c554a2",
    (3001, "1.8.0"): "773e4c39c57a",
    (3001, "1.9.0"): "773e4c39c57a",
    (3002, "1.1.0"): "cfc3ffe7b880",
    (3002, "1.3.0"): "b4fecd8ef524",
    (3002, "1.8.0"): "08b39c0b58d4",
    (3002, "1.9.0"): "08b39c0b58d4",
    (3003, "1.1.0"): "403257481557",
    (3003, "1.3.0"): "3a069b3bd06c",
    (3003, "1.8.0"): "639ee577b16c",
    (3003, "1.9.0"): "639ee577b16c",
    (3004, "1.1.0"): "1844530e356b",
    (3004, "1.3.0"): "df9436c77434",
    (3004, "1.8.0"): "91f182eb78bb",
    (3004, "1.9.0"): "91f182eb78bb",
    (3005, "1.1.0"): "8bfe9d1f05e3",
    (3005, "1.3.0"): "06b39a1c6f7d",
    (3005, "1.8.0"): "b7f807fe30aa",
    (3005, "1.9.0"): "b7f807fe30aa",
    (3006, "1.1.0"): "756f0db2456a",
    (3006, "1.3.0"): "eac774dbb077",
    (3006, "1.8.0"): "eab7d60af5b7",
    (3006, "1.9.0"): "32fe0e4fb588",
    (3007, "1.9.0"): "1db762213d97",
    (3008, "1.9.0"): "79ee734279c6",
    (6001, "1.1.0"): "385eb36c84d7",
    (6001, "1.3.0"): "a5d3e8453881",
    (6001, "1.8.0"): "22602d8d2de0",
    (6001, "1.9.0"): "22602d8d2de0",
    (6002, "1.1.0"): "708e04b0947e",
    (6002, "1.3.0"): "f2f9775f018c",
    (6002, "1.8.0"): "b83a16cac1ef",
    (6002, "1.9.0"): "b83a16cac1ef",
    (6003, "1.1.0"): "8c2b4db39d2c",
    (6003, "1.3.0"): "3f6d883417f3",
    (6003, "1.8.0"): "b4b805d266b0",
    (6003, "1.9.0"): "b4b805d266b0",
    (6005, "1.1.0"): "3691f286e650",
    (6005, "1.3.0"): "dbd52a439ef6",
    (6005, "1.8.0"): "d8fb80d7fff4",
    (6005, "1.9.0"): "d8fb80d7fff4",
    (6006, "1.1.0"): "679808f411c4",
    (6006, "1.3.0"): "4783961ebc3a",
    (6006, "1.8.0"): "f606f6871c88",
    (6006, "1.9.0"): "f606f6871c88",
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


# -- asked of OCSF's own schemas

PACKAGED = ("1.1.0", "1.3.0", "1.8.0")
_BASES = {"str": "string_t", "int": "integer_t", "long": "long_t", "bool": "boolean_t", "double": "float_t"}


@cache
def _schema(version: str) -> dict[str, Any]:
    return get_ocsf_schema(version)


def _base_of(type_name: str) -> str:
    """`username_t` is a `string_t`."""
    types = _schema("1.8.0")["dictionary"]["types"]["attributes"]
    while types.get(type_name, {}).get("type"):
        type_name = types[type_name]["type"]
    return type_name


def _differences(columns: Any, attributes: dict[str, Any], objects: dict[str, Any], at: str) -> list[str]:
    found: list[str] = []
    for name, kind in columns.items():
        attribute = attributes.get(name)
        if attribute is None:
            found.append(f"{at}.{name} is not in the schema")
            continue
        if kind == "json":
            if attribute["type"] not in ("json_t", "object_t"):
                found.append(f"{at}.{name} is {attribute['type']}, not open")
            continue
        if isinstance(kind, list) != bool(attribute.get("is_array")):
            found.append(f"{at}.{name} is a list in one and not in the other")
            continue
        one = kind[0] if isinstance(kind, list) else kind
        if isinstance(one, dict):
            inner = objects.get(attribute.get("object_type", ""), {"attributes": {}})["attributes"]
            found += _differences(one, inner, objects, f"{at}.{name}")
        elif _base_of(attribute["type"]) != _BASES[one]:
            found.append(f"{at}.{name} is {_base_of(attribute['type'])}, not {one}")
    return found


@pytest.mark.parametrize(("class_uid", "version"), [each for each in PINNED if each[1] in PACKAGED])
def test_the_columns_are_attributes_of_the_schema_with_its_types(class_uid: int, version: str) -> None:
    schema = _schema(version)
    (name,) = (name for name, uid in CLASS_UIDS.items() if uid == class_uid)
    assert (
        _differences(columns_of(class_uid, version), schema["classes"][name]["attributes"], schema["objects"], name)
        == []
    )
