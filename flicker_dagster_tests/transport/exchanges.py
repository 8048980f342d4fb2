"""One exchange with a server, as whoever uses an authenticator makes it."""

from __future__ import annotations

from flicker_dagster.transport.deadlines import Deadline
from flicker_dagster.transport.exchange import Answer, Authenticator, Request, Transport


def exchanged(auth: Authenticator, request: Request) -> Answer:
    """The answer, to a second request where the first was refused and there was something new to sign with."""
    transport = Transport(request.url)
    try:
        answer = transport.exchange(auth.sign(request), deadline=Deadline.after(5, "5 s"))
        assert isinstance(answer, Answer)
        if answer.status in (401, 403) and auth.renew(answer):
            answer = transport.exchange(auth.sign(request), deadline=Deadline.after(5, "5 s"))
            assert isinstance(answer, Answer)
        return answer
    finally:
        transport.close()
