"""A lot that goes out in pieces: what they come to together, so that whatever is sent again keeps its name."""

from __future__ import annotations

import pytest

from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, Outcome, PerItem, Retry, Split
from flicker_dagster.deliver.pieces import Piece, send_pieces

D, U, R, S, B, A = Delivered("ok"), Duplicate("there"), Retry("later"), Split("large"), Blocked("no"), Ambiguous("lost")
AGAIN = Retry("large", 0.0)


def sent(*answers: Outcome, to: str = "") -> tuple[Outcome, int]:
    """Pieces of one event each, all to one place or each to its own; the outcome, and how many were tried."""
    tried: list[Outcome] = []

    def piece(index: int, answer: Outcome) -> Piece:
        def send() -> Outcome:
            tried.append(answer)
            return answer

        return Piece([index], send, to=to and f"{to}{index}")

    return send_pieces([piece(i, each) for i, each in enumerate(answers)], len(answers)), len(tried)


@pytest.mark.parametrize("answer", [D, U, R, S, B, A])
def test_one_piece_is_the_whole(answer: Outcome) -> None:
    assert sent(answer) == (answer, 1)


@pytest.mark.parametrize(
    ("answers", "items", "tried"),
    [
        ((D, D, D), D, 3),
        ((D, U), (D, U), 2),
        ((R, D, D), R, 1),  # the place is held up: the others are not tried, and wait as it does
        ((A, D, D), A, 1),  # in doubt, so nobody takes the others apart from it either
        ((B, D), B, 1),
        ((D, A, D), (D, A, A), 2),
        ((D, B, D), (D, B, B), 2),
        ((S, S), S, 2),
        ((S, R, D), (AGAIN, R, R), 2),  # an earlier attempt may have stored the others
        ((S, B), (AGAIN, B), 2),
        ((D, S), (D, AGAIN), 2),  # stored: the other goes alone next, under its own name
        ((S, D), (AGAIN, D), 2),
        ((S, A, D), A, 2),  # nobody may cut between what is in doubt and what waits beside it
        ((S, U, S), (AGAIN, U, AGAIN), 3),
    ],
)
def test_pieces_come_to(answers: tuple[Outcome, ...], items: Outcome | tuple[Outcome, ...], tried: int) -> None:
    outcome, count = sent(*answers)
    assert count == tried
    assert (outcome.items if isinstance(outcome, PerItem) else outcome) == items


def test_what_holds_up_one_place_does_not_hold_up_another() -> None:
    outcome, count = sent(B, D, A, R, D, to="place")
    assert isinstance(outcome, PerItem)
    assert (outcome.items, count) == ((B, D, A, A, D), 5)
    assert outcome.status == "2 of 5 objects stored"
