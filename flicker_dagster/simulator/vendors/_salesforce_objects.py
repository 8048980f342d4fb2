"""What can be queried of a simulated Salesforce organization, and the records of its two audit objects."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from flicker_dagster.simulator.making import an_address
from flicker_dagster.times import datetime_of

INSTANCE = "acme.my.salesforce.com"


@dataclass(frozen=True)
class SObject:
    """What can be queried; `fields` in lower case, with how the values of those that conditions may name are written."""

    name: str
    stream: str
    time_field: str
    fields: dict[str, str]


OBJECTS = {
    kind.name.lower(): kind
    for kind in (
        SObject(
            "SetupAuditTrail",
            "setup_audit_trail",
            "CreatedDate",
            dict.fromkeys(("id", "action", "section", "createddate", "createdby", "delegateuser", "display"), "text"),
        ),
        SObject(
            "LoginHistory",
            "login_history",
            "LoginTime",
            dict.fromkeys(
                ("id", "logintime", "userid", "logintype", "loginurl", "sourceip", "status", "application", "browser",
                 "platform", "countryiso", "tlsprotocol", "ciphersuite"), "text",
            ),
        ),
        SObject(
            "EventLogFile",
            "event_log_files",
            "CreatedDate",
            {
                "id": "text", "eventtype": "text", "interval": "text", "sequence": "number", "createddate": "time",
                "logdate": "time", "logfile": "", "logfilelength": "",
            },
        ),
    )
}  # fmt: skip


def make_setup(number: int, time: str, chance: random.Random) -> tuple[str, bytes]:
    event_id = f"0Ym5f{number:012d}{chance.choice('ABCDEFGH')}"
    record = {
        "Id": event_id,
        "Action": chance.choice(("PermSetAssign", "changedPassword", "createdUser", "loginAsGranted")),
        "Section": chance.choice(("Manage Users", "Security Controls")),
        "CreatedDate": time,
        "CreatedBy": {"attributes": {"type": "User"}, "Username": "ana@acme.test"},
        "DelegateUser": None,
        "Display": f"Permission set Auditor: assigned to user number {number}",
    }
    return event_id, json.dumps(record).encode()


def make_login(number: int, time: str, chance: random.Random) -> tuple[str, bytes]:
    event_id = f"0Ya5f{number:012d}{chance.choice('ABCDEFGH')}"
    record = {
        "Id": event_id,
        "UserId": f"005{number % 50:015d}",
        "LoginTime": time,
        "LoginType": chance.choice(("Application", "SAML Sfdc Initiated SSO", "Remote Access 2.0")),
        "LoginUrl": INSTANCE,
        "SourceIp": an_address(chance),
        "Status": chance.choice(("Success", "Invalid Password")),
        "Application": "Browser",
        "Browser": "Chrome 140",
        "Platform": "Mac OSX",
        "CountryIso": "FR",
        "TlsProtocol": "TLS 1.3",
        "CipherSuite": "TLS_AES_256_GCM_SHA384",
    }
    return event_id, json.dumps(record).encode()


def spelled(ms: int) -> str:
    """Salesforce writes the offset without a colon."""
    return f"{datetime_of(ms):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}+0000"
