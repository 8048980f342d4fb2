"""A lot that becomes several requests, each for some of its events: what all of them together come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Duplicate,
    Outcome,
    PerItem,
    Retry,
    Split,
)


class Piece(msgspec.Struct, frozen=True):
    """Some of a lot's events, by index, and how they are sent. What holds up one piece holds up those that go `to` the same
    place."""

    indices: Sequence[int]
    send: Callable[[], Outcome]
    to: str = ""


def send_pieces(pieces: Sequence[Piece], count: int) -> Outcome:
    """One attempt at each piece, in this order; `count` is the number of all events.

    A piece is its own request in every attempt, so that events which go out again do so under the same key. So a piece that
    is too large is not halved together with others, of which an earlier attempt may have stored something, whatever this one
    was answered: the others are settled first, and then it goes alone.
    """
    held_up: dict[str, Outcome] = {}
    answers: list[Outcome] = []
    for piece in pieces:
        outcome = held_up.get(piece.to) or piece.send()
        if isinstance(outcome, Retry | Ambiguous | Blocked):
            held_up[piece.to] = outcome  # as if it had been sent: then nobody takes it apart either
        answers.append(outcome)
    if len(pieces) == 1:
        return answers[0]
    if not all(isinstance(answer, Split) for answer in answers):
        answers = [Retry(answer.why, 0.0) if isinstance(answer, Split) else answer for answer in answers]
    in_doubt = next((answer for answer in answers if isinstance(answer, Ambiguous)), None)
    if in_doubt is not None:  # what waits beside it waits as it does, so that nobody cuts between them
        answers = [in_doubt if isinstance(answer, Retry) else answer for answer in answers]
    if all(answer == answers[0] for answer in answers):
        return answers[0]
    items: list[Outcome] = [answers[0]] * count
    for piece, answer in zip(pieces, answers):
        for index in piece.indices:
            items[index] = answer
    return PerItem(tuple(items), _told(answers))


def _told(answers: Sequence[Outcome]) -> str:
    stored = sum(isinstance(answer, Delivered | Duplicate) for answer in answers)
    return f"{stored} of {len(answers)} objects stored"
