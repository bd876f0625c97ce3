"""Which of several complaints under one id counts: the first. Saying the same again is no second.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streaming.received import DeadLetter, Received, conflict


@dataclass(frozen=True)
class Decision:
    """What to store, whom to turn away, and who said only what was known already."""

    store: list[Received]
    dead_letters: list[DeadLetter]
    repeated: list[Received]


def decide(incoming: Iterable[Received], stored: Mapping[str, Received]) -> Decision:
    """Settle a batch against what is stored already, by ``feedback_id``.

    A stored complaint that turns out not to be the first gives way: it is in ``dead_letters`` then,
    and the first one in ``store``.
    """
    winners: dict[str, Received] = {}
    dead_letters: list[DeadLetter] = []
    repeated: list[Received] = []
    for received in incoming:
        feedback_id = received.complaint.feedback_id
        standing = winners.get(feedback_id) or stored.get(feedback_id)
        if standing is None:
            winners[feedback_id] = received
        elif received.place.key == standing.place.key or (
            received.same_content == standing.same_content
        ):
            # The same message read again, be its text scrubbed by later rules; or sent again.
            repeated.append(received)
        elif received.place.before(standing.place):
            dead_letters.append(conflict(standing))
            winners[feedback_id] = received
        else:
            dead_letters.append(conflict(received))
    return Decision(list(winners.values()), dead_letters, repeated)
