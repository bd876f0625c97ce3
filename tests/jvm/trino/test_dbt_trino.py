"""The whole dbt project on Trino, by an unmodified dbt-trino and without a change to a model."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections import Counter

import pytest

from discover.build import PROJECT
from lakehouse.catalog import MARTS
from tests.jvm.conftest import Delivery, Warehouse, deliver
from tests.jvm.killed import assert_a_build_survives_a_kill
from tests.jvm.project import Project, not_good

FACT = "lake.discover.fct_atm_transactions"


@pytest.fixture(scope="module")
def project(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, built once by hand."""
    project = Project(warehouse, "trino", tmp_path_factory.mktemp("dbt"))
    code, said = project.type_dbt("build")
    assert code == 0, said
    return project


def test_a_hand_run_build_passes_everything_there_is(project: Project) -> None:
    nodes = project.artifact("run_results.json")["results"]
    assert {node["status"] for node in nodes} <= {"success", "pass", "no-op"}
    built = Counter(node["unique_id"].partition(".")[0] for node in nodes)
    manifest = project.artifact("manifest.json")
    every = Counter(node["resource_type"] for node in manifest["nodes"].values())
    for kind in ("model", "seed", "test"):
        assert built[kind] == every[kind] > 0
    assert built["unit_test"] == len(manifest["unit_tests"]) > 0
    contracts = [
        node["name"]
        for node in manifest["nodes"].values()
        if node.get("contract", {}).get("enforced")
    ]
    assert set(MARTS) <= set(contracts)


def test_all_transactions_are_in_the_fact_by_month(project: Project) -> None:
    by_month = "SELECT month(transaction_date), count(*), sum(amount) FROM {} GROUP BY 1 ORDER BY 1"
    raw = project.warehouse.sql(by_month.format("raw_atm.transactions"))
    assert project.warehouse.sql(by_month.format(FACT)) == raw
    assert len(raw) == 3
    months = project.warehouse.sql(
        'SELECT count(*), count(DISTINCT partition) FROM discover."fct_atm_transactions$files"'
    )
    assert months == [[3, 3]], "one file a month"


def test_docs_describe_every_column_as_trino_has_it(project: Project) -> None:
    project.dbt("docs", "generate")
    described = project.artifact("catalog.json")
    assert described["errors"] is None
    assert "source.discover.credit_bureau.loans" in described["sources"]
    loan_total = described["nodes"]["model.discover.fct_customers"]["columns"]["loan_total"]
    assert loan_total["type"] == "decimal(18,2)"
    assert "NULL" in loan_total["comment"]


def test_a_fault_in_the_data_is_found_and_the_next_build_mends_it(project: Project) -> None:
    before = project.marts()
    project.warehouse.sql(
        f"DELETE FROM {FACT} WHERE transaction_id ="
        f" (SELECT min(transaction_id) FROM {FACT} WHERE month(transaction_date) = 5)"
    )
    tested = project.dbt("test", "--select", "fct_atm_transactions")
    assert set(not_good(tested)) == {
        "assert_every_transaction_is_in_the_fact",
        "assert_daily_totals_match_the_transactions",
        "assert_customer_totals_match_the_facts",
    }
    assert not_good(project.dbt("build", "--select", "fct_atm_transactions")) == {}
    assert project.marts() == before


