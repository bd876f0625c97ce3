"""Expectations on the marts: three customers, their raw rows beside them, one fault at a time."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from expectations.marts import Figure, figures_of, judge, measure, row_losses
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings

RAW_AND_MARTS = """
ATTACH ':memory:' AS lake;
CREATE SCHEMA lake.raw_core_banking;
CREATE SCHEMA lake.raw_credit_bureau;
CREATE SCHEMA lake.raw_atm;
CREATE SCHEMA lake.raw_feedback;

CREATE TABLE lake.raw_core_banking.customers AS FROM (VALUES
    (1, ' Ana Roy', 'Toronto'), (2, 'Bo Lee', 'Calgary'), (3, 'Cy Fox', 'Regina')
) AS t (customer_id, name, city);
CREATE TABLE dim_customers AS
    SELECT customer_id, trim(name) AS customer_name, city FROM lake.raw_core_banking.customers;

CREATE TABLE lake.raw_credit_bureau.credit_profiles AS FROM (VALUES
    (1, 'present', 700, 0), (3, 'quarantined', NULL, NULL)
) AS t (customer_id, record_status, credit_score, delinquencies);
CREATE TABLE lake.raw_credit_bureau.loans AS FROM (VALUES
    (1, 1, 'house', 250000.00::DECIMAL(18, 2)), (1, 2, 'car', 9999.99)
) AS t (customer_id, loan_number, loan_type, amount);
CREATE TABLE fct_loans AS FROM lake.raw_credit_bureau.loans;

CREATE TABLE lake.raw_atm.transactions AS FROM (VALUES
    ('a', 1, 'deposit', 20.10::DECIMAL(18, 2), DATE '2026-01-31'),
    ('b', 1, 'withdrawal', 0.01, DATE '2026-02-01'),
    ('c', 2, 'deposit', 5.00, DATE '2026-02-01')
) AS t (transaction_id, customer_id, transaction_type, amount, transaction_date);
CREATE TABLE fct_atm_transactions AS FROM lake.raw_atm.transactions;
CREATE TABLE fct_atm_daily AS
    SELECT transaction_date, transaction_type, count(*) AS transaction_count,
        sum(amount) AS amount_total
    FROM fct_atm_transactions GROUP BY ALL;

CREATE TABLE fct_customers AS FROM (VALUES
    (1, 'Toronto', 'present', 700, 0, 2, 259999.99::DECIMAL(18, 2), 2, 20.10, 0.01),
    (2, 'Calgary', 'absent', NULL, NULL, 0, 0, 1, 5.00, 0),
    (3, 'Regina', 'quarantined', NULL, NULL, NULL, NULL, 0, 0, 0)
) AS t (customer_id, city, credit_record_status, credit_score, delinquencies, loan_count,
    loan_total, atm_transaction_count, deposit_total, withdrawal_total);

CREATE TABLE lake.raw_feedback.complaints AS FROM (VALUES
    ('x', 'ATM Issue'), ('y', 'Card Issue')
) AS t (feedback_id, category);
CREATE TABLE fct_complaints AS FROM lake.raw_feedback.complaints;
CREATE TABLE fct_unknown_customers (customer_id BIGINT, credit_record_status VARCHAR,
    loan_count BIGINT, atm_transaction_count BIGINT);
