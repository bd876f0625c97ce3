"""The bank's calendar: the days of a period, and what "today" means. One place for all readers.

A period has a first and a last day, and both count; ``None`` is open. Relative periods count from
the last business day of the published data, never from the clock of a machine. Standard library
only: Superset reads this file too, from another environment.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

UNITS = ("day", "week", "month", "quarter", "year")
LAST = ("last", "previous", "past", "prior")
THIS = ("this", "current")
ANY_DAY = "No filter"
"""A date filter that isn't set, in the dashboard's words."""
_MOST = 10_000
"""Units in a period: more would lie before any calendar."""
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"day": 1, "week": 7}


class NoPeriod(ValueError):
    """The words are no period of days; the message says what to choose instead."""


class Days(NamedTuple):
    """From the first to the last day, both included; ``None`` is open."""

    first: date | None
    last: date | None

    def __and__(self, other: Days) -> Days:
        """The days of both. There are none where ``first`` is after ``last``."""
        firsts = [day for day in (self.first, other.first) if day]
        lasts = [day for day in (self.last, other.last) if day]
        return Days(max(firsts, default=None), min(lasts, default=None))

    @property
    def empty(self) -> bool:
        """Whether no day is in it."""
        return self.first is not None and self.last is not None and self.first > self.last


# "Today".


def day_of(moment: datetime, timezone: str) -> date:
    """The bank's day of a moment. A moment without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(ZoneInfo(timezone)).date()


def today(timezone: str) -> date:
    """The day that it is at the bank now: for what arrives, never for a question or a filter."""
    return day_of(datetime.now(UTC), timezone)


def latest_day(timezone: str) -> date:
    """The last day that the bank's data can be of: tomorrow, for clocks that are a little fast."""
    return today(timezone) + timedelta(days=1)


def last_business_day(manifest: Mapping[str, Any]) -> date:
    """The day from which a published version's periods count: its data's last business day.

    Data without a single day ends on the day on which it was published, at the bank.
    """
    if through := manifest.get("data_through"):
        return date.fromisoformat(through)
    published = datetime.fromisoformat(manifest["published_at"])
    return day_of(published, manifest.get("timezone") or "UTC")


# Periods.


def month(year: int, number: int) -> Days:
    """One calendar month."""
    return Days(date(year, number, 1), date(year, number, calendar.monthrange(year, number)[1]))


def quarter(year: int, number: int) -> Days:
    """One calendar quarter."""
    return Days(month(year, number * 3 - 2).first, month(year, number * 3).last)


