"""Row-level rules are SQL that Superset pastes into queries: they are run here as it would."""

from __future__ import annotations

import duckdb
import pytest

from dashboard.guest import row_rules
from dashboard.load import read_assets
from lakehouse.errors import UsageError

DATASETS = read_assets("datasets/*")


def seen(marts: duckdb.DuckDBPyConnection, dataset: str, user: str) -> int:
    rule = row_rules(user)[dataset]
    sql = f"select count(*) from ({DATASETS[dataset]['sql']}) as virtual_table where {rule}"
    (count,) = marts.execute(sql).fetchone() or (None,)
    return int(count)


def test_every_dataset_has_a_rule() -> None:
    assert row_rules("analyst").keys() == DATASETS.keys()


@pytest.mark.parametrize(
    ("user", "customers", "loans", "transactions", "complaints"),
    [
        ("analyst", 3, 3, 4, 2),
        ("calgary", 2, 3, 2, 2),
        ("third", 1, 0, 1, 2),
        ("stranger", 0, 0, 0, 0),
    ],
)
def test_a_guest_sees_the_granted_rows(
    marts: duckdb.DuckDBPyConnection,
    user: str,
    customers: int,
    loans: int,
    transactions: int,
    complaints: int,
) -> None:
    assert seen(marts, "customers", user) == customers
    assert seen(marts, "loans", user) == loans
    assert seen(marts, "atm_transactions", user) == transactions
    assert seen(marts, "complaints", user) == complaints


@pytest.mark.parametrize("user", ["", "a' or '1'='1", "a b", "a;b", "é", "x" * 101, "a\n"])
def test_a_name_that_could_be_sql_is_refused(user: str) -> None:
    with pytest.raises(UsageError):
        row_rules(user)


def test_rules_fit_into_a_header_whatever_the_user_may_see() -> None:
    assert sum(map(len, row_rules("x" * 100).values())) < 3000
