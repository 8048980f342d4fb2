"""Events of Okta, GitHub and Salesforce, one of each type that their mappings name, as rich as their documentation has them."""

from __future__ import annotations

import json
from typing import Any

from flicker_dagster.deliver.normalise.mapping import Document
from flicker_dagster.deliver.normalise.tables import table
from flicker_dagster.lots import Lot

TIME_MS, COLLECTED_MS = 1_772_442_847_512, 1_772_442_850_000

OKTA: dict[str, Any] = {
    "uuid": "5b1c9f0e-8a51-11ef-9c1a-6d0f4d1f7a10",
    "published": "2026-03-02T09:14:07.512Z",
    "eventType": "user.session.start",
    "version": "0",
    "severity": "WARN",
    "displayMessage": "Deactivate Okta user",
    "actor": {
        "id": "00u1",
        "type": "User",
        "alternateId": "ana@acme.test",
        "displayName": "Ana Lopez",
        "detailEntry": None,
    },
    "client": {
        "userAgent": {"rawUserAgent": "Mozilla/5.0", "os": "Mac OS X", "browser": "CHROME"},
        "zone": "null",
        "device": "Computer",
        "ipAddress": "203.0.113.9",
        "geographicalContext": {
            "city": "Lyon",
            "state": "Auvergne-Rhône-Alpes",
            "country": "France",
            "postalCode": "69000",
            "geolocation": {"lat": 45.75, "lon": 4.85},
        },
    },
    "outcome": {"result": "FAILURE", "reason": "INVALID_CREDENTIALS"},
    "target": [
        {"id": "00u2", "type": "User", "alternateId": "bob@acme.test", "displayName": "Bob Ray"},
        {"id": "0oa1", "type": "AppInstance", "alternateId": "Wiki", "displayName": "Acme Wiki"},
        {"id": "00g1", "type": "UserGroup", "alternateId": "unknown", "displayName": "Auditors"},
    ],
    "transaction": {"type": "WEB", "id": "aBcD1234", "detail": {}},
    "authenticationContext": {"externalSessionId": "102abc"},
    "securityContext": {"asNumber": 3215, "asOrg": "orange", "isProxy": False},
    "debugContext": {"debugData": {"requestUri": "/idp/idx/identify", "privilegeGranted": "Org admin"}},
    "request": {"ipChain": [{"ip": "203.0.113.9"}]},
}
GITHUB: dict[str, Any] = {
    "@timestamp": TIME_MS,
    "_document_id": "xJ-abc9dEfGh1ijkLMNopQ",
    "action": "org.add_member",
    "actor": "octo-ana",
    "actor_id": 583231,
    "actor_ip": "203.0.113.9",
    "actor_location": {"country_code": "FR"},
    "created_at": TIME_MS,
    "operation_type": "create",
    "org": "acme",
    "org_id": 4242,
    "permission": "admin",
    "repo": "acme/wiki",
    "repo_id": 99,
    "team": "acme/auditors",
    "user": "octo-bob",
    "user_id": 583999,
    "user_agent": "Mozilla/5.0",
}
SALESFORCE: dict[str, Any] = {
    "attributes": {
        "type": "SetupAuditTrail",
        "url": "/services/data/v62.0/sobjects/SetupAuditTrail/0Ym5f00000ABCDEFG1",
    },
    "Id": "0Ym5f00000ABCDEFG1",
    "Action": "PermSetAssign",
    "Section": "Manage Users",
    "CreatedDate": "2026-03-02T09:14:07.000+0000",
    "CreatedBy": {"attributes": {"type": "User"}, "Username": "ana@acme.test"},
    "DelegateUser": None,
    "Display": "Permission set Auditor: assigned to user Bob Ray",
}
SALESFORCE_LOGIN = {
    "EVENT_TYPE": "Login",
    "TIMESTAMP": "20260302091407.512",
    "REQUEST_ID": "4abcDEF-",
    "ORGANIZATION_ID": "00D000000000001",
    "USER_ID": "005000000000001",
    "USER_NAME": "ana@acme.test",
    "TIMESTAMP_DERIVED": "2026-03-02T09:14:07.512Z",
    "CLIENT_IP": "203.0.113.9",
    "LOGIN_STATUS": "LOGIN_NO_ERROR",
    "SOURCE_IP": "203.0.113.9",
}
TEMPLATES = {"okta": (OKTA, "eventType"), "github": (GITHUB, "action"), "salesforce": (SALESFORCE, "Action")}

#: A type that no mapping names.
UNKNOWN = "somewhat.newer"


def types_of(vendor: str) -> list[str]:
    """Every type of event that a vendor's mapping names; a pattern stands for one of its types."""
    return [name.replace("*", "x") for name in patterns_of(vendor)]


def patterns_of(vendor: str) -> list[str]:
    """Types of event, and patterns of them, as a vendor's mapping names them."""
    entries = table(vendor, Document)[0].events
    return [name for entry in entries for name in ([entry.match] if isinstance(entry.match, str) else entry.match)]


def event_of(vendor: str, event_type: str) -> bytes:
    template, key = TEMPLATES[vendor]
    return text_of(template | {key: event_type})


def text_of(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def lot_of(*events: bytes, source: str = "acme") -> Lot:
    return Lot.of(
        events,
        digests=[index.to_bytes(16, "big") for index in range(len(events))],
        times_ms=[TIME_MS] * len(events),
        source=source,
        collected_ms=COLLECTED_MS,
    )
