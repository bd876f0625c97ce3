"""The bank's own calendar day, by its zone: what "today" and "too late to be true" mean."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from lakehouse.settings import Settings


def today(settings: Settings) -> date:
    """The day that it is at the bank now."""
    return datetime.now(ZoneInfo(settings.timezone)).date()


def latest_day(settings: Settings) -> date:
    """The last day that the bank's data can be of: tomorrow, for clocks that are a little fast."""
    return today(settings) + timedelta(days=1)
