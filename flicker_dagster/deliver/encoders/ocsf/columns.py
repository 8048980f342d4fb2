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
    Type,
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
    "duration": LONG,
    "count": INT,
    "message": STR,
    "metadata": METADATA,
    "cloud": CLOUD,
    "observables": [OBSERVABLE],
    "enrichments": [ENRICHMENT],
}
_LAST = {"raw_data": STR, "raw_data_hash": {"algorithm": STR, "algorithm_id": INT, "value": STR}, "unmapped": JSON}

_WHO = {"actor": ACTOR, "src_endpoint": ENDPOINT, "http_request": HTTP_REQUEST, "device": DEVICE}
_IAM = _WHO | {"user": USER, "user_result": USER, "resource": RESOURCE, "resources": [RESOURCE], "policy": POLICY}
_APPLICATION = _WHO | {"dst_endpoint": ENDPOINT, "resources": [RESOURCE]}

_OF_CLASS: dict[int, dict[str, Type]] = {
    2004: _WHO
    | {
        "finding_info": FINDING,
        "confidence": STR,
        "confidence_id": INT,
        "risk_level": STR,
        "risk_level_id": INT,
        "is_alert": BOOL,
        "comment": STR,
        "resources": [RESOURCE],
        "evidences": JSON,
    },
    3001: _IAM | {"policies": [POLICY], "auth_factors": [FACTOR]},
    3002: _WHO
    | {
        "user": USER,
        "service": SERVICE,
        "session": SESSION,
        "dst_endpoint": ENDPOINT,
        "auth_protocol": STR,
        "auth_protocol_id": INT,
        "auth_factors": [FACTOR],
        "logon_type": STR,
        "logon_type_id": INT,
        "is_cleartext": BOOL,
        "is_mfa": BOOL,
        "is_new_logon": BOOL,
        "is_remote": BOOL,
        "account_switch_type": STR,
        "account_switch_type_id": INT,
    },
    3003: _IAM | {"session": SESSION, "dst_endpoint": ENDPOINT, "privileges": [STR], "group": GROUP, "groups": [GROUP]},
    3004: _WHO | {"entity": ENTITY, "entity_result": ENTITY, "comment": STR, "access_list": [STR], "access_mask": LONG},
    3005: _IAM | {"privileges": [STR]},
    3006: _IAM | {"group": GROUP, "privileges": [STR], "subgroup": GROUP},
    3007: _IAM | {"policies": [POLICY], "privileges": [STR], "iam_roles": [ROLE], "auth_factors": [FACTOR]},
    3008: _WHO | {"iam_role": ROLE, "policies": [POLICY], "privileges": [STR], "resources": [RESOURCE]},
    6001: _APPLICATION | {"web_resources": [WEB_RESOURCE], "web_resources_result": [WEB_RESOURCE], "tls": JSON},
    6002: _WHO | {"app": PRODUCT},
    6003: _APPLICATION | {"api": API},
    6005: _APPLICATION
    | {
        "database": DATABASE,
        "databucket": BUCKET,
        "table": TABLE,
        "type": STR,
        "type_id": INT,
        "query_info": {"name": STR, "uid": STR, "query_string": STR, "query_time": LONG, "bytes": LONG, "data": JSON},
    },
    6006: _APPLICATION
    | {
        "file": FILE,
        "file_result": FILE,
        "share": STR,
        "share_type": STR,
        "share_type_id": INT,
        "access_list": [STR],
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
    if class_uid == 3006 and release >= (1, 9):
        own = {**{name: kind for name, kind in own.items() if name != "user"}, "users": [USER]}
    return _BASE | own | _LAST


def signature_of(kind: Type) -> str:
    """A type in short: `{a:str,b:[int]}`."""
    if isinstance(kind, str):
        return kind
    if isinstance(kind, list):
        return f"[{signature_of(kind[0])}]"
    return f"{{{','.join(f'{name}:{signature_of(inner)}' for name, inner in kind.items())}}}"
