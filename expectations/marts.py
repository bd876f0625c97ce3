"""The candidate's marts after dbt, in SQL: keys, and totals that must agree with the raw tables.

Every check is one count of offenders that DuckDB computes; Great Expectations judges the counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import duckdb

from expectations.figures import Figure, judge, measure
from expectations.freshness import ages, falls_back
from expectations.report import CheckReport
from lakehouse import catalog, landing, text
from lakehouse.business_calendar import latest_day, today
from lakehouse.duck import attach_published, connect_lake
from lakehouse.settings import Settings
from lakehouse.versions import Versions


def check_marts(settings: Settings, marts_file: Path) -> CheckReport:
    """Check a candidate's marts against themselves, the raw tables and the published version.

    Raises:
        ServiceUnavailable: the lake does not answer.
        GateFailed: a mart is missing.

    """
    landing.require_lake(settings)
    versions = Versions(settings.home)
    with connect_lake(settings) as connection:
        attach_published(connection, marts_file)
        connection.execute("USE marts.main")
        published, orphans, figures = versions.current(), {}, []
        if published is not None and versions.marts_file(published.run_id) != marts_file:
            attach_published(connection, versions.marts_file(published.run_id), "published")
            orphans = orphan_shares(connection, published.tables)
            figures += row_losses(published.tables, settings.row_loss_limit)
            figures += falls_back(
                published.tables, latest_day(settings.timezone), settings.days_back_limit
            )
        figures = [
            *figures_of(settings, orphans),
            *ages(settings, today(settings.timezone)),
            *figures,
        ]
        return judge(measure(connection, figures))


def figures_of(
    settings: Settings, orphans: Mapping[str, float] = MappingProxyType({})
) -> list[Figure]:
    """All figures, in the order of the marts.

    Args:
        settings: the limits.
        orphans: share of rows of unknown customers in the published version, by mart.

    """
    customers, credit, loans, transactions, complaints = (
        f"{catalog.TABLE_BUCKET}.{table.identifier}" for table in catalog.RAW_TABLES
    )
    return [
        Figure("rows", "dim_customers", "SELECT count(*) FROM dim_customers", 1, None),
        _key("dim_customers"),
        _differing(
            "customers that differ from core banking",
            "dim_customers",
            f"SELECT customer_id, nullif({text.key_sql('name')}, ''),"
            f" nullif({text.key_sql('city')}, '') FROM {customers}",
            f"SELECT customer_id, {text.key_sql('customer_name')}, {text.key_sql('city')}"
            " FROM dim_customers",
        ),
        _counted(
            "customers of a city that is spelled in several ways",
            "dim_customers",
            f"FROM dim_customers WHERE {text.key_sql('city')} IN"
            f" (SELECT {text.key_sql('city')} FROM dim_customers"
            " GROUP BY 1 HAVING count(DISTINCT city) > 1)",
        ),
        _key("fct_customers"),
        _differing(
            "customers that differ from dim_customers",
            "fct_customers",
            "SELECT customer_id, city FROM dim_customers",
            "SELECT customer_id, city FROM fct_customers",
        ),
        _differing(
            "credit records that differ from the bureau's",
            "fct_customers",
            f"SELECT customer_id, credit_score, delinquencies FROM {credit}"
            " SEMI JOIN dim_customers USING (customer_id) WHERE record_status = 'present'"
            f" AND customer_id NOT IN (SELECT customer_id FROM {credit}"
            " WHERE record_status = 'quarantined' AND customer_id IS NOT NULL)",
            "SELECT customer_id, credit_score, delinquencies FROM fct_customers"
            " WHERE credit_record_status = 'present'",
        ),
        _differing(
            "customers whose loans differ from fct_loans",
            "fct_customers",
            "SELECT customer_id, count(*) AS n, sum(amount) AS total FROM fct_loans"
            " SEMI JOIN dim_customers USING (customer_id) GROUP BY ALL",
            "SELECT customer_id, loan_count, loan_total FROM fct_customers WHERE loan_count > 0",
        ),
        _differing(
            "customers whose refused record isn't theirs in raw",
            "fct_customers",
            f"SELECT DISTINCT customer_id FROM {credit}"
            " SEMI JOIN dim_customers USING (customer_id) WHERE record_status = 'quarantined'",
            "SELECT customer_id FROM fct_customers WHERE credit_record_status = 'quarantined'",
        ),
        _counted(
            "customers without a record, whatever refused records name nobody",
            "fct_customers",
            "FROM fct_customers WHERE credit_record_status ="
            f" CASE WHEN EXISTS (FROM {credit} WHERE customer_id IS NULL)"
            " THEN 'absent' ELSE 'unknown' END",
        ),
        _counted(
            "figures of customers whose credit isn't known",
            "fct_customers",
            "FROM fct_customers WHERE credit_record_status IN ('quarantined', 'unknown')"
            " AND coalesce(loan_count, loan_total, credit_score, delinquencies) IS NOT NULL",
        ),
        _differing(
            "customers whose ATM totals differ from fct_atm_transactions",
            "fct_customers",
            "SELECT customer_id, count(*) AS n,"
            " coalesce(sum(amount) FILTER (transaction_type = 'deposit'), 0) AS deposits,"
            " coalesce(sum(amount) FILTER (transaction_type = 'withdrawal'), 0) AS withdrawals"
            " FROM fct_atm_transactions SEMI JOIN dim_customers USING (customer_id) GROUP BY ALL",
            "SELECT customer_id, atm_transaction_count, deposit_total, withdrawal_total"
            " FROM fct_customers WHERE atm_transaction_count > 0",
        ),
        _key("fct_loans"),
        _differing(
            "loan types whose totals differ from raw",
            "fct_loans",
            *(
                f"SELECT loan_type, count(*), sum(amount) FROM {table} GROUP BY loan_type"
                for table in (loans, "fct_loans")
            ),
            rows=[
                f"SELECT customer_id, loan_number, loan_type, amount FROM {table}"
                for table in (loans, "fct_loans")
            ],
        ),
        _orphans("fct_loans", catalog.LOANS.source, settings, orphans),
        _key("fct_atm_transactions"),
        _differing(
            "months and types whose totals differ from raw",
            "fct_atm_transactions",
            *(
                "SELECT date_trunc('month', transaction_date) AS month, transaction_type,"
                f" count(*), sum(amount) FROM {table} GROUP BY month, transaction_type"
                for table in (transactions, "fct_atm_transactions")
            ),
            rows=[
                f"SELECT transaction_id, transaction_type, transaction_date, amount FROM {table}"
                for table in (transactions, "fct_atm_transactions")
            ],
        ),
        _orphans("fct_atm_transactions", catalog.TRANSACTIONS.source, settings, orphans),
        _differing(
            "dates and types whose totals differ from fct_atm_transactions",
            "fct_atm_daily",
            "SELECT transaction_date, transaction_type, count(*), sum(amount)"
            " FROM fct_atm_transactions GROUP BY transaction_date, transaction_type",
            "SELECT transaction_date, transaction_type, sum(transaction_count),"
            " sum(amount_total) FROM fct_atm_daily GROUP BY transaction_date, transaction_type",
            # Of the mart's key the day alone: there is a city in the rest.
            key=("transaction_date",),
        ),
        _key("fct_complaints"),
        _differing(
            "categories whose counts differ from raw",
            "fct_complaints",
            *(
                f"SELECT category, count(*) FROM {table} GROUP BY category"
                for table in (complaints, "fct_complaints")
            ),
            rows=[
                f"SELECT feedback_id, category FROM {table}"
                for table in (complaints, "fct_complaints")
            ],
        ),
        _key("fct_unknown_customers"),
        _differing(
            "orphans that differ from the facts'",
            "fct_unknown_customers",
            "SELECT customer_id, sum(loans), sum(transactions) FROM"
            " (SELECT customer_id, 1 AS loans, 0 AS transactions FROM fct_loans UNION ALL"
            " SELECT customer_id, 0, 1 FROM fct_atm_transactions)"
            " ANTI JOIN dim_customers USING (customer_id) GROUP BY customer_id",
            "SELECT customer_id, coalesce(loan_count, 0), atm_transaction_count"
            " FROM fct_unknown_customers"
            " WHERE coalesce(loan_count, 0) + atm_transaction_count > 0",
        ),
        _differing(
            "orphans that differ from the bureau's",
            "fct_unknown_customers",
            f"SELECT DISTINCT customer_id FROM {credit}"
            " ANTI JOIN dim_customers USING (customer_id) WHERE customer_id IS NOT NULL",
            "SELECT customer_id FROM fct_unknown_customers"
            " WHERE credit_record_status IN ('present', 'quarantined')",
        ),
        Figure("rows", "entitlements", "SELECT count(*) FROM entitlements", 1, None),
    ]


def row_losses(published: Mapping[str, int], limit: float) -> list[Figure]:
    """What each mart has lost of ``published.main``'s rows: a half-empty snapshot is no news."""
    return [
        Figure(
            "share of the published version's rows that are gone",
            table,
            f"SELECT greatest(0, 1 - count(*) / {published[table]}) FROM {table}",
            maximum=limit,
            note=f"at most {limit:.4g}; where that is meant:"
            " DISCOVER_ROW_LOSS_LIMIT=1 discover refresh",
            key=catalog.MART_KEYS[table],
            at_fault=f"SELECT * FROM published.main.{table}"
            f" ANTI JOIN {table} USING ({', '.join(catalog.MART_KEYS[table])})",
        )
        for table in ("dim_customers", "fct_loans", "fct_atm_transactions", "fct_complaints")
        if published.get(table)
    ]


