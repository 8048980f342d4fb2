"""Access tokens that a simulated vendor gives out: each for its lifetime, by the vendor's clock, until revoked."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable


class Minting:
    """Tokens of one account. `minted` counts those given out: a collector that asks for one too often shows here."""

    def __init__(self, clock: Callable[[], float], *, lifetime_s: float = 3_600, seed: int = 0) -> None:
        self.lifetime_s = lifetime_s
        self._clock = clock
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._ends_s: dict[str, float] = {}
        self.given_out: list[str] = []

    def mint(self, *, prefix: str = "at-") -> str:
        """A new token."""
        with self._lock:
            token = f"{prefix}{self._random.getrandbits(160):040x}"
            self._ends_s[token] = self._clock() + self.lifetime_s
            self.given_out.append(token)
            return token

    @property
    def minted(self) -> int:
        return len(self.given_out)

    def accepts(self, token: str) -> bool:
        """Was it given out here, is it not over, and not revoked?"""
        return self._clock() < self._ends_s.get(token, 0.0)

    def revoke_all(self) -> None:
        """As an administrator may."""
        with self._lock:
            self._ends_s.clear()
