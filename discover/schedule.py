"""When a repeating refresh runs next: at fixed distances, spread a little, missed ones made up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

SPREAD = 0.1
"""Share of the interval by which a run may be late, so that many homes don't ask a bank at once."""
SPREAD_AT_MOST = timedelta(minutes=5)


@dataclass(frozen=True)
class Next:
    """When the next run is due, how long to wait for it, and how many were missed meanwhile."""

    due: datetime
    wait: timedelta
    missed: int


def after(due: datetime, now: datetime, every: timedelta, draw: float) -> Next:
    """The run after the one that was ``due``, as of ``now``.

    Runs that were due while the last one ran, or while the machine slept, are made up by one run at
    once. A clock that went back never makes it wait longer than one interval and the spread.

    Args:
        due: when the last run was to begin; aware, like ``now``.
        now: when it has ended.
        every: distance of two runs.
        draw: a random number in [0, 1), which spreads runs that are not late.

    """
    missed = max(0, (now - due) // every)
    if missed:
        return Next(due + missed * every, timedelta(0), missed)
    spread = min(every * SPREAD, SPREAD_AT_MOST) * draw
    return Next(due + every, min(due + every - now, every) + spread, 0)