def test_a_model_that_breaks_its_contract_is_not_built(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = project.marts()["entitlements"]
    broken = project.folder / "broken"
    shutil.copytree(PROJECT, broken, ignore=shutil.ignore_patterns("target", "logs"))
    model = broken / "models" / "marts" / "entitlements.sql"
    model.write_text(model.read_text().replace("    group_value\n", "    1 as group_value\n"))
    monkeypatch.setattr("discover.build.PROJECT", broken)
    (result,) = [
        result
        for result in project.dbt("run", "--select", "entitlements")
        if result.node.name == "entitlements"
    ]
    assert str(result.status) == "error"
    assert "enforced contract that failed" in result.message
    assert project.marts()["entitlements"] == before


def test_the_build_after_one_whose_trino_was_killed_is_right(project: Project) -> None:
    assert_a_build_survives_a_kill(project, "trino")


def test_what_a_killed_unit_test_left_does_not_stand_in_its_way(project: Project) -> None:
    left = {
        "fct_complaints": "discover.a_complaint_is_of_the_banks_day",
        "int_atm_transactions_summed_to_customers": (
            "discover_intermediate.deposits_and_withdrawals_are_told_apart"
        ),
    }
    for name in left.values():
        project.warehouse.sql(f"CREATE TABLE {name}__dbt_tmp AS SELECT 1 AS left_over")
    results = project.dbt("build", "--select", *left)
    assert not_good(results) == {}
    assert {name.partition(".")[2] for name in left.values()} <= {r.node.name for r in results}
    assert (
        project.warehouse.sql(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_name LIKE '%!_!_dbt!_tmp' ESCAPE '!'"
        )
        == []
    )


def test_a_second_batch_adds_its_rows_and_reads_only_the_months_that_it_names(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    warehouse = project.warehouse
    files = 'SELECT file_path FROM discover."fct_atm_transactions$files"'
    first = {file for (file,) in warehouse.sql(files)}
    in_may = warehouse.sql(f"SELECT count(*) FROM {FACT} WHERE month(transaction_date) = 5")[0][0]
    with warehouse.restored():
        deliver(warehouse.settings, tmp_path_factory.mktemp("second"), Delivery().day_after())
        _insert_late_transaction(warehouse, "2026-04-15")
        grants = [
            {"user_name": "o'brien", "group_type": "city", "group_value": "St. John's"},
            {"user_name": "ann", "group_type": "customer", "group_value": "3"},
        ]
        given = ("--vars", json.dumps({"entitlements": grants}))
        # Trino remembers its newest queries only: a look right after the one that matters.
        assert not_good(project.dbt("run", "--select", "fct_atm_transactions")) == {}
        read = _rows_read_by_the_merge(warehouse)
        assert not_good(project.dbt("build", *given)) == {}

        raw = warehouse.sql("SELECT count(*) FROM raw_atm.transactions")
        assert warehouse.sql(f"SELECT count(*) FROM {FACT}") == raw
        added = {file for (file,) in warehouse.sql(files)} - first
        assert first <= {file for (file,) in warehouse.sql(files)}, "nothing was rewritten"
        assert {file.split("transaction_date_month=")[1][:7] for file in added} == {
            "2026-04",
            "2026-06",
        }
        assert 0 < read <= raw[0][0] - in_may, "May was not read"
        assert warehouse.sql("SELECT * FROM discover.entitlements ORDER BY 1") == [
            list(grants[1].values()),
            list(grants[0].values()),
        ]
        increment = project.marts()
        assert not_good(project.dbt("build", "--full-refresh", *given)) == {}
        assert project.marts() == increment


def _insert_late_transaction(warehouse: Warehouse, day: str) -> None:
    columns = [name for name, *_ in warehouse.sql("DESCRIBE raw_atm.transactions")]
    taken = ", ".join(columns).replace("transaction_id", "'late'", 1)
    warehouse.sql(
        f"INSERT INTO raw_atm.transactions SELECT {taken} FROM raw_atm.transactions"
        f" WHERE transaction_date = DATE '{day}' LIMIT 1"
    )


def _rows_read_by_the_merge(warehouse: Warehouse) -> int:
    """Of target and source together, as the newest MERGE's own statistics tell."""
    ((query,),) = warehouse.sql(
        "SELECT query_id FROM system.runtime.queries WHERE query NOT LIKE '%system.runtime%'"
        """ AND query LIKE '%merge into "lake"."discover"."fct_atm_transactions"%'"""
        " ORDER BY created DESC LIMIT 1"
    )
    request = urllib.request.Request(
        f"http://127.0.0.1:{warehouse.port}/v1/query/{query}", headers={"X-Trino-User": "test"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(json.load(answer)["queryStats"]["physicalInputPositions"])