CREATE TABLE entitlements AS SELECT 'analyst' AS user_name, 'all' AS group_type, '*' AS group_value;
"""

FAULTS = [
    (
        "DELETE FROM dim_customers; DELETE FROM fct_customers",
        {
            "dim_customers: rows",
            "dim_customers: customers that differ from core banking",
            "fct_loans: share of rows of unknown customers",
            "fct_atm_transactions: share of rows of unknown customers",
            "fct_unknown_customers: orphans that differ from the facts'",
            "fct_unknown_customers: orphans that differ from the bureau's",
        },
    ),
    (
        "INSERT INTO dim_customers FROM dim_customers WHERE customer_id = 2",
        {"dim_customers: rows without a customer_id of their own"},
    ),
    (
        "UPDATE dim_customers SET customer_name = 'Bo' WHERE customer_id = 2",
        {"dim_customers: customers that differ from core banking"},
    ),
    (
        "INSERT INTO fct_customers FROM fct_customers WHERE customer_id = 2",
        {"fct_customers: rows without a customer_id of their own"},
    ),
    (
        "UPDATE fct_customers SET city = 'Regina' WHERE customer_id = 2",
        {"fct_customers: customers that differ from dim_customers"},
    ),
    (
        "UPDATE fct_customers SET credit_score = 701 WHERE customer_id = 1",
        {"fct_customers: credit records that differ from the bureau's"},
    ),
    (
        "UPDATE fct_customers SET loan_total = loan_total + 0.01 WHERE customer_id = 1",
        {"fct_customers: customers whose loans differ from fct_loans"},
    ),
    (
        "UPDATE fct_customers SET loan_count = 0, loan_total = 0 WHERE customer_id = 3",
        {"fct_customers: loans of customers whose credit record was quarantined"},
    ),
    (
        "UPDATE fct_customers SET deposit_total = deposit_total - 0.01 WHERE customer_id = 2",
        {"fct_customers: customers whose ATM totals differ from fct_atm_transactions"},
    ),
    (
        "UPDATE fct_loans SET loan_number = NULL WHERE loan_type = 'car'",
        {"fct_loans: rows without a customer_id, loan_number of their own"},
    ),
    (
        "UPDATE fct_loans SET loan_type = 'student' WHERE loan_type = 'car'",
        {"fct_loans: loan types whose totals differ from raw"},
    ),
    (
        "UPDATE fct_loans SET customer_id = 9 WHERE loan_type = 'car'",
        {
            "fct_loans: share of rows of unknown customers",
            "fct_unknown_customers: orphans that differ from the facts'",
            "fct_customers: customers whose loans differ from fct_loans",
        },
    ),
    (
        "UPDATE fct_atm_transactions SET transaction_id = 'a'",
        {"fct_atm_transactions: rows without a transaction_id of their own"},
    ),
    (
        "UPDATE fct_atm_transactions SET transaction_date = '2026-01-01' WHERE customer_id = 2",
        {
            "fct_atm_transactions: months and types whose totals differ from raw",
            "fct_atm_daily: dates and types whose totals differ from fct_atm_transactions",
        },
    ),
    (
        "UPDATE fct_atm_transactions SET customer_id = 9 WHERE transaction_id = 'c'",
        {
            "fct_atm_transactions: share of rows of unknown customers",
            "fct_unknown_customers: orphans that differ from the facts'",
            "fct_customers: customers whose ATM totals differ from fct_atm_transactions",
        },
    ),
    (
        "UPDATE fct_atm_daily SET amount_total = 0 WHERE transaction_type = 'withdrawal'",
        {"fct_atm_daily: dates and types whose totals differ from fct_atm_transactions"},
    ),
    (
        "INSERT INTO fct_complaints VALUES (NULL, 'ATM Issue')",
        {
            "fct_complaints: rows without a feedback_id of their own",
            "fct_complaints: categories whose counts differ from raw",
        },
    ),
    (
        "INSERT INTO fct_unknown_customers VALUES (NULL, 'absent', 0, 0)",
        {"fct_unknown_customers: rows without a customer_id of their own"},
    ),
    (
        "INSERT INTO fct_unknown_customers VALUES (9, 'present', 0, 0)",
        {"fct_unknown_customers: orphans that differ from the bureau's"},
    ),
    ("DELETE FROM entitlements", {"entitlements: rows"}),
]


@pytest.fixture
def bank() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(RAW_AND_MARTS)
        yield connection


def out_of_limits(found: dict[Figure, float]) -> set[str]:
    return {
        f"{figure.table}: {figure.name}"
        for figure, value in found.items()
        if value < figure.minimum or (figure.maximum is not None and value > figure.maximum)
    }


def test_marts_that_agree_with_raw_pass(bank: duckdb.DuckDBPyConnection) -> None:
    report = judge(measure(bank, figures_of(Settings())))
    assert report.passed
    assert len(report.checks) == len(figures_of(Settings()))


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_a_fault_is_seen_by_its_checks_and_no_other(
    bank: duckdb.DuckDBPyConnection, fault: str, expected: set[str]
) -> None:
    bank.execute(fault)
    found = measure(bank, figures_of(Settings()))
    assert out_of_limits(found) == expected


def test_every_check_on_the_marts_has_been_seen_failing() -> None:
    everything = {f"{figure.table}: {figure.name}" for figure in figures_of(Settings())}
    assert everything == set().union(*(expected for _, expected in FAULTS))


def test_great_expectations_judges_as_the_limits_say(bank: duckdb.DuckDBPyConnection) -> None:
    bank.execute("UPDATE fct_atm_transactions SET customer_id = 9 WHERE transaction_id = 'c'")
    found = measure(bank, figures_of(Settings()))
    report = judge(found)
    assert {f"{check.table}: {check.name}" for check in report.failed} == out_of_limits(found)
    assert {check.name: check.observed for check in report.failed}[
        "share of rows of unknown customers"
    ] == {"found": pytest.approx(1 / 3)}


def test_a_mart_that_is_missing_fails_the_gate_by_name(bank: duckdb.DuckDBPyConnection) -> None:
    bank.execute("DROP TABLE fct_atm_daily")
    with pytest.raises(GateFailed, match="fct_atm_daily does not exist"):
        measure(bank, figures_of(Settings()))


def test_how_many_rows_may_be_orphans_is_said_by_source(bank: duckdb.DuckDBPyConnection) -> None:
    bank.execute("UPDATE fct_atm_transactions SET customer_id = 9 WHERE transaction_id = 'c'")
    bank.execute("UPDATE fct_loans SET customer_id = 9 WHERE loan_type = 'car'")
    name = "share of rows of unknown customers"

    def tables_over_the_limit(settings: Settings) -> set[str]:
        over = out_of_limits(measure(bank, figures_of(settings)))
        return {text.partition(":")[0] for text in over if text.endswith(name)}

    assert tables_over_the_limit(Settings()) == {"fct_loans", "fct_atm_transactions"}
    lenient = Settings(bad_share_limits={"atm": 0.34})
    assert tables_over_the_limit(lenient) == {"fct_loans"}
    strict = Settings(bad_share_limit=0.5, bad_share_limits={"atm": 0.33})
    assert tables_over_the_limit(strict) == {"fct_atm_transactions"}


def test_a_mart_that_lost_too_many_of_its_published_rows_is_not_published(
    bank: duckdb.DuckDBPyConnection,
) -> None:
    now = {"dim_customers": 3, "fct_loans": 2, "fct_atm_transactions": 3, "fct_complaints": 2}
    assert judge(measure(bank, row_losses(now, limit=0.2))).passed
    before = now | {"dim_customers": 6, "fct_complaints": 0}
    report = judge(measure(bank, row_losses(before, limit=0.2)))
    assert [check.table for check in report.failed] == ["dim_customers"]
    assert judge(measure(bank, row_losses(before, limit=0.5))).passed
