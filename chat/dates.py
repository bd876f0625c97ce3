"""Words for days, as dates by the bank's calendar (:mod:`lakehouse.business_calendar`)."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from lakehouse import business_calendar
from lakehouse.business_calendar import LAST, THIS, UNITS, Days, NoPeriod

MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_SHORT = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_MONTH_OF = {**MONTHS, **_SHORT, "sept": 9}
_MONTH = "(?P<month>" + "|".join(sorted(_MONTH_OF, key=len, reverse=True)) + r")\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d{2})"
_ISO = r"(?:19|20)\d{2}-\d{2}-\d{2}"
_NUMBER_WORDS = (
    *("one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_NUMBERS = {name: number for number, name in enumerate(_NUMBER_WORDS, start=1)}


class BadDate(Exception):
    """Words that look like a date and are none."""


@dataclass(frozen=True)
class Period:
    """Days from ``start`` to ``end``, both included; None is open."""

    start: date | None
    end: date | None
    since: date | None = None
    """Of "since last month", where ``end`` is open: the last day of what was named."""
    now: bool = False
    """Whether ``end`` is today because that is as far as it goes: "this month", "today"."""

    def __and__(self, other: Period) -> Period:
        return Period(*(Days(self.start, self.end) & Days(other.start, other.end)))


def find(text: str, today: date) -> tuple[list[Period], str]:
    """All periods named in ``text``, and the text without those words.

    Raises:
        BadDate: a date that doesn't exist, such as 2026-02-30.

    """
    periods: list[Period] = []
    rest = text

    def take(period: Period) -> str:
        periods.append(period)
        return f" \x00{len(periods) - 1} "

    # "from A to B" and "since A" are read last, over the single dates found first.
    for pattern, meaning in _PATTERNS:
        pieces, done = [], 0
        for found in pattern.finditer(rest):
            pieces += [rest[done : found.start()], take(meaning(found, today))]
            done = found.end()
        rest = "".join(pieces) + rest[done:]
    marker = r"\x00(\d+)"

    def joined(found: re.Match[str]) -> str:
        first, last = periods[int(found[1])], periods[int(found[2])]
        single = first.end if first.start == first.end else None
        return take(Period(first.start, last.end, single, last.now))

    def bounded(found: re.Match[str]) -> str:
        word, period = found["word"], periods[int(found[2])]
        if word in ("since", "from", "starting"):
            return take(Period(period.start, None, None if period.now else period.end))
        if word == "after":
            return take(Period(_next(period.end), None))
        if word == "before":
            return take(Period(None, _previous(period.start)))
        return take(Period(None, period.end, now=period.now))

    rest = re.sub(
        rf"\b(?:from|between)\s+{marker}\s+(?:to|and|until|till|through|-)\s+{marker}", joined, rest
    )
    rest = re.sub(rf"{marker}\s+(?:to|until|till|through|–|-)\s+{marker}", joined, rest)
    rest = re.sub(
        rf"\b(?P<word>since|from|starting|after|before|until|till|through|up to|by|as of|as at|"
        rf"(?:(?:at|by) )?(?:the )?end of)\s+{marker}",
        bounded,
        rest,
    )
    rest = re.sub(r"\b(?:in|on|during|for|over|of|within|at)\s+(?:the\s+)?(?=\x00)", " ", rest)
    used = [periods[int(index)] for index in re.findall(marker, rest)]
    return used, re.sub(marker, " ", rest)


def _next(day: date | None) -> date | None:
    return day + timedelta(days=1) if day else None


def _previous(day: date | None) -> date | None:
    return day - timedelta(days=1) if day else None


def _day(year: int, number: int, day: int) -> Period:
    try:
        found = date(year, number, day)
    except ValueError:
        raise BadDate(f"{year}-{number:02}-{day:02} is no day of the calendar") from None
    return Period(found, found)


def _iso(found: re.Match[str], _: date) -> Period:
    year, number, day = (int(part) for part in found[0].split("-"))
    return _day(year, number, day)


def _iso_month(found: re.Match[str], _: date) -> Period:
    year, number = (int(part) for part in found[0].split("-"))
    if not 1 <= number <= 12:
        raise BadDate(f"{found[0]} is no month")
    return Period(*business_calendar.month(year, number))


def _named_day(found: re.Match[str], today: date) -> Period:
    number, day = _MONTH_OF[found["month"]], int(found["day"])
    if found["year"]:
        return _day(int(found["year"]), number, day)
    guess = _day(today.year, number, day)
    # Without a year, the latest such day that the data can know.
    return guess if guess.start and guess.start <= today else _day(today.year - 1, number, day)


def _named_month(found: re.Match[str], today: date) -> Period:
    number = _MONTH_OF[found["month"]]
    if found["year"]:
        return Period(*business_calendar.month(int(found["year"]), number))
    year = today.year if number <= today.month else today.year - 1
    return Period(*business_calendar.month(year, number))


def _quarter(found: re.Match[str], today: date) -> Period:
    number = int(found["quarter"])
    year = int(found["year"]) if found["year"] else today.year
    if not found["year"] and number > (today.month + 2) // 3:
        year -= 1
    return Period(*business_calendar.quarter(year, number))


def _year(found: re.Match[str], _: date) -> Period:
    year = int(found["year"])
    return Period(date(year, 1, 1), date(year, 12, 31))


def _relative(found: re.Match[str], today: date) -> Period:
    if found["which"] in business_calendar.THIS:
        return Period(*business_calendar.this(found["unit"], today), now=True)
    return Period(*business_calendar.last(found["unit"], today))


def _last_units(found: re.Match[str], today: date) -> Period:
    written = found["number"]
    number = int(written) if written.isdigit() else _NUMBERS[written]
    try:
        return Period(*business_calendar.last_units(number, found["unit"], today), now=True)
    except NoPeriod:
        raise BadDate(f"{found[0]!r} is no span of days") from None


def _shift(days: int) -> Callable[[re.Match[str], date], Period]:
    def shifted(_: re.Match[str], today: date) -> Period:
        day = today - timedelta(days=days)
        return Period(day, day, now=not days)

    return shifted


def _to_date(found: re.Match[str], today: date) -> Period:
    unit = "month" if found["unit"].startswith("m") else "year"
    return Period(*business_calendar.this(unit, today), now=True)


_LEADS = "in|during|for|of|since|from|to|until|and|between|before|after|about"
_AFTER_A_LEAD = "(?:" + "|".join(f"(?<=\\b{lead} )" for lead in _LEADS.split("|")) + ")"
_OF_YEAR = rf"(?:,?\s+(?:of\s+)?{_YEAR})?\b"
_SPAN = rf"(?P<number>\d+|{'|'.join(_NUMBERS)})\s+(?P<unit>{'|'.join(UNITS)})s?\b"
_WHICH = rf"(?P<which>{'|'.join((*LAST, *THIS))})"

_PATTERNS: list[tuple[re.Pattern[str], Callable[[re.Match[str], date], Period]]] = [
    (re.compile(rf"\b{_ISO}\b"), _iso),
    (re.compile(r"\b(?:19|20)\d{2}-\d{2}\b(?!-)"), _iso_month),
    (re.compile(rf"\b{_MONTH}\s+{_DAY}(?!\d)(?:,?\s+{_YEAR})?\b"), _named_day),
    (re.compile(rf"\b(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?\b"), _named_day),
    (re.compile(rf"\b(?:the\s+)?(?:{'|'.join(LAST)})\s+{_SPAN}"), _last_units),
    (
        re.compile(rf"\b(?:the\s+)?{_WHICH}\s+(?:calendar\s+)?(?P<unit>{'|'.join(UNITS)})\b"),
        _relative,
    ),
    (re.compile(r"\b(?P<unit>month|year|m|y)(?:\s+to\s+date|td)\b"), _to_date),
    (re.compile(r"\bthe\s+day\s+before\s+yesterday\b"), _shift(2)),
    (re.compile(r"\byesterday\b"), _shift(1)),
    (re.compile(r"\btoday\b"), _shift(0)),
    (re.compile(rf"\bq(?P<quarter>[1-4]){_OF_YEAR}"), _quarter),
    # "may" and "march" are months only beside words that ask for one.
    (re.compile(rf"{_AFTER_A_LEAD}{_MONTH}{_OF_YEAR}"), _named_month),
    (re.compile(rf"\b(?!may\b|march\b|mar\b){_MONTH}{_OF_YEAR}"), _named_month),
    (re.compile(rf"(?:{_AFTER_A_LEAD}|(?<=year )){_YEAR}\b"), _year),
]
