"""The candidate's marts after dbt, in SQL: keys, and totals that must agree with the raw tables.

Every check is one count of offenders that DuckDB computes; Great Expectations judges the counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from expectations.report import CheckReport
from expectations.suite import Suite
from lakehouse import catalog, landing
from lakehouse.duck import attach_published, connect_lake
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings
from lakehouse.versions import Versions


@dataclass(frozen=True)
class Figure:
    """A number about one mart that has to lie within limits."""

    name: str
    table: str
    sql: str
    minimum: float = 0
    maximum: float | None = 0


def check_marts(settings: Settings, marts_file: Path) -> CheckReport:
    """Check a candidate's marts against themselves and against the raw tables.

    Raises:
        ServiceUnavailable: the lake does not answer.
        GateFailed: a mart is missing.

    """
    landing.require_lake(settings)
    with connect_lake(settings) as connection:
        attach_published(connection, marts_file)
        connection.execute("USE marts.main")
        published = Versions(settings.home).current()
        lost = row_losses(published.tables, settings.row_loss_limit) if published else []
        return judge(measure(connection, [*figures_of(settings), *lost]))


def measure(
    connection: duckdb.DuckDBPyConnection, figures: Iterable[Figure]
) -> dict[Figure, float]:
    """The figures' values on a connection whose current schema holds the marts beside ``lake``.

    Raises:
        GateFailed: a mart is missing.

    """
    found = {}
    for figure in figures:
        try:
            row = connection.execute(figure.sql).fetchone()
        except duckdb.CatalogException as error:
            what = str(error).splitlines()[0]
            raise GateFailed(
                f"{figure.table}: {figure.name}: {what}", "build all marts first: discover refresh"
            ) from None
        assert row is not None, figure.name
        found[figure] = float(row[0])
    return found


def judge(found: dict[Figure, float]) -> CheckReport:
    """The report on figures, each expected within its limits. Touches no file."""
    import pyarrow as pa
    from great_expectations import expectations as untyped

    gxe: Any = untyped
    suite = Suite()
    for table in dict.fromkeys(figure.table for figure in found):
        mine = {figure: value for figure, value in found.items() if figure.table == table}
        row = pa.table({figure.name: [value] for figure, value in mine.items()}).to_pandas()
        suite.on_pandas(
            table,
            row,
            {
                figure.name: gxe.ExpectColumnMaxToBeBetween(
                    column=figure.name, min_value=figure.minimum, max_value=figure.maximum
                )
                for figure in mine
            },
        )
    return suite.report()


def figures_of(settings: Settings) -> list[Figure]:
    """All figures, in the order of the marts."""
    customers, credit, loans, transactions, complaints = (
        f"{catalog.TABLE_BUCKET}.{table.identifier}" for table in catalog.RAW_TABLES
    )
    return [
        Figure("rows", "dim_customers", "SELECT count(*) FROM dim_customers", 1, None),
        _key("dim_customers", "customer_id"),
        Figure(
            "customers that differ from core banking",
            "dim_customers",
            _differing(
                "SELECT customer_id, trim(both ' ' from name), trim(both ' ' from city)"
                f" FROM {customers}",
                "SELECT customer_id, customer_name, city FROM dim_customers",
            ),
        ),
        _key("fct_customers", "customer_id"),
        Figure(
            "customers that differ from dim_customers",
            "fct_customers",
            _differing(
                "SELECT customer_id, city FROM dim_customers",
                "SELECT customer_id, city FROM fct_customers",
            ),
        ),
        Figure(
            "credit records that differ from the bureau's",
            "fct_customers",
            _differing(
                f"SELECT customer_id, credit_score, delinquencies FROM {credit}"
                " SEMI JOIN dim_customers USING (customer_id) WHERE record_status = 'present'",
                "SELECT customer_id, credit_score, delinquencies FROM fct_customers"
                " WHERE credit_record_status = 'present'",
            ),
        ),
        Figure(
            "customers whose loans differ from fct_loans",
            "fct_customers",
            _differing(
                "SELECT customer_id, count(*) AS n, sum(amount) AS total FROM fct_loans"
                " SEMI JOIN dim_customers USING (customer_id) GROUP BY ALL",
                "SELECT customer_id, loan_count, loan_total FROM fct_customers"
                " WHERE loan_count > 0",
            ),
        ),
        Figure(
            "loans of customers whose credit record was quarantined",
            "fct_customers",
            "SELECT count(*) FROM fct_customers WHERE credit_record_status = 'quarantined'"
            " AND (loan_count IS NOT NULL OR loan_total IS NOT NULL OR credit_score IS NOT NULL)",
        ),
        Figure(
            "customers whose ATM totals differ from fct_atm_transactions",
            "fct_customers",
            _differing(
                "SELECT customer_id, count(*) AS n,"
                " coalesce(sum(amount) FILTER (transaction_type = 'deposit'), 0) AS deposits,"
                " coalesce(sum(amount) FILTER (transaction_type = 'withdrawal'), 0) AS withdrawals"
                " FROM fct_atm_transactions SEMI JOIN dim_customers USING (customer_id)"
                " GROUP BY ALL",
                "SELECT customer_id, atm_transaction_count, deposit_total, withdrawal_total"
                " FROM fct_customers WHERE atm_transaction_count > 0",
            ),
        ),
        _key("fct_loans", "customer_id", "loan_number"),
        Figure(
            "loan types whose totals differ from raw",
            "fct_loans",
            _differing(
                *(
                    f"SELECT loan_type, count(*), sum(amount) FROM {table} GROUP BY loan_type"
                    for table in (loans, "fct_loans")
                )
            ),
        ),
        _orphans("fct_loans", settings.bad_share_limit_of(catalog.LOANS.source)),
        _key("fct_atm_transactions", "transaction_id"),
        Figure(
            "months and types whose totals differ from raw",
            "fct_atm_transactions",
            _differing(
                *(
                    "SELECT date_trunc('month', transaction_date) AS month, transaction_type,"
                    f" count(*), sum(amount) FROM {table} GROUP BY month, transaction_type"
                    for table in (transactions, "fct_atm_transactions")
                )
            ),
        ),
        _orphans("fct_atm_transactions", settings.bad_share_limit_of(catalog.TRANSACTIONS.source)),
        Figure(
            "dates and types whose totals differ from fct_atm_transactions",
            "fct_atm_daily",
            _differing(
                "SELECT transaction_date, transaction_type, count(*), sum(amount)"
                " FROM fct_atm_transactions GROUP BY transaction_date, transaction_type",
                "SELECT transaction_date, transaction_type, sum(transaction_count),"
                " sum(amount_total) FROM fct_atm_daily GROUP BY transaction_date, transaction_type",
            ),
        ),
        _key("fct_complaints", "feedback_id"),
        Figure(
            "categories whose counts differ from raw",
            "fct_complaints",
            _differing(
                *(
                    f"SELECT category, count(*) FROM {table} GROUP BY category"
                    for table in (complaints, "fct_complaints")
                )
            ),
        ),
        _key("fct_unknown_customers", "customer_id"),
        Figure(
            "orphans that differ from the facts'",
            "fct_unknown_customers",
            _differing(
                "SELECT customer_id, sum(loans), sum(transactions) FROM"
                " (SELECT customer_id, 1 AS loans, 0 AS transactions FROM fct_loans UNION ALL"
                " SELECT customer_id, 0, 1 FROM fct_atm_transactions)"
                " ANTI JOIN dim_customers USING (customer_id) GROUP BY customer_id",
                "SELECT customer_id, coalesce(loan_count, 0), atm_transaction_count"
                " FROM fct_unknown_customers"
                " WHERE coalesce(loan_count, 0) + atm_transaction_count > 0",
            ),
        ),
        Figure(
            "orphans that differ from the bureau's",
            "fct_unknown_customers",
            _differing(
                f"SELECT DISTINCT customer_id FROM {credit}"
                " ANTI JOIN dim_customers USING (customer_id) WHERE customer_id IS NOT NULL",
                "SELECT customer_id FROM fct_unknown_customers"
                " WHERE credit_record_status <> 'absent'",
            ),
        ),
        Figure("rows", "entitlements", "SELECT count(*) FROM entitlements", 1, None),
    ]


def row_losses(published: Mapping[str, int], limit: float) -> list[Figure]:
    """What each mart has lost of the published version's rows: a half-empty snapshot is no news."""
    return [
        Figure(
            "share of the published version's rows that are gone",
            table,
            f"SELECT greatest(0, 1 - count(*) / {published[table]}) FROM {table}",
            maximum=limit,
        )
        for table in ("dim_customers", "fct_loans", "fct_atm_transactions", "fct_complaints")
        if published.get(table)
    ]


def _key(table: str, *columns: str) -> Figure:
    """Rows whose key is NULL or stands more than once."""
    key = ", ".join(columns)
    missing = " OR ".join(f"{column} IS NULL" for column in columns)
    return Figure(
        f"rows without a {key} of their own",
        table,
        f"SELECT coalesce(sum(n), 0) FROM (SELECT {key}, count(*) AS n FROM {table}"
        f" GROUP BY {key}) WHERE n > 1 OR {missing}",
    )


def _orphans(table: str, limit: float) -> Figure:
    """Share of rows whose customer core banking does not know: kept, counted, and limited."""
    return Figure(
        "share of rows of unknown customers",
        table,
        "SELECT coalesce(avg(CASE WHEN dim_customers.customer_id IS NULL THEN 1.0 ELSE 0.0 END), 0)"
        f" FROM {table} LEFT JOIN dim_customers USING (customer_id)",
        maximum=limit,
    )


def _differing(left: str, right: str) -> str:
    """Count of rows that stand on one side only. Both sides are sets: grouped, or with a key."""
    return (
        f"SELECT count(*) FROM ((({left}) EXCEPT ({right})) UNION ALL (({right}) EXCEPT ({left})))"
    )
