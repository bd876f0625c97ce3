"""The last business day of a version, and what is dated after any that it can be of."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from discover.publish import _read_candidate, count_after

LATEST = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("transactions", "complaints", "through", "after"),
    [
        (["2026-11-23", "2026-11-24"], ["2026-11-20"], "2026-11-24", 0),
        (["2026-11-24", "2062-11-24"], ["2026-11-20"], "2026-11-24", 1),
        (["2062-11-24"], ["2026-11-20"], "2026-11-20", 1),
        (["2062-11-24", "2062-11-23"], [], "2062-11-24", 2),
        ([], [], None, 0),
    ],
)
def test_a_slip_of_a_clock_does_not_move_today(
    tmp_path: Path, transactions: list[str], complaints: list[str], through: str | None, after: int
) -> None:
    file = tmp_path / "marts.duckdb"
    with duckdb.connect(str(file)) as marts:
        for table, column, days in (
            ("fct_atm_transactions", "transaction_date", transactions),
            ("fct_complaints", "complaint_date", complaints),
        ):
            marts.execute(f"CREATE TABLE {table} ({column} DATE)")
            for day in days:
                marts.execute(f"INSERT INTO {table} VALUES (?)", [day])
    assert _read_candidate(file, LATEST)[1] == through
    assert count_after(file, LATEST) == after
