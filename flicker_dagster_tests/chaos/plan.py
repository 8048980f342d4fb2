"""What happens when: drawn from a seed, so that a bad night can be had again."""

from __future__ import annotations

import random
from dataclasses import dataclass

VENDORS = ("okta", "github", "salesforce")
PROCESSES = ("run", "run", "run", "daemon", "code server", "run server")
VENDOR_FAULTS = ("429", "500", "503", "cut", "truncated", "html", "slow", "expired")
SIEM_FAULTS = {
    "http": ("503", "429", "500", "slow", "cut_before_commit", "commit_then_cut", "too large"),
    "elasticsearch": ("503", "429", "slow", "cut_before_commit", "commit_then_cut", "too large", "items"),
    "splunk_hec": (
        "503",
        "slow",
        "cut_before_commit",
        "commit_then_cut",
        "late",
        "unconfirmed",
        "lost answer",
        "restart",
    ),
}
S3_FAULTS = ("500", "503", "cut", "refused", "done and cut")
SKEWS_S = (-3600.0, 3600.0)

#: Between two acts, seconds.
SHORTEST_S, LONGEST_S = 2.0, 7.0
#: The stack is given this long to come up before the first act.
WARM_UP_S = 8.0


@dataclass(frozen=True)
class Act:
    """At `at_s` after the beginning, `what` happens to `target` (`kind` says how), for `seconds`."""

    at_s: float
    what: str  # kill, vendor, siem, s3, late
    target: str
    kind: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Plan:
    """`skew_s` is how far the vendors' clock is ahead of ours."""

    seed: int
    duration_s: float
    skew_s: float
    acts: tuple[Act, ...]


def draw(seed: int, duration_s: float) -> Plan:
    """The plan of a seed. Every kind of act comes in the first minute or so, and then by chance."""
    chance = random.Random(seed)
    acts: list[Act] = []
    at_s = WARM_UP_S
    makers = [_kill, _vendor, _siem, _siem, _siem, _s3, _late]
    due = list(makers)
    while at_s < duration_s:
        if not due:
            due = [*chance.sample(makers, len(makers)), _kill, _vendor]
        acts.append(due.pop(chance.randrange(len(due)))(chance, round(at_s, 1)))
        at_s += chance.uniform(SHORTEST_S, LONGEST_S)
    return Plan(seed, duration_s, chance.choice(SKEWS_S), tuple(acts))


def _kill(chance: random.Random, at_s: float) -> Act:
    return Act(at_s, "kill", chance.choice(PROCESSES))


def _vendor(chance: random.Random, at_s: float) -> Act:
    return Act(at_s, "vendor", chance.choice(VENDORS), chance.choice(VENDOR_FAULTS), round(chance.uniform(1, 12), 1))


def _siem(chance: random.Random, at_s: float) -> Act:
    siem = chance.choice(tuple(SIEM_FAULTS))
    return Act(at_s, "siem", siem, chance.choice(SIEM_FAULTS[siem]), round(chance.uniform(2, 15), 1))


def _s3(chance: random.Random, at_s: float) -> Act:
    return Act(at_s, "s3", "s3", chance.choice(S3_FAULTS), round(chance.uniform(1, 10), 1))


def _late(chance: random.Random, at_s: float) -> Act:
    """Events turn up with a time so many seconds back: more than live polls look back."""
    return Act(at_s, "late", chance.choice(VENDORS), "", round(chance.uniform(150, 900), 1))
