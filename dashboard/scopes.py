"""Scopes to check the dashboard under: what a user could choose in its filters, from the data.

The choices come from the published marts, so that they exist on any data: a real customer, city,
credit band, loan type, and days that the data has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import duckdb

from dashboard.figures import Chart, may_see
from lakehouse.business_calendar import Days
from lakehouse.filters import DATASETS, FILTERS, NO_SCORE, DashboardFilter

AWKWARD_SIGNS = ("\\", "''", '"', "%", "_", ";", "{", "é", "😀")
"""In a customer's name, each has broken some filter somewhere; the quote is doubled, as in SQL."""
_ID = re.compile(r"· #(\d+)$")


@dataclass(frozen=True)
class CheckedScope:
    """Values of the dashboard's filters, by the filter's key; a date filter has one range."""

    name: str
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    dates: str | None = None
    """As the date filter words it."""

    def reaching(self, chart: Chart) -> list[DashboardFilter]:
        """The filters that are set and that narrow the chart."""
        return [
            found
            for found in FILTERS
            if (found.key in self.chosen or (found.key == "date" and self.dates))
            and chart.dataset in DATASETS[found.narrows]
        ]

    def extra_form_data(self, chart: Chart) -> dict[str, Any]:
        """What the page's native filters add to the chart's query."""
        found: dict[str, Any] = {}
        for declared in self.reaching(chart):
            if declared.column is None:
                found["time_range"] = self.dates
                continue
            condition = {"col": declared.column, "op": "IN", "val": [*self.chosen[declared.key]]}
            found.setdefault("filters", []).append(condition)
        return found

    def of_the_chat(self, days: Days) -> dict[str, Any]:
        """The chat's scope, as the page makes it of the filters and of the days they mean."""
        found: dict[str, Any] = {}
        for declared in FILTERS:
            values = self.chosen.get(declared.key)
            if values is None:
                continue
            listed: list[Any] = list(values)
            if declared.key == "customer":
                listed = [int(match[1]) for label in values if (match := _ID.search(label))]
            found[declared.fields[0]] = listed
        named = zip(("from", "to"), days, strict=True)
        return found | {name: day.isoformat() for name, day in named if day}


EVERYTHING = CheckedScope("everything")


def scopes(marts: duckdb.DuckDBPyConnection, user: str, last_day: date) -> list[CheckedScope]:
    """The scopes to check for a user: none set, each filter alone, combinations, an empty one."""

    def first(sql: str, limit: int = 1) -> list[str]:
        rows = marts.execute(f"{sql} limit {limit}", {"user": user}).fetchall()
        return [str(row[0]) for row in rows]

    seen = f"from fct_customers as f where {may_see('fct_customers')}"
    loans = f"from fct_loans as f where {may_see('fct_loans')}"
    busiest = first(
        f"select f.customer_label {seen} order by (select count(*) from fct_atm_transactions as t"
        " where t.customer_id = f.customer_id) desc, f.customer_id"
    )
    awkward = dict.fromkeys(
        label
        for sign in AWKWARD_SIGNS
        for label in first(
            f"select f.customer_label {seen} and contains(f.customer_name, '{sign}')"
            " order by f.customer_id"
        )
    )
    awkward |= dict.fromkeys(
        first(f"select f.customer_label {seen} order by length(f.customer_name) desc, 1")
    )
    cities = first(
        f"select f.city {seen} and f.city is not null group by 1 order by count(*) desc, 1", 2
    )
    bands = first(
        f"select f.credit_band {seen} and f.credit_band is not null group by 1"
        " order by count(*) desc, 1"
    )
    types = first(f"select f.loan_type {loans} group by 1 order by count(*) desc, 1")
    elsewhere = [
        str(row[0])
        for row in marts.execute(
            f"select f.customer_label {seen} and f.city is distinct from (select x.city"
            " from fct_customers as x where x.customer_label = any($busiest) limit 1)"
            " order by f.customer_id limit 1",
            {"user": user, "busiest": busiest},
        ).fetchall()
    ]
    week = last_day - timedelta(days=6)
    found = [
        EVERYTHING,
        CheckedScope("customer", {"customer": busiest}),
        CheckedScope("awkward names", {"customer": [*awkward]}),
        CheckedScope("city", {"city": cities[:1]}),
        CheckedScope("credit band", {"credit_band": bands}),
        CheckedScope(NO_SCORE, {"credit_band": [NO_SCORE]}),
        CheckedScope("loan type", {"loan_type": types}),
        CheckedScope("last week", dates="Last week"),
        CheckedScope("last 30 days", dates="Last 30 days"),
        CheckedScope("current month", dates="Current month"),
        CheckedScope("custom days", dates=f"{week}T00:00:00 : {last_day}T00:00:00"),
        CheckedScope("city and credit band", {"city": cities[:1], "credit_band": bands}),
        CheckedScope(
            "city, loan type and last 30 days",
            {"city": cities[:1], "loan_type": types},
            "Last 30 days",
        ),
        CheckedScope(
            "every filter",
            {"customer": [*awkward], "city": cities, "credit_band": bands, "loan_type": types},
            "Current month",
        ),
        CheckedScope("no customer", {"customer": elsewhere, "city": _city(marts, busiest)}),
    ]
    # Data without a single loan, say, has no such choice: its filter offers nothing.
    return [one for one in found if all(one.chosen.values())]


def _city(marts: duckdb.DuckDBPyConnection, labels: Sequence[str]) -> list[str]:
    rows = marts.execute(
        "select city from fct_customers where city is not null and customer_label = any($labels)",
        {"labels": list(labels)},
    ).fetchall()
    return [row[0] for row in rows]
