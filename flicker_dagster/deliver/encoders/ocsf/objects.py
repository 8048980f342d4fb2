"""The objects of OCSF that audit events use, with the types of their attributes.

`long` is for times, which are milliseconds since the epoch, and `int` for enumerations. A nested object is a mapping of its
attributes, a list holds what it is a list of, and `json` is text that holds JSON: what the schema (schema.ocsf.io) leaves
open has no columns of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

STR, INT, LONG, BOOL, DOUBLE, JSON = "str", "int", "long", "bool", "double", "json"

#: A type: one of the names above, a list of one type, a mapping of names to types, or what it became with a version.
Type = Any


class Since(NamedTuple):
    """An attribute that came with a version of OCSF, was of another type `before` it, or went with it (None)."""

    version: tuple[int, int]
    kind: Type
    before: Type = None


def from_1_3(kind: Type, *, before: Type = None) -> Since:
    return Since((1, 3), kind, before)


def from_1_8(kind: Type) -> Since:
    return Since((1, 8), kind)


def from_1_9(kind: Type, *, before: Type = None) -> Since:
    return Since((1, 9), kind, before)


PRODUCT = {
    "name": STR,
    "vendor_name": STR,
    "version": STR,
    "uid": STR,
    "lang": STR,
    "path": STR,
    "url_string": STR,
    "feature": {"name": STR, "uid": STR, "version": STR},
}
METADATA = {
    "version": STR,
    "product": PRODUCT,
    "uid": STR,
    "original_event_uid": from_1_8(STR),
    "event_code": STR,
    "correlation_uid": STR,
    "logged_time": LONG,
    "processed_time": LONG,
    "modified_time": LONG,
    "original_time": STR,
    "tenant_uid": STR,
    "log_name": STR,
    "log_provider": STR,
    "log_level": STR,
    "log_version": STR,
    "sequence": INT,
    "profiles": [STR],
    "labels": [STR],
}
ACCOUNT = {"name": STR, "type": STR, "type_id": INT, "uid": STR, "labels": from_1_3([STR])}
ORG = {"name": STR, "uid": STR, "ou_name": STR, "ou_uid": STR}
GROUP = {"name": STR, "uid": STR, "type": STR, "desc": STR, "domain": STR, "privileges": [STR]}
USER = {
    "name": STR,
    "uid": STR,
    "uid_alt": STR,
    "type": STR,
    "type_id": INT,
    "email_addr": STR,
    "full_name": STR,
    "display_name": from_1_8(STR),
    "domain": STR,
    "credential_uid": STR,
    "phone_number": from_1_8(STR),
    "has_mfa": from_1_8(BOOL),
    "risk_level": from_1_3(STR),
    "risk_level_id": from_1_3(INT),
    "account": ACCOUNT,
    "org": ORG,
    "groups": [GROUP],
}
POLICY = {
    "name": STR,
    "uid": STR,
    "type": from_1_8(STR),
    "desc": STR,
    "version": STR,
    "is_applied": from_1_3(BOOL),
    "group": GROUP,
    "data": from_1_8(JSON),
}
SESSION = {
    "uid": STR,
    "uid_alt": STR,
    "issuer": STR,
    "credential_uid": STR,
    "created_time": LONG,
    "expiration_time": LONG,
    "expiration_reason": STR,
    "is_mfa": BOOL,
    "is_remote": BOOL,
    "is_vpn": BOOL,
    "terminal": STR,
    "count": INT,
}
IDP = {
    "name": STR,
    "uid": STR,
    "domain": from_1_8(STR),
    "issuer": from_1_8(STR),
    "protocol_name": from_1_8(STR),
    "url_string": from_1_8(STR),
}
ACTOR = {
    "user": USER,
    "session": SESSION,
    "idp": IDP,
    "invoked_by": STR,
    "app_name": from_1_3(STR),
    "app_uid": from_1_3(STR),
    "authorizations": [{"decision": STR, "policy": POLICY}],
}
LOCATION = {
    "city": STR,
    "region": STR,
    "country": STR,
    "continent": STR,
    "postal_code": STR,
    "desc": STR,
    "isp": STR,
    "provider": STR,
    "lat": from_1_3(DOUBLE),
    "long": from_1_3(DOUBLE),
    "coordinates": [DOUBLE],
}
OS = {"name": STR, "type": STR, "type_id": INT, "version": STR, "build": STR}
ENDPOINT = {
    "ip": STR,
    "port": INT,
    "name": STR,
    "uid": STR,
    "hostname": STR,
    "domain": STR,
    "svc_name": STR,
    "mac": STR,
    "type": STR,
    "type_id": INT,
    "zone": STR,
    "instance_uid": STR,
    "interface_uid": STR,
    "subnet_uid": STR,
    "vpc_uid": STR,
    "intermediate_ips": [STR],
    "location": LOCATION,
    "autonomous_system": from_1_3({"name": STR, "number": INT}),
    "os": OS,
}
DEVICE = {
    "name": STR,
    "uid": STR,
    "uid_alt": STR,
    "hostname": STR,
    "ip": STR,
    "type": STR,
    "type_id": INT,
    "desc": STR,
    "domain": STR,
    "is_managed": BOOL,
    "is_compliant": BOOL,
    "is_trusted": BOOL,
    "location": LOCATION,
    "os": OS,
}
URL = {
    "url_string": STR,
    "scheme": STR,
    "hostname": STR,
    "port": INT,
    "path": STR,
    "query_string": STR,
    "resource_type": STR,
}
HTTP_REQUEST = {
    "uid": STR,
    "http_method": STR,
    "user_agent": STR,
    "referrer": STR,
    "version": STR,
    "args": STR,
    "length": INT,
    "x_forwarded_for": [STR],
    "http_headers": [{"name": STR, "value": STR}],
    "url": URL,
}
SERVICE = {"name": STR, "uid": STR, "version": STR, "labels": [STR]}
API = {
    "operation": STR,
    "version": STR,
    "service": SERVICE,
    "group": GROUP,
    "request": {"uid": STR, "flags": [STR], "data": JSON},
    "response": {"code": INT, "error": STR, "error_message": STR, "message": STR, "flags": [STR], "data": JSON},
}
CLOUD = {
    "provider": STR,
    "region": STR,
    "zone": STR,
    "project_uid": STR,
    "account": ACCOUNT,
    "org": ORG,
}
RESOURCE = {
    "name": STR,
    "uid": STR,
    "uid_alt": from_1_8(STR),
    "type": STR,
    "region": STR,
    "namespace": STR,
    "version": STR,
    "criticality": STR,
    "cloud_partition": STR,
    "labels": [STR],
    "owner": USER,
    "group": GROUP,
    "data": JSON,
}
WEB_RESOURCE = {"name": STR, "uid": STR, "type": STR, "desc": STR, "url_string": STR, "labels": [STR], "data": JSON}
ROLE = {"name": STR, "uid": STR, "type": STR, "desc": STR, "data": JSON}
ENTITY = {
    "name": STR,
    "uid": STR,
    "type": STR,
    "type_id": from_1_3(INT),
    "version": STR,
    "user": from_1_3(USER),
    "group": from_1_3(GROUP),
    "device": from_1_3(DEVICE),
    "policy": from_1_3(POLICY),
    "org": from_1_3(ORG),
    "location": from_1_8(LOCATION),
    "data": JSON,
}
FILE = {
    "name": STR,
    "path": STR,
    "uid": STR,
    "type": STR,
    "type_id": INT,
    "ext": from_1_3(STR),
    "mime_type": STR,
    "desc": STR,
    "size": LONG,
    "parent_folder": STR,
    "created_time": LONG,
    "modified_time": LONG,
    "is_public": from_1_8(BOOL),
    "confidentiality": STR,
    "owner": USER,
    "url": from_1_8(URL),
}
FACTOR = {
    "factor_type": STR,
    "factor_type_id": INT,
    "provider": STR,
    "email_addr": STR,
    "phone_number": STR,
    "is_hotp": BOOL,
    "is_totp": BOOL,
    "security_questions": [STR],
    "device": DEVICE,
}
OBSERVABLE = {"name": STR, "type": STR, "type_id": INT, "value": STR}
ENRICHMENT = {"name": STR, "value": STR, "type": STR, "provider": STR, "desc": from_1_3(STR), "data": JSON}
DATABASE = {"name": STR, "uid": STR, "type": STR, "type_id": INT, "desc": STR, "groups": [GROUP]}
TABLE = {"name": STR, "uid": STR, "desc": STR, "groups": [GROUP]}
BUCKET = {"name": STR, "uid": STR, "type": STR, "type_id": INT, "desc": STR, "is_public": from_1_8(BOOL)}
FINDING = {
    "title": STR,
    "uid": STR,
    "desc": STR,
    "types": [STR],
    "src_url": STR,
    "created_time": LONG,
    "modified_time": LONG,
    "first_seen_time": LONG,
    "last_seen_time": LONG,
    "analytic": {"name": STR, "uid": STR, "type": STR, "type_id": INT, "category": STR, "desc": STR},
}
