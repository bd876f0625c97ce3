"""What the documents are built from, read from one published file in bounded memory.

A chunk is a range of customer ids. Facts are stored sorted by customer within month, so that a
chunk reads only its own row groups. One query gives every customer's fingerprint over all their
rows; only customers whose fingerprint moved are read in full.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb

from kb_export.document import (
    LOAN_TYPES_LISTED,
    LOANS_LISTED,
    MONTHS_LISTED,
    TRANSACTIONS_LISTED,
    Customer,
    CustomerFacts,
    Loan,
    LoanTypeTotal,
    MonthTotal,
    Transaction,
)
from kb_export.portfolio import PortfolioFacts

CHUNK = 5_000
"""Customers a chunk: some 25 MB of documents at most."""


def chunks(connection: duckdb.DuckDBPyConnection, size: int = CHUNK) -> Iterator[tuple[int, int]]:
    """Ranges of ``customer_id`` (first, last) that together hold every customer, in order."""
    ranges = connection.execute(
        "SELECT min(customer_id), max(customer_id) FROM ("
        " SELECT customer_id, (row_number() OVER (ORDER BY customer_id) - 1) // ? AS chunk"
        " FROM fct_customers) GROUP BY chunk ORDER BY chunk",
        [size],
    ).fetchall()
    yield from ((int(first), int(last)) for first, last in ranges)


def fingerprints(
    connection: duckdb.DuckDBPyConnection, first: int, last: int
) -> list[tuple[int, int]]:
    """``(customer_id, fingerprint)`` of a chunk: 64 bits over all rows about the customer."""
    return connection.execute(
        """
        WITH loans AS (
            SELECT customer_id, bit_xor(hash(l)) AS fingerprint FROM fct_loans AS l
            WHERE customer_id BETWEEN $first AND $last GROUP BY customer_id
        ), transactions AS (
            SELECT customer_id, bit_xor(hash(t)) AS fingerprint FROM fct_atm_transactions AS t
            WHERE customer_id BETWEEN $first AND $last GROUP BY customer_id
        )
        SELECT c.customer_id, hash(hash(c), loans.fingerprint, transactions.fingerprint)
        FROM fct_customers AS c
        LEFT JOIN loans ON loans.customer_id = c.customer_id
        LEFT JOIN transactions ON transactions.customer_id = c.customer_id
        WHERE c.customer_id BETWEEN $first AND $last ORDER BY c.customer_id
        """,
        {"first": first, "last": last},
    ).fetchall()


def facts(
    connection: duckdb.DuckDBPyConnection, customer_ids: Sequence[int]
) -> Iterator[CustomerFacts]:
    """Everything about these customers (ascending ids, one chunk's at most), by id."""
    if not customer_ids:
        return
    parameters = {"ids": list(customer_ids), "first": customer_ids[0], "last": customer_ids[-1]}
    # The range prunes row groups; the list alone would scan them all.
    chosen = (
        "customer_id BETWEEN $first AND $last AND customer_id IN (SELECT unnest($ids::BIGINT[]))"
    )

    def grouped(sql: str) -> dict[int, list[tuple[Any, ...]]]:
        rows = connection.execute(sql, parameters).fetchall()
        return {
            customer_id: [row[1:] for row in group]
            for customer_id, group in itertools.groupby(rows, key=lambda row: row[0])
        }

    loan_types = grouped(
        f"""
        SELECT customer_id, loan_type, count(*), sum(amount)::DECIMAL(18, 2) AS total
        FROM fct_loans WHERE {chosen} GROUP BY customer_id, loan_type
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY total DESC, loan_type)
            <= {LOAN_TYPES_LISTED}
        ORDER BY customer_id, total DESC, loan_type
        """
    )
    loans = grouped(
        f"""
        SELECT customer_id, loan_number, loan_type, amount FROM fct_loans WHERE {chosen}
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC, loan_number)
            <= {LOANS_LISTED}
        ORDER BY customer_id, amount DESC, loan_number
        """
    )
    months = grouped(
        f"""
        SELECT customer_id, strftime(transaction_date, '%Y-%m') AS month,
            {_by_type("deposit")}, {_by_type("withdrawal")}
        FROM fct_atm_transactions WHERE {chosen} GROUP BY customer_id, month
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY month DESC) <= {MONTHS_LISTED}
        ORDER BY customer_id, month DESC
        """
    )
    transactions = grouped(
        f"""
        SELECT customer_id, transacted_at_local, transaction_type, amount, atm_id
        FROM fct_atm_transactions WHERE {chosen}
        QUALIFY row_number() OVER (
            PARTITION BY customer_id ORDER BY amount DESC, transacted_at_local DESC, transaction_id
        ) <= {TRANSACTIONS_LISTED}
        ORDER BY customer_id, amount DESC, transacted_at_local DESC, transaction_id
        """
    )
    customers = connection.execute(
        f"SELECT {', '.join(Customer._fields)} FROM fct_customers"
        f" WHERE {chosen} ORDER BY customer_id",
        parameters,
    )
    while rows := customers.fetchmany(500):
        for row in rows:
            customer = Customer(*row)
            key = customer.customer_id
            yield CustomerFacts(
                customer,
                [LoanTypeTotal(*part) for part in loan_types.get(key, ())],
                [Loan(*part) for part in loans.get(key, ())],
                [MonthTotal(*part) for part in months.get(key, ())],
                [Transaction(*part) for part in transactions.get(key, ())],
            )


def portfolio_facts(connection: duckdb.DuckDBPyConnection) -> PortfolioFacts:
    """The totals that the portfolio documents tell."""

    def rows(sql: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql).fetchall()

    return PortfolioFacts(
        customer_count=int(rows("SELECT count(*) FROM fct_customers")[0][0]),
        provinces=rows(
            "SELECT coalesce(province, 'unknown') AS place, count(*) AS customers"
            " FROM fct_customers GROUP BY place ORDER BY customers DESC, place"
        ),
        cities=rows(
            "SELECT coalesce(city, 'unknown') AS place, count(*) AS customers"
            " FROM fct_customers GROUP BY place ORDER BY customers DESC, place LIMIT 20"
        ),
        record_statuses=rows(
            "SELECT credit_record_status, count(*) FROM fct_customers GROUP BY 1 ORDER BY 1"
        ),
        bands=rows(
            "SELECT credit_band, count(*), sum(credit_score), sum(delinquencies)"
            " FROM fct_customers WHERE credit_score IS NOT NULL"
            " GROUP BY credit_band ORDER BY min(credit_score), credit_band"
        ),
        loan_types=rows(
            "SELECT loan_type, count(*), count(DISTINCT customer_id),"
            " sum(amount)::DECIMAL(38, 2) AS total"
            " FROM fct_loans GROUP BY loan_type ORDER BY total DESC, loan_type"
        ),
        borrower_count=int(rows("SELECT count(DISTINCT customer_id) FROM fct_loans")[0][0]),
        months=rows(
            f"SELECT strftime(transaction_date, '%Y-%m') AS month,"
            f" {_by_type('deposit')}, {_by_type('withdrawal')}"
            " FROM fct_atm_transactions GROUP BY month ORDER BY month DESC"
        ),
        hours=rows(
            "SELECT transaction_hour, count(*), sum(amount)::DECIMAL(38, 2)"
            " FROM fct_atm_transactions GROUP BY transaction_hour ORDER BY transaction_hour"
        ),
        weekdays=rows(
            "SELECT transaction_weekday, count(*), sum(amount)::DECIMAL(38, 2)"
            " FROM fct_atm_transactions GROUP BY transaction_weekday ORDER BY transaction_weekday"
        ),
        complaint_categories=rows(
            "SELECT category, count(*) AS complaints FROM fct_complaints"
            " GROUP BY category ORDER BY complaints DESC, category"
        ),
        complaint_months=rows(
            "SELECT coalesce(strftime(complaint_date, '%Y-%m'), 'no date') AS month, count(*)"
            " FROM fct_complaints GROUP BY month ORDER BY month DESC"
        ),
    )


def _by_type(transaction_type: str) -> str:
    of_type = f"FILTER (transaction_type = '{transaction_type}')"
    return f"count(*) {of_type}, coalesce(sum(amount) {of_type}, 0)::DECIMAL(38, 2)"
