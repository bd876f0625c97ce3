"""Expectations on the marts: three customers, their raw rows beside them, one fault at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import pytest

from expectations.figures import Figure, Measured, judge, measure
from expectations.freshness import ages, falls_back
from expectations.marts import figures_of, orphan_shares, row_losses
from expectations.report import KEYS_SHOWN, Check
from lakehouse import catalog
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
CREATE TABLE fct_complaints AS
    SELECT *, CASE feedback_id WHEN 'x' THEN DATE '2026-01-23' ELSE DATE '2026-02-01' END
        AS complaint_date
    FROM lake.raw_feedback.complaints;
CREATE TABLE fct_unknown_customers (customer_id BIGINT, credit_record_status VARCHAR,
    loan_count BIGINT, atm_transaction_count BIGINT);
CREATE TABLE entitlements AS SELECT 'analyst' AS user_name, 'all' AS group_type, '*' AS group_value;
"""

# What is planted, and which checks have to see it: no other may. Each names the rows by key.
FAULTS: list[tuple[str, dict[str, list[tuple[object, ...]]]]] = [
    (
        "DELETE FROM dim_customers; DELETE FROM fct_customers",
        {
            "dim_customers: rows": [],
            "dim_customers: customers that differ from core banking": [(1,), (2,), (3,)],
            "fct_loans: share of rows of unknown customers": [(1, 1), (1, 2)],
            "fct_atm_transactions: share of rows of unknown customers": [
                (1, "a"),
                (1, "b"),
                (2, "c"),
            ],
            "fct_unknown_customers: orphans that differ from the facts'": [(1,), (2,)],
            "fct_unknown_customers: orphans that differ from the bureau's": [(1,), (3,)],
        },
    ),
    (
        "INSERT INTO dim_customers FROM dim_customers WHERE customer_id = 2",
        {"dim_customers: rows without a customer_id of their own": [(2,)]},
    ),
    (
        "UPDATE dim_customers SET customer_name = 'Bo' WHERE customer_id = 2",
        {"dim_customers: customers that differ from core banking": [(2,)]},
    ),
    (
        "INSERT INTO fct_customers FROM fct_customers WHERE customer_id = 2",
        {"fct_customers: rows without a customer_id of their own": [(2,)]},
    ),
    (
        "UPDATE fct_customers SET city = 'Regina' WHERE customer_id = 2",
        {"fct_customers: customers that differ from dim_customers": [(2,)]},
    ),
    (
        "UPDATE fct_customers SET credit_score = 701 WHERE customer_id = 1",
        {"fct_customers: credit records that differ from the bureau's": [(1,)]},
    ),
    (
        "UPDATE fct_customers SET loan_total = loan_total + 0.01 WHERE customer_id = 1",
        {"fct_customers: customers whose loans differ from fct_loans": [(1,)]},
    ),
    (
        "UPDATE fct_customers SET loan_count = 0, loan_total = 0 WHERE customer_id = 3",
        {"fct_customers: loans of customers whose credit record was quarantined": [(3,)]},
    ),
    (
        "UPDATE fct_customers SET deposit_total = deposit_total - 0.01 WHERE customer_id = 2",
        {"fct_customers: customers whose ATM totals differ from fct_atm_transactions": [(2,)]},
    ),
    (
        "UPDATE fct_loans SET loan_number = NULL WHERE loan_type = 'car'",
        {"fct_loans: rows without a customer_id, loan_number of their own": [(1, None)]},
    ),
    (
        "UPDATE fct_loans SET loan_type = 'student' WHERE loan_type = 'car'",
        {"fct_loans: loan types whose totals differ from raw": [(1, 2)]},
    ),
    (
        "UPDATE fct_loans SET customer_id = 9 WHERE loan_type = 'car'",
        {
            "fct_customers: customers whose loans differ from fct_loans": [(1,)],
            "fct_loans: share of rows of unknown customers": [(9, 2)],
            "fct_unknown_customers: orphans that differ from the facts'": [(9,)],
        },
    ),
    (
        "UPDATE fct_atm_transactions SET transaction_id = 'a'",
        {"fct_atm_transactions: rows without a transaction_id of their own": [("a",)]},
    ),
    (
        "UPDATE fct_atm_transactions SET transaction_date = '2026-01-01' WHERE customer_id = 2",
        {
            "fct_atm_transactions: months and types whose totals differ from raw": [("c",)],
            "fct_atm_daily: dates and types whose totals differ from fct_atm_transactions": [
                (date(2026, 1, 1),),
                (date(2026, 2, 1),),
            ],
        },
    ),
    (
        "UPDATE fct_atm_transactions SET customer_id = 9 WHERE transaction_id = 'c'",
        {
            "fct_customers: customers whose ATM totals differ from fct_atm_transactions": [(2,)],
            "fct_atm_transactions: share of rows of unknown customers": [(9, "c")],
            "fct_unknown_customers: orphans that differ from the facts'": [(9,)],
        },
    ),
    (
        (
            "UPDATE lake.raw_core_banking.customers SET city = 'CALGARY ' WHERE customer_id = 3;"
            " UPDATE dim_customers SET city = 'CALGARY' WHERE customer_id = 3;"
            " UPDATE fct_customers SET city = 'CALGARY' WHERE customer_id = 3"
        ),
        {"dim_customers: customers of a city that is spelled in several ways": [(2,), (3,)]},
    ),
    (
        "UPDATE fct_atm_daily SET amount_total = 0 WHERE transaction_type = 'withdrawal'",
        {
            "fct_atm_daily: dates and types whose totals differ from fct_atm_transactions": [
                (date(2026, 2, 1),)
            ]
        },
    ),
    (
        "INSERT INTO fct_complaints VALUES (NULL, 'ATM Issue', NULL)",
        {
            "fct_complaints: rows without a feedback_id of their own": [(None,)],
            "fct_complaints: categories whose counts differ from raw": [(None,)],
        },
    ),
    (
        "INSERT INTO fct_unknown_customers VALUES (NULL, 'absent', 0, 0)",
        {"fct_unknown_customers: rows without a customer_id of their own": [(None,)]},
    ),
    (
        "INSERT INTO fct_unknown_customers VALUES (9, 'present', 0, 0)",
        {"fct_unknown_customers: orphans that differ from the bureau's": [(9,)]},
    ),
    (
        "DELETE FROM entitlements",
        {"entitlements: rows": []},
    ),
]


