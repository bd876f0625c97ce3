"""How much is kept of customers whom core banking doesn't know, in numbers and in words."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from discover.orphans import count, sentence


def test_what_is_kept_is_counted_by_kind(tmp_path: Path) -> None:
    marts = tmp_path / "marts.duckdb"
    with duckdb.connect(str(marts)) as connection:
        connection.execute("CREATE TABLE fct_loans AS SELECT 1 AS customer_id")
    assert count(marts) == {}
    with duckdb.connect(str(marts)) as connection:
        connection.execute(
            "CREATE TABLE fct_unknown_customers AS FROM (VALUES (7, 'present', 2, 0),"
            " (8, 'quarantined', NULL, 0), (9, 'absent', 0, 5), (10, 'unknown', NULL, 7))"
            " AS t (customer_id, credit_record_status, loan_count, atm_transaction_count)"
        )
    found = count(marts)
    assert found == {"customers": 4, "credit_records": 2, "loans": 2, "transactions": 12}
    assert all(isinstance(number, int) for number in found.values())


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((0, 0, 0, 0), ""),
        ((1, 0, 0, 1), "1 transaction of 1 customer unknown to core banking"),
        (
            (1200, 1, 2, 10),
            "1 credit record, 2 loans, 10 transactions of 1,200 customers unknown to core banking",
        ),
    ],
)
def test_a_person_reads_only_what_there_is(found: tuple[int, ...], said: str) -> None:
    names = ("customers", "credit_records", "loans", "transactions")
    assert sentence(dict(zip(names, found, strict=True))) == said


def test_a_version_without_a_count_says_nothing() -> None:
    assert sentence({}) == ""
