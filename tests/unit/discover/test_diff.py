"""Two versions side by side: what came, what left, what changed, and by how much."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from discover.cli import app
from discover.diff import Difference, MetricMoved, TableMoved, diff
from lakehouse.errors import DiscoverError
from lakehouse.versions import Versions

NEXT = "20261125T060000.000000Z"


@pytest.fixture
def home(bank_home: Path, tmp_path: Path) -> Path:
    """A home of its own that holds the bank's version."""
    return Path(shutil.copytree(bank_home, tmp_path / "home"))


def publish_next(home: Path, *statements: str) -> tuple[str, str]:
    versions = Versions(home)
    before = versions.require_current()
    with duckdb.connect(str(versions.candidate(NEXT))) as marts:
        for statement in statements:
            marts.execute(statement)
    shutil.copyfile(
        versions.semantic_manifest_file(before.run_id), versions.semantic_manifest_file(NEXT)
    )
    versions.publish(before.model_copy(update={"run_id": NEXT}))
    return before.run_id, NEXT


def table(found: Difference, name: str) -> TableMoved:
    return next(table for table in found.tables if table.table == name)


def metric(found: Difference, name: str) -> MetricMoved:
    return next(metric for metric in found.metrics if metric.metric == name)


def test_versions_with_the_same_rows_are_equal(home: Path) -> None:
    found = diff(home, *publish_next(home))
    assert found.equal
    assert [metric for metric in found.metrics if metric.before != metric.after] == []
    assert len(found.metrics) >= 16
    assert (found.customers, found.customers_moved) == ([], 0)


def test_a_corrected_score_is_named_with_the_customer_and_moves_the_mean(home: Path) -> None:
    runs = publish_next(home, "UPDATE fct_customers SET credit_score = 700 WHERE customer_id = 2")
    found = diff(home, *runs)
    assert table(found, "fct_customers").changed == 1
    assert table(found, "fct_customers").columns == {"credit_score": 1}
    (customer,) = found.customers
    assert (customer.customer_id, customer.state) == (2, "changed")
    assert customer.columns == {"credit_score": {"before": 640, "after": 700, "change": 60}}
    change = metric(found, "average_credit_score").change
    assert change == pytest.approx(10.0)
    assert metric(found, "customer_count").change == 0


def test_rows_that_came_and_left_are_counted_and_money_is_exact(home: Path) -> None:
    runs = publish_next(
        home,
        "DELETE FROM fct_customers WHERE customer_id = 4",
        "DELETE FROM fct_loans WHERE customer_id = 4",
        "INSERT INTO fct_loans VALUES (3, 1, 'car', 0.10)",
        "UPDATE fct_loans SET amount = amount + 0.01 WHERE customer_id = 5",
    )
    found = diff(home, *runs)
    loans = table(found, "fct_loans")
    assert (loans.added, loans.removed, loans.changed) == (1, 1, 1)
    assert metric(found, "loan_total").change == Decimal("-9000.14")
    assert [(moved.customer_id, moved.state) for moved in found.customers] == [(4, "removed")]


def test_the_list_of_customers_is_bounded_and_says_how_many_there_are(home: Path) -> None:
    runs = publish_next(home, "UPDATE fct_customers SET delinquencies = 9")
    found = diff(home, *runs, customers=3)
    assert [moved.customer_id for moved in found.customers] == [1, 2, 3]
    assert found.customers_moved == 8


def test_a_mart_or_column_of_one_version_alone_is_told(home: Path) -> None:
    runs = publish_next(
        home,
        "ALTER TABLE fct_loans ADD COLUMN lender VARCHAR",
        "CREATE TABLE entitlements AS SELECT 'a' AS user_name, 'all' AS group_type,"
        " '*' AS group_value",
    )
    found = diff(home, *runs)
    assert table(found, "fct_loans").new_columns == ["lender"]
    assert table(found, "entitlements").added == 1
    assert not found.equal


def test_an_unknown_version_is_refused(home: Path) -> None:
    with pytest.raises(DiscoverError, match="no version 1999"):
        diff(home, "1999", "2000")


def test_the_command_compares_the_last_two_versions(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCOVER_HOME", str(home))
    publish_next(home, "UPDATE fct_customers SET credit_score = 700 WHERE customer_id = 2")
    run = CliRunner()
    told = run.invoke(app, ["diff"])
    assert "customer 2 changed  credit_score 640 → 700" in told.output
    assert "fct_customers: 0 rows added, 0 removed, 1 changed (credit_score 1)" in told.output
    document = json.loads(run.invoke(app, ["diff", "--json"]).stdout)
    assert document["customers"][0]["columns"]["credit_score"]["change"] == 60
    assert document["equal"] is False
