"""A marts file that a bank analyst can read: five customers, their loans and their ATM activity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from lakehouse.settings import Settings, load
from lakehouse.versions import Manifest, Versions

TABLES = """
CREATE TABLE dim_customers (
    customer_id BIGINT, customer_name VARCHAR, customer_label VARCHAR, city VARCHAR,
    province VARCHAR, latitude DOUBLE, longitude DOUBLE
);
CREATE TABLE fct_loans (
    customer_id BIGINT, loan_number INTEGER, loan_type VARCHAR, amount DECIMAL(18, 2)
);
CREATE TABLE fct_atm_transactions (
    transaction_id VARCHAR, customer_id BIGINT, atm_id BIGINT, transaction_type VARCHAR,
    amount DECIMAL(18, 2), transacted_at_local TIMESTAMP, transacted_at_utc TIMESTAMP,
    transaction_date DATE, transaction_hour INTEGER, transaction_weekday INTEGER
);
CREATE TABLE credit (
    customer_id BIGINT, credit_record_status VARCHAR, credit_score INTEGER, credit_band VARCHAR,
    delinquencies INTEGER
);
CREATE TABLE fct_complaints (
    feedback_id VARCHAR, category VARCHAR, description VARCHAR, occurred_at_utc TIMESTAMP,
    complaint_date DATE
);
"""

FIVE_CUSTOMERS = """
INSERT INTO dim_customers VALUES
    (3, 'Wendy Zhao', 'Wendy Zhao · #3', 'Calgary', 'Alberta', 51.05, -114.07),
    (7, 'Omar Haddad', 'Omar Haddad · #7', 'Toronto', 'Ontario', 43.65, -79.38),
    (11, 'Zoë Côté', 'Zoë Côté · #11', 'Montreal', 'Quebec', 45.50, -73.57),
    (17, 'Ann | [x](y) <b>', 'Ann | [x](y) <b> · #17', NULL, NULL, NULL, NULL),
    (23, 'Lee Park', 'Lee Park · #23', 'Toronto', 'Ontario', 43.65, -79.38);
INSERT INTO credit VALUES
    (3, 'present', 712, '660–724 Good', 1),
    (7, 'present', 803, '760–900 Excellent', 0),
    (11, 'absent', NULL, NULL, NULL),
    (17, 'quarantined', NULL, NULL, NULL),
    (23, 'present', 580, '560–659 Fair', 4);
INSERT INTO fct_loans VALUES
    (3, 1, 'car', 18000.10), (3, 2, 'house', 310000.00), (3, 3, 'car', 999.90),
    (7, 1, 'student', 0.01);
INSERT INTO fct_atm_transactions VALUES
    ('a1', 3, 41, 'deposit', 404.10, '2026-09-30 23:59:59',
        '2026-10-01 03:59:59', '2026-09-30', 23, 3),
    ('a2', 3, 41, 'withdrawal', 20.00, '2026-10-01 00:00:00',
        '2026-10-01 04:00:00', '2026-10-01', 0, 4),
    ('a3', 3, 42, 'withdrawal', 100.50, '2026-10-05 12:30:00',
        '2026-10-05 16:30:00', '2026-10-05', 12, 1),
    ('a4', 23, 41, 'deposit', 60.00, '2026-10-06 09:15:00',
        '2026-10-06 13:15:00', '2026-10-06', 9, 2);
INSERT INTO fct_complaints VALUES
    ('c1', 'ATM Issue', 'The machine kept my card.', '2026-10-02 10:00:00', '2026-10-02'),
    ('c2', 'ATM Issue', 'No receipt.', NULL, NULL),
    ('c3', 'Card Issue', 'It does not tap.', '2026-09-01 08:00:00', '2026-09-01');
"""

DERIVED = """
CREATE TABLE fct_customers AS
WITH loans AS (
    SELECT customer_id, count(*) AS loan_count, sum(amount)::DECIMAL(18, 2) AS loan_total
    FROM fct_loans GROUP BY customer_id
), atm AS (
    SELECT customer_id, count(*) AS atm_transaction_count,
        count(*) FILTER (transaction_type = 'deposit') AS deposit_count,
        coalesce(sum(amount) FILTER (transaction_type = 'deposit'), 0)::DECIMAL(18, 2)
            AS deposit_total,
        count(*) FILTER (transaction_type = 'withdrawal') AS withdrawal_count,
        coalesce(sum(amount) FILTER (transaction_type = 'withdrawal'), 0)::DECIMAL(18, 2)
            AS withdrawal_total,
        min(transaction_date) AS first_transaction_date,
        max(transaction_date) AS last_transaction_date
    FROM fct_atm_transactions GROUP BY customer_id
)
SELECT c.*, credit.* EXCLUDE (customer_id),
    CASE WHEN credit_record_status IN ('present', 'absent') THEN coalesce(loan_count, 0) END
        AS loan_count,
    CASE WHEN credit_record_status IN ('present', 'absent') THEN coalesce(loan_total, 0) END
        AS loan_total,
    coalesce(atm_transaction_count, 0) AS atm_transaction_count,
    coalesce(deposit_count, 0) AS deposit_count,
    coalesce(deposit_total, 0)::DECIMAL(18, 2) AS deposit_total,
    coalesce(withdrawal_count, 0) AS withdrawal_count,
    coalesce(withdrawal_total, 0)::DECIMAL(18, 2) AS withdrawal_total,
    coalesce(deposit_total - withdrawal_total, 0)::DECIMAL(18, 2) AS net_flow,
    first_transaction_date, last_transaction_date
FROM dim_customers AS c
JOIN credit USING (customer_id)
LEFT JOIN loans USING (customer_id)
LEFT JOIN atm USING (customer_id)
ORDER BY customer_id;
DROP TABLE credit;
"""

MakeMarts = Callable[..., Path]


@pytest.fixture
def make_marts(tmp_path: Path) -> MakeMarts:
    """Build a marts file from five customers and further SQL that changes them."""
    made = iter(range(1000))

    def make(*changes: str, rows: str = FIVE_CUSTOMERS) -> Path:
        file = tmp_path / f"version-{next(made)}" / "marts.duckdb"
        file.parent.mkdir()
        with duckdb.connect(str(file)) as connection:
            for statement in (TABLES, rows, *changes, DERIVED):
                connection.execute(statement)
        return file

    return make


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own; no service runs."""
    return load(home=tmp_path / "home", profile="local")


@pytest.fixture
def publish(settings: Settings) -> Callable[[Path], None]:
    """Make a marts file the published version."""

    def run(file: Path) -> None:
        versions = Versions(settings.home)
        target = versions.candidate("20261124T000000")
        target.unlink(missing_ok=True)
        target.write_bytes(file.read_bytes())
        versions.publish(
            Manifest(
                run_id="20261124T000000",
                published_at="2026-11-24T00:00:00Z",
                inputs={},
                code="",
                tables={},
            )
        )

    return run
