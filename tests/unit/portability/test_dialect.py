"""What DuckDB alone understands is refused by name; what the project writes isn't."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from discover.build import PROJECT
from tests.portability.compiled import compiled, metric_queries
from tests.portability.dialect import ENGINES, findings, trino_functions

COLUMNS = {"lake": {"main": {"t": {"a": "integer", "b": "varchar", "day": "date"}}}}

ONLY_ON_DUCKDB = {
    "select strftime(day, '%Y') as y from t": "function strftime is unknown to Trino",
    "select list_aggregate(a, 'sum') as s from t": "function list_aggregate is unknown to Trino",
    "select struct_pack(a := a) as s from t": "function struct_pack is unknown to Trino",
    "select string_agg(b, ',') as s from t": "function string_agg is unknown to Trino",
    "select median(a) as m from t": "function median is unknown to Trino",
    "select quantile_cont(a, 0.5) as m from t": "function quantile_cont is unknown to Trino",
    "select epoch_ms(a) as m from t": "function epoch_ms is unknown to Trino",
    "select today() as d from t": "function today is unknown to Trino",
    "select columns('a') from t": "function columns is unknown to Trino",
    "select * from read_csv('x.csv')": "function read_csv is unknown to Trino",
    "select a::bigint as a from t": "operator :: is not Trino's",
    "select [1, 2] as l from t": "operator [ is not Trino's",
    "select {'k': 1} as s from t": "operator { is not Trino's",
    "select b ->> 'k' as v from t": "operator ->> is not Trino's",
    "select a from t where a == 1": "operator == is not Trino's",
    "select a // 2 as h from t": "doesn't parse",
    "select a from t qualify row_number() over (order by a) = 1": "doesn't parse",
    "select a, count(*) as n from t group by all": "Group with all",
    "select a from t order by all": "ORDER BY ALL is not Trino's",
    "select * exclude (a) from t": "Star with except",
    "select * replace (1 as a) from t": "Star with replace",
    "select distinct on (a) a, b from t": "Distinct with on",
    "select a from t limit 3 offset 2": "Select with offset",
    "select a from t using sample 3": "sample",
    "select t.a from t asof join s on t.a >= s.a": "Join with method",
    "select t.a from t anti join s on t.a = s.a": "ANTI JOIN is not Trino's",
    "select a from t where b ilike 'x%'": "ILike is not among",
    "select day + interval 1 day as d from t": "Interval is not among",
    "from t": "FROM without SELECT",
    "select cast(a as text) as a from t": "type text is not one",
    "select cast(a as hugeint) as a from t": "type hugeint is not one",
    "select try_cast(b as int8) as a from t": "type int8 is not one",
    "select 7 / 2 as h from t": "7 / 2 is 3 on Trino",
    "select greatest(a, 1) as g from t": "function greatest: one NULL makes it NULL on Trino",
    "select regexp_replace(b, 'x', 'y') as r from t": "function regexp_replace: replaces all",
    "select a from t pivot (count(*) for b in ('x'))": "pivot",
}

BY_ITS_ALIAS = [
    "select a + 1 as more from lake.main.t where more > 2",
    "select a + 1 as more, more + 1 as most from lake.main.t",
    "select lower(b) as name, count(*) as n from lake.main.t group by name",
    "select count(*) as n from lake.main.t having n > 1",
    "select missing from lake.main.t",
]

PORTABLE = [
    """select cast(date_trunc('month', day) as date) as m, count(*) as n from lake.main.t
    group by cast(date_trunc('month', day) as date) order by m""",
    """with x as (select a, row_number() over (partition by b order by a) as r from lake.main.t)
    select x.a from x left join lake.main.t as t on x.a = t.a where x.r = 1""",
    "select u from (values ('v')) as listed (u)",
    "select cast(sum(a) as double) / cast(nullif(count(*), 0) as double) as q from lake.main.t",
    "select cast(null as decimal(18, 2)) as d, trim(b) || ' :: [x]' as c from lake.main.t",
    "select count(distinct a) filter (where a between 1 and 2) as n from lake.main.t",
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("sql", "finding"), ONLY_ON_DUCKDB.items())
def test_what_only_duckdb_understands_is_refused(sql: str, finding: str, engine: str) -> None:
    assert finding.lower() in "; ".join(findings(sql, engine)).lower()


@pytest.mark.parametrize("sql", BY_ITS_ALIAS)
def test_an_alias_is_no_column_beside_itself(sql: str) -> None:
    assert "columns: " in "; ".join(findings(sql, "trino", COLUMNS))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sql", PORTABLE)
def test_standard_sql_passes(sql: str, engine: str) -> None:
    assert findings(sql, engine, COLUMNS) == []


def test_the_list_of_functions_is_trinos_sorted() -> None:
    names = list(trino_functions())
    written = [line for line in _lines() if not line.startswith("#")]
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
    assert len(of_metrics) == 32
    assert "lake" in of_metrics[0].sql


def _lines() -> list[str]:
    from tests.portability.dialect import FUNCTIONS_FILE

    return FUNCTIONS_FILE.read_text().splitlines()
