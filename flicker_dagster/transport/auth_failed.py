"""Why a request could not be signed."""

from __future__ import annotations


class AuthFailed(Exception):
    """No signature could be made: the token endpoint refuses (not `retryable`), or does not answer. `after_s` is how long it
    asked to wait. Its words may hold what the server said, so they are masked before they are shown."""

    def __init__(self, words: str, *, retryable: bool, after_s: float | None = None) -> None:
        super().__init__(words)
        self.retryable = retryable
        self.after_s = after_s

    def again(self) -> AuthFailed:
        """The same for another caller: one exception is raised once."""
        return AuthFailed(str(self), retryable=self.retryable, after_s=self.after_s)
