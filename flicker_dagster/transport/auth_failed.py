"""Why a request could not be signed."""

from __future__ import annotations


class AuthFailed(Exception):
    """No signature could be made: the token endpoint refuses (not `retryable`), or does not answer. `after_s` is how long it
    asked to wait, `server_now_ms` the clock of the one that refused. Where it is `unsure`, the server may have given a token
    all the same. Its words may hold what the server said, so they are masked before they are shown."""

    def __init__(
        self,
        words: str,
        *,
        retryable: bool,
        after_s: float | None = None,
        unsure: bool = False,
        server_now_ms: int | None = None,
    ) -> None:
        super().__init__(words)
        self.retryable = retryable
        self.after_s = after_s
        self.unsure = unsure
        self.server_now_ms = server_now_ms

    def again(self) -> AuthFailed:
        """The same for another caller: one exception is raised once."""
        return self.saying(str(self))

    def saying(self, words: str) -> AuthFailed:
        """The same in other words."""
        return AuthFailed(
            words,
            retryable=self.retryable,
            after_s=self.after_s,
            unsure=self.unsure,
            server_now_ms=self.server_now_ms,
        )
