"""Words for days become dates, counted from the last business day of the data."""

from __future__ import annotations

from datetime import date

import pytest

from chat.dates import BadDate, find

TODAY = date(2026, 11, 23)  # a Monday

SPANS = [
    ("in october", "2026-10-01", "2026-10-31"),
    ("in october 2025", "2025-10-01", "2025-10-31"),
    ("in december", "2025-12-01", "2025-12-31"),
    ("in may", "2026-05-01", "2026-05-31"),
    ("from 2026-10-01 to 2026-10-15", "2026-10-01", "2026-10-15"),
    ("between october 5 and october 9", "2026-10-05", "2026-10-09"),
    ("on the 5th of october", "2026-10-05", "2026-10-05"),
    ("since november 1, 2026", "2026-11-01", None),
    ("before october", None, "2026-09-30"),
    ("after 2026-11-01", "2026-11-02", None),
    ("yesterday", "2026-11-22", "2026-11-22"),
    ("today", "2026-11-23", "2026-11-23"),
    ("last month", "2026-10-01", "2026-10-31"),
    ("this month", "2026-11-01", "2026-11-23"),
    ("last week", "2026-11-16", "2026-11-22"),
    ("last year", "2025-01-01", "2025-12-31"),
    ("in the last 7 days", "2026-11-17", "2026-11-23"),
    ("past two weeks", "2026-11-10", "2026-11-23"),
    ("q3 2026", "2026-07-01", "2026-09-30"),
    ("last quarter", "2026-07-01", "2026-09-30"),
    ("year to date", "2026-01-01", "2026-11-23"),
    ("in 2026", "2026-01-01", "2026-12-31"),
    ("in 2026-10", "2026-10-01", "2026-10-31"),
]


@pytest.mark.parametrize(("text", "start", "end"), SPANS)
def test_a_span_of_days(text: str, start: str | None, end: str | None) -> None:
    (period,), rest = find(text, TODAY)
    found = tuple(day.isoformat() if day else None for day in (period.start, period.end))
    assert found == (start, end)
    assert rest.split() == []


@pytest.mark.parametrize("text", ["may i see the loans", "deposits by month", "customers per day"])
def test_no_span_is_seen_where_none_is(text: str) -> None:
    periods, rest = find(text, TODAY)
    assert periods == []
    assert rest == text


def test_a_day_that_does_not_exist_is_no_other_day() -> None:
    with pytest.raises(BadDate):
        find("on 2026-02-30", TODAY)
