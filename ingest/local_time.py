"""A zone's clock changes as intervals of local time: whole columns convert by comparison."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_STEP = timedelta(hours=6)


@dataclass(frozen=True)
class ClockChange:
    """One change: from ``starts`` to ``ends`` (local, no zone) a time is skipped or comes twice.

    The offset is ``before`` up to ``ends`` and ``after`` from there (seconds east of UTC). For a
    time that comes twice that means its first occurrence.
    """

    starts: datetime
    ends: datetime
    before: int
    after: int

    @property
    def skips(self) -> bool:
        """Clocks go forward: times in between don't exist."""
        return self.after > self.before


def clock_changes(zone: str, years: Iterable[int]) -> list[ClockChange]:
    """All changes that times of the first to the last of ``years`` can meet, in order."""
    wanted = sorted(set(years))
    if not wanted:
        return []
    return [
        change for year in range(wanted[0] - 1, wanted[-1] + 2) for change in _of_year(zone, year)
    ]


def offset_on(zone: str, moment: datetime) -> int:
    """Seconds east of UTC at a local time without zone, its first occurrence."""
    offset = moment.replace(tzinfo=ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())


@lru_cache(maxsize=512)
def _of_year(zone: str, year: int) -> tuple[ClockChange, ...]:
    changes = []
    start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    moment = start
    while moment < end:
        following = min(moment + _STEP, end)
        before, after = _offset(zone, moment), _offset(zone, following)
        if before != after:
            change = _instant(zone, moment, following).replace(tzinfo=None)
            local = [change + timedelta(seconds=offset) for offset in (before, after)]
            changes.append(ClockChange(min(local), max(local), before, after))
        moment = following
    return tuple(changes)


def _instant(zone: str, low: datetime, high: datetime) -> datetime:
    """The first second of the offset that holds at ``high``."""
    after = _offset(zone, high)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if _offset(zone, middle) == after:
            high = middle
        else:
            low = middle
    return high


def _offset(zone: str, instant: datetime) -> int:
    offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())
