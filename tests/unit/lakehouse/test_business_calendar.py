"""One calendar: the same words mean the same days to the dashboard's filter and to a question."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from chat.dates import find
from lakehouse.business_calendar import (
    UNITS,
    Days,
    NoPeriod,
    day_of,
    days_of_range,
    last_business_day,
)

TODAY = date(2026, 11, 25)  # a Wednesday

RANGES = [
    ("No filter", None, None),
    ("", None, None),
    ("Last day", "2026-11-24", "2026-11-24"),
    ("Last week", "2026-11-16", "2026-11-22"),
    ("Last month", "2026-10-01", "2026-10-31"),
    ("Last quarter", "2026-07-01", "2026-09-30"),
    ("Last year", "2025-01-01", "2025-12-31"),
    ("previous calendar week", "2026-11-16", "2026-11-22"),
    ("previous calendar month", "2026-10-01", "2026-10-31"),
    ("previous calendar quarter", "2026-07-01", "2026-09-30"),
    ("previous calendar year", "2025-01-01", "2025-12-31"),
    ("Current day", "2026-11-25", "2026-11-25"),
    ("Current week", "2026-11-23", "2026-11-25"),
    ("Current month", "2026-11-01", "2026-11-25"),
    ("Current quarter", "2026-10-01", "2026-11-25"),
    ("Current year", "2026-01-01", "2026-11-25"),
    ("Last 7 days", "2026-11-19", "2026-11-25"),
    ("Last 30 days", "2026-10-27", "2026-11-25"),
    ("Last 2 quarters", "2026-05-26", "2026-11-25"),
    ("Last 1 year", "2025-11-26", "2026-11-25"),
    # Custom, as the filter writes it: both ends count.
    ("2026-11-16T00:00:00 : 2026-11-22T00:00:00", "2026-11-16", "2026-11-22"),
    ("2026-11-16T00:00:00 : 2026-11-22T23:59:59", "2026-11-16", "2026-11-22"),
    ("2026-11-16 : 2026-11-16", "2026-11-16", "2026-11-16"),
    ("2026-11-16 : ", "2026-11-16", None),
    (" : 2026-11-16", None, "2026-11-16"),
    ("2026-11-16T00:00:00 : now", "2026-11-16", "2026-11-25"),
    ('DATEADD(DATETIME("now"), -7, day) : now', "2026-11-18", "2026-11-25"),
    ('DATEADD(DATETIME("today"), -1, MONTH) : today', "2026-10-25", "2026-11-25"),
    (
        'DATEADD(DATETIME("2026-03-31T00:00:00"), -1, month) : 2026-03-31T00:00:00',
        "2026-02-28",
        "2026-03-31",
    ),
    ("Last 30 days : today", "2026-10-27", "2026-11-25"),
    ("3 days ago : yesterday", "2026-11-22", "2026-11-24"),
    # As far as there is data.
    ("2026-11-16 : 2026-12-31", "2026-11-16", "2026-11-25"),
]


@pytest.mark.parametrize(("text", "first", "last"), RANGES)
def test_a_range_of_the_date_filter(text: str, first: str | None, last: str | None) -> None:
    found = days_of_range(text, TODAY)
    assert tuple(day and day.isoformat() for day in found) == (first, last)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-11-26 : 2026-12-01", "the data ends on 2026-11-25"),
        ("2026-11-26 : ", "the data ends on 2026-11-25"),
        ("2026-11-20 : 2026-11-10", "the first day is after the last"),
        ("Next week", "is no range of days"),
        ("Last 3 hours", "is no range of days"),
        ("first week of this year", "is no range of days"),
        ('DATETRUNC(DATETIME("today"), month) : today', "is no range of days"),
        ("HOLIDAY('Christmas') : today", "is no range of days"),
        ("Last week; drop table x", "is no range of days"),
        ("2026-11-16T08:30:00 : 2026-11-22T00:00:00", "complete days"),
        ("2026-02-30 : 2026-03-01", "is no day of the calendar"),
        ("Last 0 days", "no period"),
        ("Last 99999 days", "no period"),
        ("Last 9999 years", "outside the calendar"),
        ('DATEADD(DATETIME("now"), -999999999999, day) : now', "outside the calendar"),
    ],
)
def test_what_means_no_days_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(NoPeriod, match=why):
        days_of_range(text, TODAY)


@pytest.mark.parametrize("today", ["2026-11-25", "2026-03-31", "2024-02-29", "2026-01-01"])
@pytest.mark.parametrize(
    "text",
    [
        *(f"Last {unit}" for unit in UNITS),
        *(f"Current {unit}" for unit in UNITS),
        *(f"previous calendar {unit}" for unit in UNITS),
        *(f"Last {number} {unit}s" for number in (1, 2, 30) for unit in UNITS),
    ],
)
def test_the_chat_reads_the_same_words_as_the_same_days(text: str, today: str) -> None:
    last_day = date.fromisoformat(today)
    (period,), rest = find(text.lower(), last_day)
    assert rest.split() == []
    assert days_of_range(text, last_day) == Days(period.start, period.end)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-01-01T04:59:59", "2025-12-31"),
        ("2026-01-01T05:00:00", "2026-01-01"),
        ("2026-07-01T03:59:59", "2026-06-30"),
        ("2026-03-08T04:59:59", "2026-03-07"),
        ("2026-11-02T04:59:59+00:00", "2026-11-01"),
        ("2026-11-01T23:30:00-05:00", "2026-11-01"),
    ],
)
def test_a_moment_is_of_the_banks_day(moment: str, day: str) -> None:
    assert day_of(datetime.fromisoformat(moment), "America/Toronto").isoformat() == day


def test_data_without_a_day_ends_on_the_banks_day_of_publishing() -> None:
    manifest = {"published_at": "2026-11-26T03:00:00+00:00", "timezone": "America/Toronto"}
    assert last_business_day(manifest | {"data_through": "2026-11-20"}) == date(2026, 11, 20)
    assert last_business_day(manifest | {"data_through": None}) == date(2026, 11, 25)
    assert last_business_day(manifest) == day_of(
        datetime(2026, 11, 26, 3, tzinfo=UTC), "America/Toronto"
    )
