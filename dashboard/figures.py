"""What each chart shows, read from the assets, and the same figures straight from the marts.

The SQL here is the second opinion: it shares nothing with Superset's datasets but the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb

from dashboard.load import read_assets
from lakehouse.business_calendar import Days
from lakehouse.filters import NO_SCORE

METRICS: dict[str, tuple[str, str]] = {
    "customer_count": ("fct_customers", "count(*)"),
    "average_credit_score": (
        "fct_customers",
        "cast(sum(f.credit_score) as double) / nullif(count(f.credit_score), 0)",
    ),
    "delinquency_total": ("fct_customers", "sum(f.delinquencies)"),
    "uncounted_credit_count": (
        "fct_customers",
        "count(*) filter (where f.credit_record_status in ('quarantined', 'unknown'))",
    ),
    "loan_count": ("fct_loans", "count(*)"),
    "loan_total": ("fct_loans", "coalesce(sum(f.amount), 0)"),
    "average_loan_amount": ("fct_loans", "cast(sum(f.amount) as double) / nullif(count(*), 0)"),
    "borrower_count": ("fct_loans", "count(distinct c.customer_id)"),
    "transaction_count": ("fct_atm_transactions", "count(*)"),
    "deposit_total": (
        "fct_atm_transactions",
        "coalesce(sum(f.amount) filter (where f.transaction_type = 'deposit'), 0)",
    ),
    "withdrawal_total": (
        "fct_atm_transactions",
        "coalesce(sum(f.amount) filter (where f.transaction_type = 'withdrawal'), 0)",
    ),
    "net_flow": (
        "fct_atm_transactions",
        "coalesce(sum(case f.transaction_type when 'deposit' then f.amount else -f.amount end), 0)",
    ),
    "complaint_count": ("fct_complaints", "count(*)"),
}
"""Mart and aggregate of every metric that a chart shows; names as in dbt's metrics."""

COLUMNS = {"province_code": "province", "weekday": "transaction_weekday"}
"""Charts' columns that a dataset derives, and the mart column that they stand for."""

DATES = {"fct_atm_transactions": "transaction_date", "fct_complaints": "complaint_date"}
"""The bank's day of a mart's rows."""

OF_CUSTOMERS = ("city", "province", "credit_band")
"""Attributes that are joined when read."""

PROVINCES = {
    "CA-AB": "Alberta",
    "CA-BC": "British Columbia",
    "CA-MB": "Manitoba",
    "CA-NB": "New Brunswick",
    "CA-NL": "Newfoundland and Labrador",
    "CA-NS": "Nova Scotia",
    "CA-NT": "Northwest Territories",
    "CA-NU": "Nunavut",
    "CA-ON": "Ontario",
    "CA-PE": "Prince Edward Island",
    "CA-QC": "Quebec",
    "CA-SK": "Saskatchewan",
    "CA-YT": "Yukon",
}
"""ISO 3166-2 codes, by which the map knows the provinces."""

UNKNOWN = "Not in core banking"
"""What the datasets say of people whom core banking doesn't know, instead of a credit band."""

NOTHING = "—"
"""How a group without a value is written here."""

Rows = dict[tuple[str, ...], Decimal | None]
"""Figures by the values they are grouped by; a single figure stands under ``()``."""


@dataclass(frozen=True)
class Chart:
    """One chart: its place, the figures it shows, and the question that has the same answer."""

    key: str
    tab: str
    title: str
    dataset: str
    kind: str
    metric: str
    columns: tuple[str, ...]
    """What it groups by, in the dataset's names."""
    limit: int | None
    """Shows the greatest so many groups only; None shows all."""
    question: str
    params: Mapping[str, Any]

    @property
    def places(self) -> int:
        """Decimals in which its figures are written: none for counts."""
        return 0 if self.metric.endswith("_count") or self.metric == "delinquency_total" else 2

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What it groups by, in the marts' names."""
        return tuple(COLUMNS.get(column, column) for column in self.columns)


@cache
def charts() -> tuple[Chart, ...]:
    """All charts in the order in which the dashboard shows them."""
    (dashboard,) = read_assets("dashboards").values()
    position = dashboard["position"]
    datasets = {asset["uuid"]: name for name, asset in read_assets("datasets/*").items()}
    by_uuid = {asset["uuid"]: (name, asset) for name, asset in read_assets("charts").items()}
    found = []
    for tab_id in position["TABS-main"]["children"]:
        for row_id in position[tab_id]["children"]:
            for item_id in position[row_id]["children"]:
                item = position[item_id]
                if item["type"] == "CHART":
                    key, asset = by_uuid[item["meta"]["uuid"]]
                    dataset = datasets[asset["dataset_uuid"]]
                    found.append(_chart(key, position[tab_id]["meta"]["text"], dataset, asset))
    return tuple(found)


def _chart(key: str, tab: str, dataset: str, asset: Mapping[str, Any]) -> Chart:
    params = asset["params"]
    limit = params.get("row_limit")
    return Chart(
        key=key,
        tab=tab,
        title=asset["slice_name"],
        dataset=dataset,
        kind=params["viz_type"],
        metric=params["metrics"][0] if "metrics" in params else params["metric"],
        columns=_columns(params),
        limit=limit if limit is not None and limit < 1000 else None,
        question=asset["description"],
        params=params,
    )