def _key(table: str) -> Figure:
    """Rows whose key is NULL or stands more than once."""
    columns = catalog.MART_KEYS[table]
    key = ", ".join(columns)
    missing = " OR ".join(f"{column} IS NULL" for column in columns)
    repeated = f"(SELECT {key}, count(*) AS n FROM {table} GROUP BY {key}) WHERE n > 1 OR {missing}"
    return Figure(
        f"rows without a {key} of their own",
        table,
        f"SELECT coalesce(sum(n), 0) FROM {repeated}",
        key=columns,
        at_fault=f"SELECT {key} FROM {repeated}",
    )


def _counted(name: str, table: str, rows: str) -> Figure:
    """Rows that may not be."""
    return Figure(
        name,
        table,
        f"SELECT count(*) {rows}",
        key=catalog.MART_KEYS[table],
        at_fault=f"SELECT * {rows}",
    )


def orphan_shares(
    connection: duckdb.DuckDBPyConnection, published: Mapping[str, int]
) -> dict[str, float]:
    """Share of rows of unknown customers in ``published.main``, by mart.

    Customers leave and their transactions stay, so the share grows with the years; what a refresh
    may not do is raise it by much.
    """
    return {
        table: float(connection.execute(_orphan_share("published.main.", table)).fetchall()[0][0])
        for table in ("fct_loans", "fct_atm_transactions")
        if {table, "dim_customers"} <= set(published)
    }


