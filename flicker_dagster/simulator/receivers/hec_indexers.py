"""Indexers behind one address: which of them a request reaches, and the acknowledgements that each of them counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from flicker_dagster.simulator.server import Request


@dataclass
class Channel:
    """Requests of one sender at one indexer, counted from 0. `ready_s` says when each is indexed, None for never."""

    used_s: float
    next_id: int = 0
    ready_s: dict[int, float | None] = field(default_factory=dict)


@dataclass
class Indexer:
    """`true` is said once of a request, and then it is forgotten; a channel that nobody uses is forgotten too."""

    number: int
    idle_s: float
    channels: dict[str, Channel] = field(default_factory=dict)

    def number_of_request(self, channel: str, *, now_s: float, ready_s: float | None) -> int:
        """Count a request of a channel."""
        self._forget_idle(now_s)
        found = self.channels.setdefault(channel, Channel(now_s))
        found.used_s = now_s
        ack_id, found.next_id = found.next_id, found.next_id + 1
        found.ready_s[ack_id] = ready_s
        return ack_id

    def say(self, channel: str, ack_ids: list[int], *, now_s: float) -> dict[str, bool]:
        self._forget_idle(now_s)
        found = self.channels.get(channel)
        if found is None:
            return {str(ack_id): False for ack_id in ack_ids}
        found.used_s = now_s
        ready = {each for each in ack_ids if (at_s := found.ready_s.get(each)) is not None and at_s <= now_s}
        for each in ready:
            del found.ready_s[each]
        return {str(each): each in ready for each in ack_ids}

    def _forget_idle(self, now_s: float) -> None:
        for name in [name for name, each in self.channels.items() if now_s - each.used_s > self.idle_s]:
            del self.channels[name]


class Balancer:
    """Sends each request to the indexer that its cookie names, else to the next one.

    Without a `cookie` nothing is sticky. With `renews` every answer sets the cookie in other words, as some do.
    """

    def __init__(self, indexers: list[Indexer], *, cookie: str | None, renews: bool) -> None:
        self._indexers = indexers
        self._cookie = cookie
        self._renews = renews
        self._next = 0

    def choose(self, request: Request) -> tuple[Indexer, list[tuple[str, str]]]:
        """The indexer, and the headers that the answer gets."""
        named = self._named(request)
        chosen = self._indexers[self._next % len(self._indexers)] if named is None else named
        self._next += 1
        if self._cookie is None or (named is not None and not self._renews):
            return chosen, []
        value = f"{chosen.number}.{self._next}" if self._renews else str(chosen.number)
        return chosen, [("Set-Cookie", f"{self._cookie}={value}; Path=/; HttpOnly")]

    def _named(self, request: Request) -> Indexer | None:
        for pair in request.headers.get("cookie", "").split("; "):
            name, _, value = pair.partition("=")
            number = value.partition(".")[0]
            if name == self._cookie and number.isdigit() and int(number) < len(self._indexers):
                return self._indexers[int(number)]
        return None