@pytest.fixture
def bank() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(RAW_AND_MARTS)
        yield connection


def publish(bank: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Keep the marts as they are as the published version; rows by mart."""
    bank.execute("ATTACH ':memory:' AS published")
    for mart in catalog.MART_KEYS:
        if mart in {name for (name,) in bank.execute("SHOW TABLES").fetchall()}:
            bank.execute(f"CREATE TABLE published.{mart} AS FROM {mart}")
    counts = "SELECT count(*) FROM published."
    return {
        mart: bank.execute(f"{counts}{mart}").fetchall()[0][0]
        for (mart,) in bank.execute("SHOW TABLES FROM published").fetchall()
    }


def out_of_limits(found: dict[Figure, Measured]) -> set[str]:
    return {
        f"{figure.table}: {figure.name}"
        for figure, measured in found.items()
        if not figure.holds(measured.value)
    }


def test_marts_that_agree_with_raw_pass(bank: duckdb.DuckDBPyConnection) -> None:
    report = judge(measure(bank, figures_of(Settings())))
    assert report.passed
    assert len(report.checks) == len(figures_of(Settings()))


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_a_fault_is_seen_by_its_checks_and_no_other(
    bank: duckdb.DuckDBPyConnection, fault: str, expected: dict[str, list[tuple[object, ...]]]
) -> None:
    bank.execute(fault)
    found = measure(bank, figures_of(Settings()))
    assert out_of_limits(found) == set(expected)
    keys = {f"{figure.table}: {figure.name}": measured.keys for figure, measured in found.items()}
    named = {name: list(rows.rows) for name, rows in keys.items() if rows is not None}
    assert named == {name: rows for name, rows in expected.items() if rows}


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


def test_who_left_long_ago_does_not_stop_a_refresh(bank: duckdb.DuckDBPyConnection) -> None:
    bank.execute("UPDATE fct_atm_transactions SET customer_id = 9 WHERE transaction_id = 'c'")
    before = publish(bank)
    shares = orphan_shares(bank, before)
    assert shares == {"fct_loans": 0, "fct_atm_transactions": pytest.approx(1 / 3)}
    name = "fct_atm_transactions: share of rows of unknown customers"
    assert name not in out_of_limits(measure(bank, figures_of(Settings(), shares)))
    bank.execute("UPDATE fct_atm_transactions SET customer_id = 9 WHERE transaction_id = 'b'")
    assert name in out_of_limits(measure(bank, figures_of(Settings(), shares)))


def test_a_mart_that_lost_too_many_of_its_published_rows_is_not_published(
    bank: duckdb.DuckDBPyConnection,
) -> None:
    published = publish(bank)
    assert judge(measure(bank, row_losses(published, limit=0.2))).passed
    bank.execute("DELETE FROM dim_customers WHERE customer_id > 1")
    report = judge(measure(bank, row_losses(published, limit=0.2)))
    (lost,) = report.failed
    assert lost.table == "dim_customers"
    assert "DISCOVER_ROW_LOSS_LIMIT=1" in lost.found
    assert str(lost.keys) == "customer_id 2; customer_id 3"
    assert judge(measure(bank, row_losses(published, limit=0.7))).passed


def test_of_many_rows_the_first_are_named_and_all_are_counted(
    bank: duckdb.DuckDBPyConnection,
) -> None:
    bank.execute(
        "INSERT INTO fct_complaints SELECT 'n' || i, 'ATM Issue', NULL FROM range(1000) t (i)"
    )
    (failed,) = judge(measure(bank, figures_of(Settings()))).failed
    assert failed.keys is not None
    assert failed.keys.total == 1000
    assert len(failed.keys.rows) == KEYS_SHOWN
    assert str(failed.keys).startswith("feedback_id n0; feedback_id n1; feedback_id n10; ")
    assert str(failed.keys).endswith("; and 980 more")


FEBRUARY, FUTURE = date(2026, 2, 1), "DATE '2062-11-24'"


def newest_days_lie_back(
    bank: duckdb.DuckDBPyConnection, published: dict[str, int], limit: int = 0
) -> list[Check]:
    return list(judge(measure(bank, falls_back(published, FEBRUARY, limit))).failed)


def test_a_lost_month_is_not_published(bank: duckdb.DuckDBPyConnection) -> None:
    published = publish(bank)
    assert newest_days_lie_back(bank, published) == []
    bank.execute("DELETE FROM fct_atm_transactions WHERE transaction_date >= '2026-02-01'")
    (back,) = newest_days_lie_back(bank, published)
    assert back.table == "fct_atm_transactions"
    assert back.observed == {"found": 1}
    assert "newest day 2026-01-31, of the published version 2026-02-01" in back.note
    assert "DISCOVER_DAYS_BACK_LIMIT=1 discover refresh" in back.note
    assert str(back.keys) == "transaction_id b; transaction_id c"
    # What the message says lets it pass.
    assert newest_days_lie_back(bank, published, limit=1) == []


def test_all_days_lost_is_further_back_than_the_oldest(bank: duckdb.DuckDBPyConnection) -> None:
    published = publish(bank)
    bank.execute("DELETE FROM fct_atm_transactions")
    (back,) = newest_days_lie_back(bank, published)
    assert back.observed == {"found": 2}
    assert back.note.startswith("newest day none, of the published version 2026-02-01")


def test_a_complaint_day_that_went_back_is_seen(bank: duckdb.DuckDBPyConnection) -> None:
    published = publish(bank)
    bank.execute("UPDATE fct_complaints SET complaint_date = '2026-01-20' WHERE feedback_id = 'x'")
    assert newest_days_lie_back(bank, published) == []
    bank.execute("DELETE FROM fct_complaints WHERE feedback_id = 'y'")
    (back,) = newest_days_lie_back(bank, published)
    assert (back.table, back.observed) == ("fct_complaints", {"found": 12})
    assert str(back.keys) == "feedback_id x; feedback_id y"


def test_a_day_that_can_not_be_yet_makes_nothing_new_or_old(
    bank: duckdb.DuckDBPyConnection,
) -> None:
    slip = f"INSERT INTO fct_atm_transactions VALUES ('s', 1, 'deposit', 1.00, {FUTURE})"
    bank.execute(slip)
    published = publish(bank)
    # Taken out, it is missed by nobody; and left in, it hides nothing.
    bank.execute("DELETE FROM fct_atm_transactions WHERE transaction_id = 's'")
    assert newest_days_lie_back(bank, published) == []
    bank.execute("DELETE FROM fct_atm_transactions WHERE transaction_date = '2026-02-01'")
    bank.execute(slip)
    assert [back.observed for back in newest_days_lie_back(bank, published)] == [{"found": 1}]


@pytest.mark.parametrize(
    ("limits", "too_old"),
    [
        ({}, {}),
        ({"freshness_limit": 30}, {}),
        (
            {"freshness_limit": 29},
            {"raw_core_banking.customers": "core_banking: newest day 2026-02-01"},
        ),
        ({"freshness_limit": 29, "freshness_limits": {"core_banking": None}}, {}),
        ({"freshness_limits": {"atm": 2, "feedback": 20}}, {}),
        (
            {"freshness_limits": {"atm": 1, "feedback": 19}},
            {
                "raw_atm.transactions": "atm: newest day 2026-03-01, DISCOVER_FRESHNESS_LIMITS",
                "raw_feedback.complaints": "feedback: newest day 2026-02-11",
            },
        ),
    ],
)
def test_a_source_whose_newest_record_is_too_old_stops_where_a_limit_is_set(
    bank: duckdb.DuckDBPyConnection, limits: dict[str, Any], too_old: dict[str, str]
) -> None:
    bank.execute(
        "ALTER TABLE lake.raw_core_banking.customers ADD COLUMN _ingested_at TIMESTAMP"
        " DEFAULT '2026-02-01 23:59:59';"
        "ALTER TABLE lake.raw_credit_bureau.credit_profiles ADD COLUMN _ingested_at TIMESTAMP"
        " DEFAULT '2026-03-03 00:00:00';"
        "ALTER TABLE lake.raw_feedback.complaints ADD COLUMN occurred_at_utc TIMESTAMP;"
        "UPDATE lake.raw_feedback.complaints SET occurred_at_utc = '2026-02-11 08:00:00'"
        " WHERE feedback_id = 'x';"
        "UPDATE lake.raw_atm.transactions SET transaction_date = '2026-03-01'"
        " WHERE transaction_id = 'b';"
        f"UPDATE lake.raw_atm.transactions SET transaction_date = {FUTURE}"
        " WHERE transaction_id = 'c';"
    )
    figures = ages(Settings(**limits), date(2026, 3, 3))
    found = {check.table: check.note for check in judge(measure(bank, figures)).failed}
    assert found.keys() == too_old.keys()
    for table, note in too_old.items():
        assert found[table].startswith(note)


def test_a_source_that_never_brought_a_dated_record_is_as_old_as_can_be(
    bank: duckdb.DuckDBPyConnection,
) -> None:
    bank.execute("DELETE FROM lake.raw_atm.transactions")
    (old,) = judge(
        measure(bank, ages(Settings(freshness_limits={"atm": 9999}), date(2026, 3, 3)))
    ).failed
    assert old.note == "atm: newest day none, DISCOVER_FRESHNESS_LIMITS is 9999"
