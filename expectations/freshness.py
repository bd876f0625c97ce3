"""How old the newest records are: beside what is published, and beside a limit where one is set.

A day after tomorrow is a slip of some clock and makes nothing look new.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from expectations.figures import Figure, judge, measure
from expectations.report import CheckReport
from lakehouse import catalog, landing
from lakehouse.business_calendar import today
from lakehouse.duck import connect_lake
from lakehouse.settings import Settings

AGE = "days since the newest record"
BACK = "days that the newest record lies before the published version's"

_DAY_AT_THE_BANK = "CAST(timezone('{{zone}}', timezone('UTC', {utc})) AS DATE)"
_DAYS = {
    # A snapshot's records carry no day of their own: theirs is the day on which it landed.
    "core_banking": (catalog.CUSTOMERS, _DAY_AT_THE_BANK.format(utc="_ingested_at")),
    "credit_bureau": (catalog.CREDIT_PROFILES, _DAY_AT_THE_BANK.format(utc="_ingested_at")),
    "atm": (catalog.TRANSACTIONS, "transaction_date"),
    "feedback": (catalog.COMPLAINTS, _DAY_AT_THE_BANK.format(utc="occurred_at_utc")),
}
_DATED_MARTS = {
    "fct_atm_transactions": "transaction_date",
    "fct_complaints": "complaint_date",
}


def check_freshness(settings: Settings) -> CheckReport:
    """Check the sources' ages alone: for a refresh that finds nothing new to build.

    Raises:
        ServiceUnavailable: the lake does not answer.

    """
    landing.require_lake(settings)
    with connect_lake(settings) as connection:
        return judge(measure(connection, ages(settings, today(settings.timezone))))


def ages(settings: Settings, day: date) -> list[Figure]:
    """How old each source's newest record is on ``day``; of the sources that have a limit."""
    limits = {source: settings.freshness_limit_of(source) for source in catalog.SOURCES}
    return [
        _age(settings, source, day, limit) for source, limit in limits.items() if limit is not None
    ]


def falls_back(published: Mapping[str, int], latest: date, limit: int) -> list[Figure]:
    """How far each dated mart's newest day lies before that of ``published.main``.

    Args:
        published: rows by mart of the published version.
        latest: the last day that counts, on both sides.
        limit: days that it may lie before: a row with a wrong day was taken out, say.

    """
    return [
        Figure(
            BACK,
            mart,
            # Where no day is left at all, even the oldest published one is lost.
            "SELECT greatest(0, coalesce(was.newest - is_now.newest, was.newest - was.oldest + 1,"
            " 0)) AS days, is_now.newest AS newest, was.newest AS published"
            f" FROM ({_newest(mart, day, latest)}) AS is_now,"
            f" ({_newest(f'published.main.{mart}', day, latest)}) AS was",
            maximum=limit,
            note="newest day {newest}, of the published version {published}; where that is meant:"
            " DISCOVER_DAYS_BACK_LIMIT={days} discover refresh",
            key=catalog.MART_KEYS[mart],
            at_fault=f"SELECT * FROM published.main.{mart} WHERE {day} <= DATE '{latest}' AND"
            f" {day} > coalesce((SELECT newest FROM ({_newest(mart, day, latest)})),"
            " DATE '0001-01-01')",
        )
        for mart, day in _DATED_MARTS.items()
        if published.get(mart)
    ]


def _age(settings: Settings, source: str, day: date, limit: int) -> Figure:
    table, expression = _DAYS[source]
    named = "LIMITS" if source in settings.freshness_limits else "LIMIT"
    newest = _newest(
        f"{catalog.TABLE_BUCKET}.{table.identifier}",
        expression.format(zone=settings.timezone),
        day + timedelta(days=1),
    )
    return Figure(
        AGE,
        table.identifier,
        # Without any day it is as old as can be.
        f"SELECT greatest(0, DATE '{day}' - coalesce(newest, DATE '0001-01-01')), newest"
        f" FROM ({newest})",
        maximum=limit,
        note=f"{source}: newest day {{newest}}, DISCOVER_FRESHNESS_{named} is {limit}",
    )


def _newest(table: str, day: str, latest: date) -> str:
    return (
        f"SELECT max(day) AS newest, min(day) AS oldest FROM (SELECT {day} AS day FROM {table})"
        f" WHERE day <= DATE '{latest}'"
    )