def _columns(params: Mapping[str, Any]) -> tuple[str, ...]:
    grouped = params.get("groupby") or []
    named = [params.get("x_axis"), params.get("entity")]
    named += [grouped] if isinstance(grouped, str) else grouped
    return tuple(name for name in named if name)


def mart_rows(
    connection: duckdb.DuckDBPyConnection,
    chart: Chart,
    user: str,
    chosen: Mapping[str, Sequence[str]] | None = None,
    days: Days = Days(None, None),  # noqa: B008 - immutable
) -> Rows:
    """The chart's figures from the published marts, over the rows that ``user`` may see.

    Args:
        connection: to the published marts.
        chart: which figures.
        user: whose rows.
        chosen: values of the dashboard's filters by their keys; ``docs/filters.md`` says what
            each one narrows.
        days: first and last day of its date filter.

    """
    table, expression = METRICS[chart.metric]
    # Joined always: a customer, or NULL for a row of someone unknown.
    joins = table in ("fct_loans", "fct_atm_transactions")
    join = "left join fct_customers as c on c.customer_id = f.customer_id" if joins else ""
    who = "c" if joins else "f"
    selected = [
        f"case when {who}.customer_id is not null"
        f" then coalesce({who}.credit_band, '{NO_SCORE}') end"
        if name == "credit_band"
        else f"{who if name in OF_CUSTOMERS else 'f'}.{name}"
        for name in chart.dimensions
    ]
    parameters: dict[str, Any] = {"user": user}
    where = [may_see(table), *_narrowed(table, who, chosen or {}, days, parameters)]
    grouping = f"group by {', '.join(selected)}" if selected else ""
    figures = f"select {', '.join([*selected, expression])} from {table} as f {join}"
    sql = f"{figures} where {' and '.join(where)} {grouping}"
    return keyed(connection.execute(sql, parameters).fetchall())


def _narrowed(
    table: str,
    who: str,
    chosen: Mapping[str, Sequence[str]],
    days: Days,
    parameters: dict[str, Any],
) -> list[str]:
    columns = {
        "customer": f"{who}.customer_label",
        "city": f"{who}.city",
        "credit_band": f"coalesce({who}.credit_band, '{NO_SCORE}')",
        "loan_type": "f.loan_type",
    }
    where = []
    for key, values in chosen.items():
        of_loans = key == "loan_type"
        if table == "fct_complaints" or (of_loans and table != "fct_loans"):
            continue
        parameters[key] = list(values)
        where.append(f"{columns[key]} = any(${key})")
        if not of_loans:
            where.append(f"{who}.customer_id is not null")
    if column := DATES.get(table):
        for name, sign, day in (("first", ">=", days.first), ("last", "<=", days.last)):
            if day:
                parameters[name] = day
                where.append(f"f.{column} {sign} ${name}")
    return where


def may_see(table: str) -> str:
    """The condition on a mart's rows ``f`` that leaves those which ``$user`` may see."""
    granted = "select 1 from entitlements as e where e.user_name = $user"
    if table == "fct_complaints":
        return f"exists ({granted})"
    return (
        f"exists ({granted} and (e.group_type = 'all'"
        " or (e.group_type = 'customer' and e.group_value = cast(f.customer_id as varchar))"
        " or (e.group_type = 'city' and e.group_value = (select d.city"
        " from dim_customers as d where d.customer_id = f.customer_id))))"
    )


def keyed(rows: Iterable[Sequence[Any]]) -> Rows:
    """Rows of groups and one figure, the figure last, as :data:`Rows`."""
    return {tuple(_word(value) for value in row[:-1]): number(row[-1]) for row in rows}


def greatest(rows: Rows, limit: int | None) -> Rows:
    """The ``limit`` greatest figures; groups without a figure come last."""
    if limit is None or len(rows) <= limit:
        return rows
    ranked = sorted(rows.items(), key=lambda item: (item[1] is None, -(item[1] or 0)))
    return dict(ranked[:limit])


def number(value: Any) -> Decimal | None:
    """Any engine's number, exactly; a double by its shortest decimal form."""
    return None if value is None else Decimal(str(value))


def agree(one: Rows, other: Rows, limit: int | None = None) -> bool:
    """Whether both show the same figures, as far as both are written out.

    With a limit, ties at the cut may show either group: then each group shown must agree, and the
    ranked figures must be the same.
    """
    if limit is None or len(other) <= limit:
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    top = greatest(other, limit)
    ranked = zip(greatest(one, limit).values(), top.values(), strict=False)
    return (
        len(one) == limit
        and all(key in other and same(figure, other[key]) for key, figure in one.items())
        and all(same(left, right) for left, right in ranked)
    )


def same(one: Decimal | None, other: Decimal | None) -> bool:
    """Equal to the last decimal that both write, and to fourteen digits: a double has no more."""
    if one is None or other is None:
        # No figure isn't zero: "No data" beside "CAD 0.00" is a difference.
        return one is other
    places = min(_places(one), _places(other))
    allowed = Decimal(5).scaleb(-places - 1) if _places(one) != _places(other) else Decimal(0)
    return abs(one - other) <= max(allowed, abs(one) * Decimal("1e-14"))


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _word(value: Any) -> str:
    if value is None or value in ("", UNKNOWN):
        return NOTHING
    return value.isoformat() if isinstance(value, date) else str(value)
