"""A published version small enough to count by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from lakehouse.duck import connect_published
from lakehouse.settings import Settings, load

RUN = "20261102T000000Z"
TABLES = """
create table fct_customers (
    customer_id bigint, customer_name varchar, customer_label varchar, city varchar,
    province varchar, credit_record_status varchar, credit_score integer, credit_band varchar,
    delinquencies integer
);
insert into fct_customers values
    (1, 'Ana Roy', 'Ana Roy · #1', 'Calgary', 'Alberta', 'present', 700, '660–724 Good', 1),
    (2, 'Bo Singh', 'Bo Singh · #2', 'Calgary', 'Alberta', 'present', 801, '760–900 Excellent', 0),
    (3, 'Cy Chen', 'Cy Chen · #3', 'Toronto', 'Ontario', 'unknown', null, null, null);
create table dim_customers as select customer_id, customer_name, customer_label, city, province
from fct_customers;
create table fct_loans (
    customer_id bigint, loan_number integer, loan_type varchar, amount decimal(18, 2)
);
insert into fct_loans values
    (1, 1, 'car', 20000.10), (1, 2, 'house', 300000.00), (2, 1, 'car', 9999.95);
create table fct_atm_transactions (
    transaction_id varchar, customer_id bigint, transaction_type varchar, amount decimal(18, 2),
    transaction_date date, transaction_hour integer, transaction_weekday integer
);
insert into fct_atm_transactions values
    ('a', 1, 'deposit', 100.00, '2026-10-31', 9, 6),
    ('b', 1, 'withdrawal', 40.50, '2026-10-31', 9, 6),
    ('c', 3, 'withdrawal', 20.00, '2026-11-01', 23, 7),
    ('d', 99, 'deposit', 5.00, '2026-11-01', 23, 7);
create table fct_complaints (
    feedback_id varchar, category varchar, description varchar, complaint_date date
);
insert into fct_complaints values
    ('x', 'ATM Issue', 'It kept my card.', '2026-10-31'), ('y', 'Card Issue', 'Declined.', null);
create table entitlements (user_name varchar, group_type varchar, group_value varchar);
insert into entitlements values
    ('analyst', 'all', '*'), ('calgary', 'city', 'Calgary'), ('third', 'customer', '3');
"""


@pytest.fixture
def bank(tmp_path: Path) -> Settings:
    """Settings of a home with one published version: three customers, one of unknown credit.

    Transaction ``d`` is of a customer whom core banking doesn't know.
    """
    folder = tmp_path / "versions" / RUN
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / "marts.duckdb")) as connection:
        connection.execute(TABLES)
    manifest = {
        "run_id": RUN,
        "published_at": "2026-11-02T00:00:00+00:00",
        "inputs": {},
        "code": "c",
        "tables": {},
        "data_through": "2026-11-01",
    }
    for path in (folder / "manifest.json", tmp_path / "published.json"):
        path.write_text(json.dumps(manifest))
    return load(tmp_path, "local")


@pytest.fixture
def marts(bank: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published marts, read-only."""
    with connect_published(bank.home / "versions" / RUN / "marts.duckdb") as connection:
        yield connection