def containing(unit: str, day: date) -> Days:
    """The calendar day, week (from Monday), month, quarter or year that ``day`` is in."""
    if unit == "day":
        return Days(day, day)
    if unit == "week":
        monday = day - timedelta(days=day.weekday())
        return Days(monday, monday + timedelta(days=6))
    if unit == "month":
        return month(day.year, day.month)
    if unit == "quarter":
        return quarter(day.year, (day.month + 2) // 3)
    return Days(date(day.year, 1, 1), date(day.year, 12, 31))


def this(unit: str, today: date) -> Days:
    """The calendar unit that goes on today, as far as it goes: up to today."""
    return Days(containing(unit, today).first, today)


def last(unit: str, today: date) -> Days:
    """The complete calendar unit before the one that goes on today."""
    first = containing(unit, today).first
    assert first is not None
    return containing(unit, first - timedelta(days=1))


def last_units(number: int, unit: str, today: date) -> Days:
    """So many units up to today, which counts: the last 7 days begin 6 days ago.

    Raises:
        NoPeriod: none, or too many.

    """
    if not 1 <= number <= _MOST:
        raise NoPeriod(f"the last {number} {unit}s are no period of days")
    return Days(shift(today, -number, unit) + timedelta(days=1), today)


def shift(day: date, number: int, unit: str) -> date:
    """The day so many units later, or earlier; the 31st becomes the last day of a shorter month.

    Raises:
        NoPeriod: the calendar doesn't reach that far.

    """
    try:
        if unit in _DAYS:
            return day + timedelta(days=number * _DAYS[unit])
        year, index = divmod(day.year * 12 + day.month - 1 + number * _MONTHS[unit], 12)
        last_day = calendar.monthrange(year, index + 1)[1]
        return date(year, index + 1, min(day.day, last_day))
    except (ValueError, OverflowError):
        raise NoPeriod(f"{number} {unit}s from {day} is outside the calendar") from None


# The dashboard's date filter.

_UNIT = rf"(?P<unit>{'|'.join(UNITS)})"
_RELATIVE = re.compile(
    rf"(?P<which>{'|'.join((*LAST, *THIS))}) (?:(?P<number>\d+) |calendar )?{_UNIT}s?"
)
_ADDED = re.compile(
    r"dateadd\( ?datetime\( ?(?P<quote>[\"'])(?P<anchor>[^\"']+)(?P=quote) ?\) ?, ?"
    rf"(?P<number>[+-]?\d+) ?, ?{_UNIT} ?\)"
)
_AGO = re.compile(rf"(?P<number>\d+) {_UNIT}s? ago")
_DATE = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})(?:[t ](?P<time>\d{2}:\d{2}(?::\d{2})?)(?:\.0+)?)?")
_WHOLE_DAY = ("00:00", "00:00:00", "23:59", "23:59:59")
_CHOOSE = "choose Last, Previous or Current, or two days under Custom"


def days_of_range(text: str, today: date) -> Days:
    """The days that a range of the dashboard's date filter means, as far as there is data.

    Args:
        text: as the filter sends it: ``Last week``, ``previous calendar month``, ``Current year``,
            ``Last 30 days``, or two ends joined by `` : ``, each empty, a date, ``today`` or a date
            plus some units.
        today: the data's last business day.

    Raises:
        NoPeriod: it means no days, times within a day, or days after the last one of the data.

    """
    words = " ".join(text.casefold().split())
    if words in ("", ANY_DAY.casefold()):
        return Days(None, None)
    first, colon, second = (f" {words} ").partition(" : ")
    if colon:
        found = Days(_side(first, today).first, _side(second, today).last)
    else:
        found = _side(words, today)
    if found.empty:
        raise NoPeriod(f"{found.first} to {found.last}: the first day is after the last one")
    if found.first is not None and found.first > today:
        raise NoPeriod(f"the data ends on {today}, and the range begins on {found.first}")
    return found & Days(None, today) if found.last else found


def _side(text: str, today: date) -> Days:
    words = text.strip()
    if not words:
        return Days(None, None)
    if words in ("today", "now"):
        return Days(today, today)
    if words == "yesterday":
        return last("day", today)
    if found := _RELATIVE.fullmatch(words):
        if found["number"] is None:
            named = last if found["which"] in LAST else this
            return named(found["unit"], today)
        if found["which"] in LAST:
            return last_units(int(found["number"]), found["unit"], today)
    if found := _AGO.fullmatch(words):
        day = shift(today, -int(found["number"]), found["unit"])
        return Days(day, day)
    if found := _ADDED.fullmatch(words):
        anchor = _side(found["anchor"], today).first
        if anchor is not None:
            day = shift(anchor, int(found["number"]), found["unit"])
            return Days(day, day)
    if found := _DATE.fullmatch(words):
        return _date(found)
    raise NoPeriod(f"{text.strip()[:60]!r} is no range of days; {_CHOOSE}")


def _date(found: re.Match[str]) -> Days:
    if found["time"] and found["time"] not in _WHOLE_DAY:
        raise NoPeriod(f"complete days are counted, not the time {found['time']}; set it to 00:00")
    try:
        day = date.fromisoformat(found["day"])
    except ValueError:
        raise NoPeriod(f"{found['day']} is no day of the calendar") from None
    return Days(day, day)
