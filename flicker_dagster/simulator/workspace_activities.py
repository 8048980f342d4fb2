"""What happens in a simulated Google Workspace: activities of one or more sub-events, by application."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.making import an_address
from flicker_dagster.times import rfc3339_ms

CUSTOMER = "C01abcd23"
PEOPLE = ("ana", "bob", "chi", "dee", "eva")
#: Sub-events of one activity were recorded within the same second.
TOGETHER_MS = 1_000
MOST_TOGETHER = 3
SHARE_TOGETHER = 0.4

#: Type of sub-events and their names, by application.
APPLICATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "login": ("login", ("login_success", "login_failure", "logout", "login_challenge")),
    "admin": ("USER_SETTINGS", ("CREATE_USER", "GRANT_ADMIN_PRIVILEGE", "CHANGE_PASSWORD", "SUSPEND_USER")),
    "token": ("auth", ("authorize", "revoke", "activity")),
    "drive": ("access", ("view", "edit", "download", "create", "change_user_access")),
    "saml": ("login", ("login_success", "login_failure")),
    "user_accounts": ("2sv_change", ("2sv_enroll", "2sv_disable", "password_edit")),
    "groups": ("acl_change", ("add_member", "change_acl_permission", "remove_user")),
    "access_transparency": ("GSUITE_RESOURCE", ("ACCESS",)),
    "calendar": ("event_change", ("create_event", "change_event_title", "add_event_guest")),
    "chat": ("user_action", ("message_posted", "room_created", "add_room_member")),
    "chrome": ("DEVICE_BOOT_STATE_CHANGE_TYPE", ("CHROMEOS_LOGIN_EVENT", "DEVICE_BOOT_STATE_CHANGE")),
    "context_aware_access": ("CONTEXT_AWARE_ACCESS_USER_EVENT", ("ACCESS_DENY_EVENT",)),
    "data_studio": ("ACCESS", ("VIEW", "CREATE", "DOWNLOAD_REPORT")),
    "gcp": ("CLOUD_OSLOGIN", ("IMPORT_SSH_PUBLIC_KEY", "DELETE_POSIX_ACCOUNT")),
    "groups_enterprise": ("moderator_action", ("add_member", "create_group", "remove_member")),
    "keep": ("user_action", ("created_note", "edited_note_content")),
    "meet": ("call", ("call_ended", "livestream_watched")),
    "mobile": ("device_updates", ("DEVICE_REGISTER_UNREGISTER_EVENT", "DEVICE_SYNC_EVENT")),
    "rules": ("rule_match_type", ("rule_match", "action_complete")),
    "vault": ("user_action", ("create_matter", "run_search", "view_search_results")),
}


@dataclass
class Activity:
    """A row of the listing; its sub-events are the emitter's events `numbers`."""

    head: dict[str, Any]
    time_ms: int
    arrives_ms: int
    numbers: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    listed: bool = False  # it is complete from then on

    def row(self) -> dict[str, Any]:
        return self.head | {"events": self.events}

    def delivered(self, index: int) -> dict[str, Any]:
        return self.head | {"event": self.events[index], "eventIndex": index}


class Activities:
    """Those of one application. Sub-events of the same second that arrive together may become one activity."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._of: dict[int, Activity] = {}
        self._latest: Activity | None = None

    def record(
        self, number: int, published_ms: int, arrives_ms: int, chance: random.Random
    ) -> tuple[Activity, dict[str, Any]]:
        """A further sub-event: its activity, and the event that is delivered of it."""
        with self._lock:
            latest = self._latest
            joins = (
                latest is not None
                and not latest.listed
                and latest.arrives_ms == arrives_ms
                and latest.time_ms <= published_ms
                and published_ms // TOGETHER_MS == latest.time_ms // TOGETHER_MS
                and len(latest.numbers) < MOST_TOGETHER
                and chance.random() < SHARE_TOGETHER
            )
            if latest is None or not joins:
                latest = self._latest = Activity(
                    _head(self._application, published_ms, chance), published_ms, arrives_ms
                )
            latest.numbers.append(number)
            latest.events.append(_sub_event(self._application, chance))
            self._of[number] = latest
            return latest, latest.delivered(len(latest.events) - 1)

    def listed(self, events: Sequence[Event], start_ms: int, end_ms: int) -> list[tuple[Event, Activity]]:
        """Activities whose own time lies in the span, each with the event it began with, oldest first. `events` are the
        visible ones of at least this span and the second after it."""
        with self._lock:
            numbers = {event.number for event in events}
            found = []
            for event in events:
                activity = self._of[event.number]
                if activity.numbers[0] != event.number or not start_ms <= activity.time_ms <= end_ms:
                    continue
                if numbers.issuperset(activity.numbers):
                    activity.listed = True
                    found.append((event, activity))
            return found


def _head(application: str, time_ms: int, chance: random.Random) -> dict[str, Any]:
    person = chance.randrange(len(PEOPLE))
    return {
        "kind": "admin#reports#activity",
        "id": {
            "time": rfc3339_ms(time_ms),
            "uniqueQualifier": str(chance.getrandbits(64) - 2**63),
            "applicationName": application,
            "customerId": CUSTOMER,
        },
        "etag": f'"x{chance.getrandbits(80):x}/{chance.getrandbits(40):x}"',
        "actor": {
            "callerType": "USER",
            "email": f"{PEOPLE[person]}@acme.test",
            "profileId": f"10020030040050060070{person}",
        },
        "ipAddress": an_address(chance),
    }


def _sub_event(application: str, chance: random.Random) -> dict[str, Any]:
    kind, names = APPLICATIONS[application]
    parameters: list[dict[str, Any]] = [
        {"name": "actor_is_collaborator_account", "boolValue": chance.random() < 0.5},
        {"name": "target", "value": f"{chance.choice(PEOPLE)}@acme.test"},
        {"name": "scopes", "multiValue": ["openid", "email"]},
        {"name": "billable_units", "intValue": str(chance.getrandbits(60))},  # 64-bit numbers are text
    ]
    count = chance.randrange(len(parameters) + 1)
    event: dict[str, Any] = {"type": kind, "name": chance.choice(names)}
    return event | ({"parameters": parameters[:count]} if count else {})
