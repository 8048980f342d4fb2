"""The columns of each class of OCSF, the same for every event and object: a table's type once written is never another."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from flicker_dagster.deliver.encoders.ocsf.objects import (
    ACTOR,
    API,
    BOOL,
    BUCKET,
    CLOUD,
    DATABASE,
    DEVICE,
    ENDPOINT,
    ENRICHMENT,
    ENTITY,
    FACTOR,
    FILE,
    FINDING,
    GROUP,
    HTTP_REQUEST,
    INT,
    JSON,
    LONG,
    METADATA,
    OBSERVABLE,
    POLICY,
    PRODUCT,
    RESOURCE,
    ROLE,
    SERVICE,
    SESSION,
    STR,
    TABLE,
    USER,
    WEB_RESOURCE,
    Since,
    Type,
    from_1_3,
    from_1_8,
    from_1_9,
)

Columns = Mapping[str, Type]

#: Attributes of every class. `unmapped` comes last, behind all others of a class, as do those that hold text at length.
_BASE = {
    "time": LONG,
    "class_uid": INT,
    "class_name": STR,
    "category_uid": INT,
    "category_name": STR,
    "activity_id": INT,
    "activity_name": STR,
    "type_uid": LONG,
    "type_name": STR,
    "severity_id": INT,
    "severity": STR,
    "status_id": INT,
    "status": STR,
    "status_code": STR,
    "status_detail": STR,
    "start_time": LONG,
    "end_time": LONG,
    "timezone_offset": INT,
    "duration": from_1_3(LONG, before=INT),
    "count": INT,
    "message": STR,
    "metadata": METADATA,
    "cloud": CLOUD,
    "observables": [OBSERVABLE],
    "enrichments": [ENRICHMENT],
}
_LAST = {
    "raw_data": STR,
    "raw_data_hash": from_1_8({"algorithm": STR, "algorithm_id": INT, "value": STR}),
    "unmapped": JSON,
}

_WHO = {"actor": ACTOR, "src_endpoint": ENDPOINT, "http_request": HTTP_REQUEST, "device": DEVICE}
_WHO_LATE = _WHO | {"src_endpoint": from_1_3(ENDPOINT), "http_request": from_1_3(HTTP_REQUEST)}
_WHO_IN_APPLICATION = _WHO | {"device": from_1_8(DEVICE), "dst_endpoint": ENDPOINT}

_OF_CLASS: dict[int, dict[str, Type]] = {
    2004: {
        "actor": ACTOR,
        "device": DEVICE,
        "finding_info": FINDING,
        "confidence": STR,
        "confidence_id": INT,
        "risk_level": STR,
        "risk_level_id": INT,
        "is_alert": from_1_8(BOOL),
        "comment": STR,
        "resources": [RESOURCE],
    },
    3001: _WHO
    | {
        "user": USER,
        "user_result": USER,
        "policy": POLICY,
        "policies": from_1_8([POLICY]),
        "auth_factors": from_1_8([FACTOR]),
    },
    3002: _WHO
    | {
        "user": USER,
        "service": SERVICE,
        "session": SESSION,
        "dst_endpoint": ENDPOINT,
        "auth_protocol": STR,
        "auth_protocol_id": INT,
        "auth_factors": from_1_3([FACTOR]),
        "logon_type": STR,
        "logon_type_id": INT,
        "is_cleartext": BOOL,
        "is_mfa": BOOL,
        "is_new_logon": BOOL,
        "is_remote": BOOL,
        "account_switch_type": from_1_8(STR),
        "account_switch_type_id": from_1_8(INT),
    },
    3003: _WHO_LATE
    | {
        "user": USER,
        "session": SESSION,
        "dst_endpoint": ENDPOINT,
        "privileges": [STR],
        "group": GROUP,
        "policy": from_1_8(POLICY),
    },
    3004: _WHO_LATE
    | {
        "entity": ENTITY,
        "entity_result": ENTITY,
        "comment": STR,
        "access_list": from_1_3([STR]),
        "access_mask": from_1_3(INT),
    },
    3005: _WHO_LATE
    | {
        "user": USER,
        "privileges": [STR],
        "resource": RESOURCE,
        "resources": from_1_8([RESOURCE]),
        "policy": from_1_8(POLICY),
    },
    3006: _WHO_LATE
    | {
        "group": GROUP,
        "subgroup": from_1_8(GROUP),
        "user": from_1_9(None, before=USER),
        "users": from_1_9([USER]),
        "privileges": [STR],
        "resource": RESOURCE,
        "policy": from_1_8(POLICY),
    },
    3007: _WHO
    | {
        "user": USER,
        "user_result": USER,
        "policy": POLICY,
        "policies": [POLICY],
        "privileges": [STR],
        "iam_roles": [ROLE],
        "auth_factors": [FACTOR],
    },
    3008: _WHO | {"iam_role": ROLE, "policies": [POLICY], "privileges": [STR], "resources": [RESOURCE]},
    6001: _WHO | {"dst_endpoint": ENDPOINT, "web_resources": [WEB_RESOURCE], "web_resources_result": [WEB_RESOURCE]},
    6002: {"actor": ACTOR, "device": DEVICE, "app": PRODUCT},
    6003: _WHO_IN_APPLICATION | {"api": API, "resources": [RESOURCE]},
    6005: _WHO_IN_APPLICATION
    | {
        "database": DATABASE,
        "databucket": BUCKET,
        "table": TABLE,
        "type": STR,
        "type_id": INT,
        "query_info": {"name": STR, "uid": STR, "query_string": STR, "query_time": LONG, "bytes": LONG, "data": JSON},
    },
    6006: _WHO_IN_APPLICATION
    | {
        "http_request": from_1_8(HTTP_REQUEST),
        "file": FILE,
        "file_result": from_1_3(FILE),
        "share": from_1_8(STR),
        "share_type": from_1_8(STR),
        "share_type_id": from_1_8(INT),
        "access_list": from_1_8([STR]),
        "expiration_time": LONG,
    },
}

#: The version in which a class came.
_SINCE = {3007: (1, 9), 3008: (1, 9)}


@cache
def columns_of(class_uid: int, version: str) -> Columns | None:
    """The columns of a class in a version of OCSF, in their order; None for a class that has none here."""
    own = _OF_CLASS.get(class_uid)
    release = tuple(int(part) for part in version.split(".")[:2])
    if own is None or release < _SINCE.get(class_uid, (1, 0)):
        return None
    return _at(_BASE | own | _LAST, release)


def _at(kind: Type, release: tuple[int, ...]) -> Type:
    """A type as it is in a version; None for an attribute that is not known there."""
    if isinstance(kind, Since):
        return _at(kind.kind if release >= kind.version else kind.before, release)
    if isinstance(kind, list):
        return [_at(kind[0], release)]
    if isinstance(kind, dict):
        known = ((name, _at(inner, release)) for name, inner in kind.items())
        return {name: inner for name, inner in known if inner is not None}
    return kind


def signature_of(kind: Type) -> str:
    """A type in short: `{a:str,b:[int]}`."""
    if isinstance(kind, str):
        return kind
    if isinstance(kind, list):
        return f"[{signature_of(kind[0])}]"
    return f"{{{','.join(f'{name}:{signature_of(inner)}' for name, inner in kind.items())}}}"
