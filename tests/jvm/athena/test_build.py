"""Unmodified dbt-athena builds the whole project, twice, also when the gateway is killed."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from typing import Any

import psutil
import pytest

from lakehouse import services
from tests.jvm.athena.conftest import OUTPUT, SCHEMA, Gateway
from tests.jvm.conftest import Delivery, deliver

FACT = "fct_atm_transactions"
# One day after the others' second day; no transaction in common with theirs.
LATER = replace(Delivery().day_after().day_after(), seed=4711)

SAME_AS_RAW = f"""
select
    (select count(*) from lake.raw_atm.transactions)
    - (select count(distinct transaction_id) from lake.{SCHEMA}.{FACT}),
    (select sum(amount) from lake.raw_atm.transactions)
    - (select sum(amount) from lake.{SCHEMA}.{FACT}),
    (select count(*) from lake.{SCHEMA}.{FACT})
    - (select count(distinct transaction_id) from lake.{SCHEMA}.{FACT}),
    (select count(*) from lake.raw_core_banking.customers)
    - (select count(*) from lake.{SCHEMA}.fct_customers),
    (select sum(amount) from lake.raw_credit_bureau.loans)
    - (select sum(loan_total) from lake.{SCHEMA}.fct_customers)
"""


def require_success(done: subprocess.CompletedProcess[str]) -> None:
    failed = [line for line in done.stdout.splitlines() if "ERROR" in line or "FAIL" in line]
    assert done.returncode == 0, "\n".join([*failed, *done.stdout.splitlines()[-30:]])


def require_same_as_raw(gateway: Gateway) -> None:
    assert [float(difference) for difference in gateway.warehouse.sql(SAME_AS_RAW)[0]] == [0] * 5


def results_of(gateway: Gateway) -> dict[str, Any]:
    """Of the last command, by unique id."""
    results = json.loads((gateway.folder / "target" / "run_results.json").read_text())["results"]
    return {result["unique_id"]: result for result in results}


@pytest.fixture(scope="module")
def built(gateway: Gateway) -> subprocess.CompletedProcess[str]:
    """The first build: seeds and models. The second one, with more data, runs every data test."""
    return gateway.dbt("build", "--exclude-resource-type", "test")


@pytest.fixture(scope="module")
def built_again(
    built: subprocess.CompletedProcess[str],
    gateway: Gateway,
    tmp_path_factory: pytest.TempPathFactory,
) -> subprocess.CompletedProcess[str]:
    """A second delivery; the gateway is killed while dbt builds it, started again, and dbt too.

    Everything but dbt's unit tests, whose timestamp(6) Athena can't hold: it builds their rows as
    Hive tables.
    """
    require_success(built)
    deliver(gateway.settings, tmp_path_factory.mktemp("later"), LATER)
    seen = gateway.log.count("CREATE_TABLE_AS_SELECT SUCCEEDED")
    with gateway.begin_dbt("build") as dbt:
        while gateway.log.count("CREATE_TABLE_AS_SELECT SUCCEEDED") == seen:
            assert dbt.poll() is None
            time.sleep(0.05)
        psutil.Process(gateway.pid).kill()
        said, _ = dbt.communicate(timeout=300)
    services.up(gateway.settings.home, ["athena"])
    (gateway.folder / "killed.txt").write_text(f"{dbt.returncode}\n{said}")
    return gateway.dbt("build")


def test_the_whole_project_builds(built: subprocess.CompletedProcess[str]) -> None:
    require_success(built)
    assert " WARN=0 " in built.stdout


def test_a_build_whose_gateway_is_killed_fails_cleanly(
    built_again: subprocess.CompletedProcess[str], gateway: Gateway
) -> None:
    code, _, said = (gateway.folder / "killed.txt").read_text().partition("\n")
    assert code == "1"
    assert "Could not connect to the endpoint URL" in said or "Connection was closed" in said
    assert "Traceback (most recent call last)" not in said


def test_the_next_build_is_right(
    built_again: subprocess.CompletedProcess[str], gateway: Gateway
) -> None:
    require_success(built_again)
    assert " WARN=0 " in built_again.stdout
    kinds = {uid.partition(".")[0] for uid in results_of(gateway)}
    assert {"seed", "model", "test"} <= kinds
    require_same_as_raw(gateway)
    left = gateway.warehouse.sql(
        f"select table_name from information_schema.tables where table_schema = '{SCHEMA}'"
        r" and regexp_like(table_name, '__(ha|dbt_tmp)$')"
    )
    assert left == []


def test_a_build_of_nothing_new_merges_nothing(
    built_again: subprocess.CompletedProcess[str], gateway: Gateway
) -> None:
    require_success(gateway.dbt("run", "--select", FACT))
    result = results_of(gateway)[f"model.discover.{FACT}"]
    assert result["adapter_response"]["rows_affected"] == 0
    require_same_as_raw(gateway)


def test_a_merge_reads_only_the_months_it_changes(
    built_again: subprocess.CompletedProcess[str], gateway: Gateway
) -> None:
    months = gateway.rows(f'select count(*) from "{FACT}$partitions"')
    assert int(months[0][0] or 0) >= 3
    gateway.done(
        f"create table arrived with (table_type = 'iceberg', location = '{OUTPUT}arrived') as"
        f" select * from {FACT} where transaction_date = (select max(transaction_date) from {FACT})"
    )
    merge = (
        f"merge into {FACT} as target using arrived as src"
        " on target.transaction_id = src.transaction_id{0}"
        " when matched then update set amount = src.amount"
    )
    everything = gateway.done(merge.format(""))["Statistics"]["DataScannedInBytes"]
    predicate = " and target.transaction_date = src.transaction_date"
    pruned = gateway.done(merge.format(predicate))["Statistics"]["DataScannedInBytes"]
    assert pruned < everything / 2
    gateway.done("drop table arrived")


def test_a_full_refresh_ends_where_the_increments_did(
    built_again: subprocess.CompletedProcess[str], gateway: Gateway
) -> None:
    require_success(gateway.dbt("run", "--full-refresh", "--select", FACT))
    require_same_as_raw(gateway)


def test_docs_describe_tables_and_columns(
    built_again: subprocess.CompletedProcess[str], gateway: Gateway
) -> None:
    require_success(gateway.dbt("docs", "generate"))
    catalog = json.loads((gateway.folder / "target" / "catalog.json").read_text())
    fact = catalog["nodes"][f"model.discover.{FACT}"]
    assert fact["metadata"]["comment"].startswith("Grain:")
    assert fact["columns"]["amount"]["type"] == "decimal(18,2)"
    assert fact["columns"]["amount"]["comment"]
