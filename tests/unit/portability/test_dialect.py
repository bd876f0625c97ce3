"""What DuckDB alone understands is refused by name; what the project writes isn't."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from discover.build import PROJECT
from tests.portability import examples
from tests.portability.compiled import compiled, metric_queries
from tests.portability.dialect import DIFFERENT, ENGINES, FUNCTIONS_FILE, findings, trino_functions

_COLUMNS = {"a": "integer", "b": "varchar", "day": "date"}
COLUMNS = {"lake": {"main": {"t": _COLUMNS, "s": _COLUMNS}}}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("sql", "finding"), examples.ONLY_ON_DUCKDB.items())
def test_what_only_duckdb_understands_is_refused(sql: str, finding: str, engine: str) -> None:
    assert finding.lower() in "; ".join(findings(sql, engine)).lower()


def test_what_only_a_new_trino_knows_is_refused() -> None:
    """Trino 476 takes it; nobody says so of Athena."""
    assert findings("select [1, 2] as l", "athena") == [
        "operator [ is not among the portable ones",
        "operator ] is not among the portable ones",
    ]


@pytest.mark.parametrize(("sql", "finding"), examples.DIFFERENT.items())
def test_what_means_another_thing_is_refused(sql: str, finding: str) -> None:
    assert finding in "; ".join(findings(f"select {sql} as v", "trino"))


def test_every_function_that_differs_has_its_example() -> None:
    said = [*examples.DIFFERENT.values(), *examples.ONLY_ON_DUCKDB.values()]
    named = {finding.removeprefix("function ").partition(":")[0] for finding in said}
    assert DIFFERENT.keys() <= named


@pytest.mark.parametrize("sql", [*examples.BY_ITS_ALIAS, "select missing from t"])
def test_an_alias_is_no_column_beside_itself(sql: str) -> None:
    sql = sql.replace(" t ", " lake.main.t ")
    assert "columns: " in "; ".join(findings(sql, "trino", COLUMNS))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sql", examples.PORTABLE)
def test_standard_sql_passes(sql: str, engine: str) -> None:
    assert findings(sql, engine) == []


def test_the_list_of_functions_is_trinos_sorted() -> None:
    names = list(trino_functions())
    lines = FUNCTIONS_FILE.read_text().splitlines()
    written = [line for line in lines if not line.startswith("#")]
    assert written == sorted(names)
    assert {"date_trunc", "listagg", "approx_percentile"} <= set(names)


def test_a_planted_model_is_named(tmp_path: Path) -> None:
    """The later build of an incremental model is read too: the fault stands in that branch."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    model = project / "models" / "marts" / "fct_atm_transactions.sql"
    planted = "stored as (\n\n    select\n        strftime(transaction_date, '%Y') as planted,"
    sql = model.read_text()
    assert "stored as (\n\n    select" in sql
    model.write_text(sql.replace("stored as (\n\n    select", planted))
    found = compiled(
        "trino", tmp_path / "target", project=project, select=["fct_atm_transactions", "fct_loans"]
    )
    told = {
        statement.name: findings(statement.sql, "trino", found.columns)
        for statement in found.statements
    }
    name = "models/marts/fct_atm_transactions.sql: fct_atm_transactions"
    assert told.pop(name) == ["function strftime is unknown to Trino"]
    assert f"{name} (first build)" in told
    assert all(not faults for faults in told.values()), told
    of_metrics = list(metric_queries("trino", found.semantic_manifest))
    assert len(of_metrics) == 50
    assert "lake" in of_metrics[0].sql
