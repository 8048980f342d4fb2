"""Indexer acknowledgement: which request an id belongs to, and what is asked and answered about it.

Splunk, "About HTTP Event Collector Indexer Acknowledgment": every indexer counts the requests of a channel from 0; `true`
is said once; `false` is said of what is pending, of what is lost and of what it never knew.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Mapping

import msgspec

from flicker_dagster.deliver.outcomes import Outcome, PerItem, Rejected, Retry
from flicker_dagster.json_text import read_json
from flicker_dagster.transport.cookies import Cookies

#: Ids in one question.
MOST_IDS = 1_000
#: So many channels may give an id twice before it is taken for the rule, not for a restart of the server.
MOST_CHANNELS = 3

_ID = re.compile("[0-9]{1,18}")


class PartlyRefused(msgspec.Struct, frozen=True):
    """A request of `count` events of which the one at `index` was refused, and those behind it were not read. Those before
    it wait for the acknowledgement until `until_ms` (of the epoch), for nobody promises that there will be one."""

    index: int
    count: int
    why: str
    until_ms: int

    def confirmed(self, before: Outcome) -> PerItem:
        """An answer for each event, those before the refused one being as told."""
        behind = Retry("not read: it stood behind an event that was refused", 0.0)
        items = (before,) * self.index + (Rejected(self.why),) + (behind,) * (self.count - self.index - 1)
        return PerItem(items, self.why)

    def unconfirmed(self) -> PerItem:
        """Those before it may have been taken, and are sent again."""
        return self.confirmed(Retry("nobody told what became of it: it stood before an event that was refused", 0.0))


class Ticket(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it takes to ask for a request's acknowledgement, from whichever run: the token of its receipt."""

    channel: str
    ack_id: int
    cookies: Cookies = ()
    refused: PartlyRefused | None = None

    def token(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, token: str) -> Ticket | None:
        """None for what is no token of ours."""
        try:
            return _ticket.decode(token)
        except (msgspec.DecodeError, UnicodeError):
            return None

    def outcome(self, taken: Outcome) -> Outcome:
        """What became of the request, once this became of what was taken of it."""
        return taken if self.refused is None else self.refused.confirmed(taken)


_ticket = msgspec.json.Decoder(Ticket)


class Question(msgspec.Struct, frozen=True):
    """Tickets that are asked about together, by their tokens: of one channel, at one indexer."""

    channel: str
    cookies: Cookies
    tickets: dict[str, Ticket]

    @property
    def ids(self) -> list[int]:
        return [ticket.ack_id for ticket in self.tickets.values()]

    def outcomes(self, acknowledged: set[int], taken: Outcome, *, now_ms: int) -> dict[str, Outcome]:
        """By token: `taken` for what is acknowledged, and what need not be waited for any longer."""
        found: dict[str, Outcome] = {}
        for token, ticket in self.tickets.items():
            if ticket.ack_id in acknowledged:
                found[token] = ticket.outcome(taken)
            elif ticket.refused is not None and now_ms >= ticket.refused.until_ms:
                found[token] = ticket.refused.unconfirmed()
        return found


def questions(tickets: Mapping[str, Ticket]) -> list[Question]:
    """What to ask about tickets, which are given by their tokens."""
    grouped: dict[tuple[str, Cookies], list[tuple[str, Ticket]]] = {}
    for token, ticket in tickets.items():
        grouped.setdefault((ticket.channel, ticket.cookies), []).append((token, ticket))
    return [
        Question(channel, cookies, dict(group[at : at + MOST_IDS]))
        for (channel, cookies), group in grouped.items()
        for at in range(0, len(group), MOST_IDS)
    ]


def acknowledged(body: bytes) -> set[int]:
    """The ids that are `true` in `{"acks": {"0": true, "1": false}}`; none where it cannot be read."""
    try:
        value = read_json(body)
    except (ValueError, RecursionError):
        return set()
    acks = value.get("acks") if isinstance(value, dict) else None
    if not isinstance(acks, dict):
        return set()
    return {int(name) for name, said in acks.items() if said is True and _ID.fullmatch(name)}


class Channels:
    """The channel of an opened destination, exchanged for another when it gives an id twice. Thread-safe.

    An id that comes twice on one channel, from behind the same cookies, means that a server has begun to count anew, or that
    several servers count where one was expected: no `true` on that channel can be trusted any more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current = str(uuid.uuid4())
        self._given: set[tuple[Cookies, int]] = set()
        self._spoilt: set[str] = set()

    @property
    def current(self) -> str:
        return self._current

    @property
    def unpinned(self) -> bool:
        """Do ids come twice as a rule?"""
        return len(self._spoilt) >= MOST_CHANNELS

    def is_spoilt(self, channel: str) -> bool:
        return channel in self._spoilt

    def gives(self, channel: str, cookies: Cookies, ack_id: int) -> bool:
        """Note an id that was given. False where nothing can be told by it."""
        with self._lock:
            if channel != self._current:
                return False  # spoilt while the request was under way
            if (cookies, ack_id) not in self._given:
                self._given.add((cookies, ack_id))
                return True
            self._spoilt.add(channel)
            self._current, self._given = str(uuid.uuid4()), set()
            return False