def _orphan_share(place: str, table: str) -> str:
    return (
        "SELECT coalesce(avg(CASE WHEN known.customer_id IS NULL THEN 1.0 ELSE 0.0 END), 0)"
        f" FROM {place}{table} LEFT JOIN {place}dim_customers AS known USING (customer_id)"
    )


def _orphans(table: str, source: str, settings: Settings, published: Mapping[str, float]) -> Figure:
    """Share of rows whose customer core banking does not know: kept, counted, and limited."""
    limit = published.get(table, 0.0) + settings.bad_share_limit_of(source)
    return Figure(
        "share of rows of unknown customers",
        table,
        _orphan_share("", table),
        maximum=limit,
        note=f"at most {limit:.4g}; where that is meant:"
        f" DISCOVER_BAD_SHARE_LIMITS='{{{{\"{source}\": 1}}}}' discover refresh",
        key=tuple(dict.fromkeys(("customer_id", *catalog.MART_KEYS[table]))),
        at_fault=f"SELECT * FROM {table} ANTI JOIN dim_customers USING (customer_id)",
    )


def _differing(
    name: str,
    table: str,
    left: str,
    right: str,
    *,
    key: tuple[str, ...] | None = None,
    rows: Sequence[str] | None = None,
) -> Figure:
    """Rows that stand on one side only; both sides are sets: grouped, or with a key.

    Args:
        name: of the figure.
        table: the mart.
        left: what the mart has to agree with.
        right: what the mart says.
        key: what tells rows apart, where that isn't the mart's key.
        rows: the two sides row by row, where ``left`` and ``right`` are groups without the key.

    """
    return Figure(
        name,
        table,
        f"SELECT count(*) FROM ({_on_one_side('EXCEPT', left, right)})",
        key=key or catalog.MART_KEYS[table],
        # ALL: of two equal rows one may be too many.
        at_fault=_on_one_side("EXCEPT ALL", *(rows or (left, right))),
    )


def _on_one_side(minus: str, left: str, right: str) -> str:
    return f"(({left}) {minus} ({right})) UNION ALL (({right}) {minus} ({left}))"
